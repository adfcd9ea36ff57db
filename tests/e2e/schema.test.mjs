// schema.sql and the migrations create the same tables.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { migrations, ROOT, startApi, statements } from './harness.mjs'

const schemaFile = path.join(ROOT, 'schema.sql')
const LIST = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name"
const normal = (rows) => rows.map((r) => ({ ...r, sql: r.sql?.replace(/--.*$/gm, '').replace(/\s+/g, ' ').replace(/ ?([(),]) ?/g, '$1').trim() }))

/** Runs these SQL texts in a new SQLite database, and returns its schema. */
function tables(...texts) {
  const db = new DatabaseSync(':memory:')
  for (const text of texts) db.exec(text)
  const rows = normal(db.prepare(LIST).all())
  db.close()
  return rows
}
const read = (file) => readFileSync(file, 'utf8')

test('schema.sql and the migrations create the same schema', () => {
  const whole = tables(read(schemaFile))
  assert.ok(whole.some((r) => r.name === 'tenants'))
  assert.deepEqual(tables(...migrations().map(read)), whole)
})

test('a local D1 has the same schema after the migrations', async () => {
  const api = await startApi()
  assert.deepEqual(normal(await api.sql(LIST)), tables(read(schemaFile)))
})

test('the migrations are numbered from 1 without a gap', () => {
  assert.deepEqual(migrations().map((f) => Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(path.basename(f))?.[1])), migrations().map((_, i) => i + 1))
})

test('the migrations, split into statements by the harness, create the same schema', () => {
  const split = new DatabaseSync(':memory:')
  for (const file of migrations()) for (const text of statements(file)) split.exec(text)
  assert.deepEqual(normal(split.prepare(LIST).all()), tables(read(schemaFile)))
})
