// Checks an adapter. It must run a batch in one transaction, return rows as arrays of values, and return an integer either exactly or in
// a form that the core refuses.

/** Throws if the adapter breaks a rule. Leaves the database as it was. */
export async function checkAdapter(database) {
  const batch = (...texts) => database.batch(texts.map((t) => (typeof t === 'string' ? { sql: t, params: [] } : { sql: t[0], params: t.slice(1) })))
  const same = (what, got, expected) => {
    const text = (value) => JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? Number(v) : v))
    if (text(got) !== text(expected)) throw new Error(`${what}: expected ${text(expected)}, got ${text(got)}`)
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
  same('a batch with a failing statement fails', failed, true)
  same('a failed batch is rolled back', await batch('SELECT count(*) FROM checked'), [[[1]]])
  same('the batch after a failed one runs', await batch(['INSERT INTO checked (id, name) VALUES (?1, ?2)', 3, null], 'SELECT count(*) FROM checked'), [[], [[2]]])
  const [[[integer]]] = await batch('SELECT 9007199254740993')
  if (integer !== 9007199254740993n && Number.isSafeInteger(integer)) throw new Error(`9007199254740993 became ${integer}`)
  same('foreign keys are enforced', await batch('PRAGMA foreign_keys'), [[[1]]])
  await batch('DROP TABLE checked')
}
