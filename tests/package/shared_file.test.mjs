// Several processes on one SQLite file, and the migrations of the packed npm package.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { prepareDatabase } from 'tenants-core'
import { nodeSqlite } from 'tenants-core/node-sqlite'
import { bun, deno } from '../../scripts/lib/runtimes.mjs'
import { root } from '../../scripts/lib/run.mjs'
import { readSchema } from '../../scripts/lib/sql.mjs'
import { run } from '../e2e/harness.mjs'

const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-shared-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const newFile = () => path.join(folder, `${++files}.sqlite`)

const program = path.join(import.meta.dirname, 'process.mjs')
const node = [process.execPath, [program]]
const hosts = {
  'node:sqlite in Node': ['node-sqlite', ...node],
  'better-sqlite3 in Node': ['better-sqlite3', ...node],
  'bun:sqlite in Bun': ['bun-sqlite', bun(), ['run', program]],
  'node:sqlite in Deno': ['node-sqlite', deno(), ['run', '--quiet', '--no-lock', '--allow-all', program]],
}

/** Starts a process on a file. Resolves with its result. */
async function start(host, file, ...task) {
  const [adapter, command, args] = hosts[host]
  return JSON.parse(await run(command, [...args, adapter, file, ...task]))
}

const migrations = readdirSync(path.join(root, 'migrations')).sort()
const sqlOf = (name) => readFileSync(path.join(root, 'migrations', name), 'utf8')
const schemaOf = (db) => db.prepare("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite%' AND name <> 'd1_migrations' ORDER BY type, name").all()
  .map(({ type, name, sql }) => ({ type, name, sql: sql.replace(/--.*$/gm, '').replace(/\s/g, '') }))
const recorded = (db) => db.prepare('SELECT name FROM d1_migrations ORDER BY id').all().map(({ name }) => name)

/** The schema of a new database that `schema.sql` made. */
function wholeSchema() {
  const db = new DatabaseSync(':memory:')
  db.exec(readSchema(root))
  return schemaOf(db)
}

for (const [one, other] of [['node:sqlite in Node', 'node:sqlite in Node'], ['better-sqlite3 in Node', 'bun:sqlite in Bun'], ['node:sqlite in Deno', 'node:sqlite in Node']]) {
  test(`two processes, ${one} and ${other}, start on one new file and create 300 tenants without a failure`, async () => {
    const file = newFile()
    assert.deepEqual(await Promise.all([start(one, file, 'create', 'one', '150'), start(other, file, 'create', 'other', '150')]), [{ 201: 150 }, { 201: 150 }])
    const db = new DatabaseSync(file)
    assert.equal(db.prepare('SELECT count(*) AS n FROM tenants').get().n, 300)
    assert.deepEqual(recorded(db), migrations)
    db.close()
  })
}

for (const host of Object.keys(hosts)) {
  test(`a database that another connection holds is a 503 with Retry-After: ${host}`, async () => {
    const { held, cause, free } = await start(host, newFile(), 'busy')
    assert.deepEqual(held, [503, '1', 'unavailable'])
    assert.match(cause, /^the database is unavailable: .*database is locked/)
    assert.equal(free, 201)
  })
}

for (const host of Object.keys(hosts)) {
  test(`a database that was closed keeps no file open: ${host}`, { skip: process.platform !== 'linux' }, async () => {
    assert.equal(await start(host, newFile(), 'descriptors'), 0)
  })
}

test('a new database gets the schema, once', async () => {
  const db = new DatabaseSync(':memory:')
  assert.deepEqual(await prepareDatabase(nodeSqlite(db)), migrations)
  assert.deepEqual(await prepareDatabase(nodeSqlite(db)), [])
  assert.deepEqual(schemaOf(db), wholeSchema())
  assert.deepEqual(recorded(db), migrations)
})

for (const record of ['without a record, as schema.sql made it,', 'with the record of wrangler']) {
  test(`a database ${record} is brought up to date from each earlier state`, async () => {
    const hasRecord = record.startsWith('with ')
    // Only releases before the fourth migration made databases without a record.
    const states = hasRecord ? migrations.length : 3
    for (let state = 1; state <= states; state++) {
      const db = new DatabaseSync(':memory:')
      // Copied from wrangler.
      if (hasRecord) db.exec('CREATE TABLE IF NOT EXISTS d1_migrations(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)')
      for (const name of migrations.slice(0, state)) {
        db.exec(sqlOf(name))
        if (hasRecord) db.prepare('INSERT INTO d1_migrations (name) VALUES (?)').run(name)
      }
      db.exec("INSERT INTO api_keys (digest, created_at) VALUES ('kept', '')")
      assert.deepEqual(await prepareDatabase(nodeSqlite(db)), migrations.slice(state))
      assert.deepEqual(recorded(db), migrations)
      assert.deepEqual(schemaOf(db), wholeSchema())
      assert.equal(db.prepare('SELECT digest FROM api_keys').get().digest, 'kept')
    }
  })
}

test('six processes bring one older file up to date at once', async () => {
  const file = newFile()
  const db = new DatabaseSync(file)
  db.exec(sqlOf(migrations[0]))
  const applied = await Promise.all([...Object.keys(hosts), ...Object.keys(hosts).slice(0, 2)].map((host) => start(host, file, 'prepare')))
  // Each migration is applied by one process.
  assert.deepEqual(applied.flat().sort(), migrations.slice(1))
  assert.deepEqual(recorded(db), migrations)
  assert.deepEqual(schemaOf(db), wholeSchema())
  db.close()
})

test('a database that a newer version made is refused and stays as it is', async () => {
  const db = new DatabaseSync(':memory:')
  await prepareDatabase(nodeSqlite(db))
  db.exec("DELETE FROM d1_migrations WHERE id > 1; INSERT INTO d1_migrations (name) VALUES ('9999_later.sql')")
  await assert.rejects(prepareDatabase(nodeSqlite(db)), { name: 'TenantsError', code: 'task_failed', message: /`9999_later\.sql`, which this version does not know: a newer version made the database/ })
  assert.deepEqual(recorded(db), [migrations[0], '9999_later.sql'])
})

test('a migration that fails leaves nothing behind, and the error has the cause', async () => {
  const db = new DatabaseSync(':memory:')
  db.exec(sqlOf(migrations[0]))
  // The name of the last view of the second migration is taken.
  db.exec('CREATE VIEW delete_plan AS SELECT 1')
  const before = schemaOf(db)
  await assert.rejects(prepareDatabase(nodeSqlite(db)), { code: 'task_failed', message: /delete_plan already exists/ })
  assert.deepEqual(schemaOf(db), before)
  assert.deepEqual(recorded(db), [migrations[0]])
})
