// What an adapter owes: one transaction, all or nothing; rows as lists of values; integers exact, or such that the core refuses them.

/** Throws where one of it is not so. Leaves nothing behind. */
export async function checkAdapter(database) {
  const batch = (...texts) => database.batch(texts.map((t) => (typeof t === 'string' ? { sql: t, params: [] } : { sql: t[0], params: t.slice(1) })))
  const same = (what, got, expected) => {
    const text = (value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v))
    if (text(got) !== text(expected)) throw new Error(`${what}: ${text(got)} instead of ${text(expected)}`)
  }
  await batch('CREATE TABLE checked (id INTEGER PRIMARY KEY, name TEXT)')
  const inserted = await batch(
    ['INSERT INTO checked (id, name) VALUES (?1, ?2) RETURNING name, id, NULL AS none', 1, 'grüße 🐘'],
    'UPDATE checked SET name = name',
    ['SELECT ?2 AS second, ?1 AS first, ?2 AS again', 'a', 7])
  same('rows of each statement', inserted, [[['grüße 🐘', 1, null]], [], [[7, 'a', 7]]])
  let failed = false
  try {
    await batch(['INSERT INTO checked (id, name) VALUES (2, ?1)', 'not to stay'], "INSERT INTO checked (id, name) VALUES (1, 'taken')")
  } catch {
    failed = true
  }
  same('a batch with a statement that fails', failed, true)
  same('is undone whole', await batch('SELECT count(*) FROM checked'), [[[1]]])
  same('and the next one is run', await batch(['INSERT INTO checked (id, name) VALUES (?1, ?2)', 3, null], 'SELECT count(*) FROM checked'), [[], [[2]]])
  const [[[integer]]] = await batch('SELECT 9007199254740993')
  if (integer !== 9007199254740993n && Number.isSafeInteger(integer)) throw new Error(`9007199254740993 became ${integer}`)
  same('foreign keys hold', await batch('PRAGMA foreign_keys'), [[[1]]])
  await batch('DROP TABLE checked')
}
