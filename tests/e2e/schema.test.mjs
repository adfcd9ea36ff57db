// The schema and the migrations create the same tables.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { readSchema } from '../../scripts/lib/sql.mjs'
import { migrations, ROOT, startApi, statements } from './harness.mjs'
import { LIST, normal, schemaOf, schemaOfTexts } from './schema.mjs'

const read = (file) => readFileSync(file, 'utf8')

test('the schema and the migrations create the same schema', () => {
  const whole = schemaOfTexts(readSchema(ROOT))
  assert.ok(whole.some((r) => r.name === 'tenants'))
  assert.deepEqual(schemaOfTexts(...migrations().map(read)), whole)
})

test("a local D1 has the same schema after the migrations, besides wrangler's record of them", async () => {
  const api = await startApi()
  const there = await api.sql(LIST)
  const record = there.filter(({ tbl_name }) => tbl_name === 'd1_migrations')
  assert.deepEqual(record.map(({ type }) => type), ['table'])
  assert.deepEqual(normal(there.filter((object) => !record.includes(object))), schemaOfTexts(readSchema(ROOT)))
})

test('the migrations are numbered from 1 without a gap', () => {
  assert.deepEqual(migrations().map((f) => Number(/^(\d{4})_[a-z0-9_]+\.sql$/.exec(path.basename(f))?.[1])), migrations().map((_, i) => i + 1))
})

test('the migrations, split into statements by the harness, create the same schema', () => {
  const split = new DatabaseSync(':memory:')
  for (const file of migrations()) for (const text of statements(file)) split.exec(text)
  assert.deepEqual(schemaOf(split), schemaOfTexts(readSchema(ROOT)))
})
