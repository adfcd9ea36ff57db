// The component's Python host on a database file: shared with other processes, migrated, and inside the host's own transaction.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { root } from '../../scripts/lib/run.mjs'
import { run } from '../e2e/harness.mjs'
import { noPython, python } from './python.mjs'

const skip = noPython()
const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-python-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0
const newFile = () => path.join(folder, `${++files}.sqlite`)

/** Does a task of files.py in a process of its own. */
const start = async (world, task, file, ...rest) => JSON.parse(await run(python, [path.join(import.meta.dirname, 'files.py'), world, task, file, ...rest]))

const migrations = readdirSync(path.join(root, 'migrations')).sort()

test('two Python processes, one in each world, start on one new file and create 300 tenants without a failure', { skip }, async () => {
  const file = newFile()
  assert.deepEqual(await Promise.all([start('exchange', 'create', file, 'one', '150'), start('service', 'create', file, 'other', '150')]), [{ 201: 150 }, { 201: 150 }])
  const db = new DatabaseSync(file)
  assert.equal(db.prepare('SELECT count(*) AS n FROM tenants').get().n, 300)
  db.close()
})

for (const world of ['exchange', 'service']) {
  test(`in the world ${world}, a database that another connection holds is a 503 with Retry-After`, { skip }, async () => {
    const { status, headers, cause, free } = await start(world, 'busy', newFile())
    assert.deepEqual([status, headers['retry-after'], free], [503, '1', 201])
    // A write is tried twice.
    const locked = 'the database is unavailable: database is locked'
    assert.equal(cause, `${locked}; and again: ${locked}`)
  })

  test(`in the world ${world}, a write inside the host's own transaction is a 503 and does not roll it back`, { skip }, async () => {
    assert.deepEqual(await start(world, 'own', newFile()), { status: 503, still: true, rows: 1, after: 201 })
  })

  test(`in the world ${world}, a site's database that cannot be opened is a 503, and the instance serves the next request`, { skip }, async () => {
    assert.deepEqual(await start(world, 'unopened', newFile(), path.join(folder, `sites-${world}`)), [503, 503, 201])
  })

  test(`in the world ${world}, a body that breaks off is a 400`, { skip }, async () => {
    assert.deepEqual(await start(world, 'incomplete', newFile()), { status: 400, code: 'body_incomplete' })
  })

  test(`in the world ${world}, an older database is brought up to date, and a newer one is refused`, { skip }, async () => {
    const file = newFile()
    const db = new DatabaseSync(file)
    db.exec(readFileSync(path.join(root, 'migrations', migrations[0]), 'utf8'))
    assert.deepEqual(await start(world, 'prepare', file), migrations.slice(1))
    assert.deepEqual(await start(world, 'prepare', file), [])
    assert.match(await start(world, 'newer', file), /^failed: the database has the migration `9999_later\.sql`, which this version does not know: a newer version made the database$/)
    db.close()
  })
}
