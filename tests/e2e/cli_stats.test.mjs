// Runs `tenants stats:refresh` and `jobs:worker` with the built program, the real wrangler and tables that the built Worker created.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { expectTenants } from './cli.mjs'
import { freshSecrets, NO_STATS, startApi } from './harness.mjs'

// wrangler stores the state of `--persist-to DIR` in DIR/v3; Miniflare stores it in the given folder itself.
const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const persist = path.join(folder, 'v3')
const vars = { ...freshSecrets(), CHEVERETO_DB_TABLE_PREFIX: 'my_' }
const admin = { username: 'admin', email: 'admin@example.com', password: 'a password' }
const refresh = (...more) => ['stats:refresh', '--persist-to', folder, ...more]
const prefix = { CHEVERETO_DB_TABLE_PREFIX: 'my_' }

test('stats:refresh counts the tables of one tenant or of all, and names the tenants that it cannot count', async () => {
  const api = await startApi({ persist, vars })
  const ids = ['One', 'two', 'three', 'bare']
  for (const id of ids) {
    await api.tenant({ id })
    if (id !== 'bare') await api.expect(201, 'POST', `/tenants/${id}/install`, { body: admin })
  }
  await api.sql("INSERT INTO my_two_tags (name) VALUES ('a'), ('b')")
  await api.sql('DROP TABLE my_three_tags')
  await api.stop()

  const one = await expectTenants(0, refresh('--id', 'two'), { vars: prefix })
  assert.equal(one.output, 'counted 1 tenant\n')
  const all = await expectTenants(3, refresh('--format', 'json', '--quiet'), { vars: prefix })
  const { counted, gone, failed } = JSON.parse(all.output)
  assert.deepEqual([counted, gone, failed.map(({ tenant }) => tenant)], [2, 0, ['three']])
  assert.match(failed[0].reason, /my_three_tags/)
  assert.match(JSON.parse(all.errors).detail, /^1 tenant could not be counted and keeps its previous numbers:\nthree: /)
  const worker = await expectTenants(3, ['jobs:worker', '--verbose', '--persist-to', folder], { vars: prefix })
  assert.equal(worker.output, 'counted 2 tenants\n')
  assert.match(worker.errors, /^No worker keeps running: .+\njob 1 of 1: statistics/)

  // No tables have the default prefix. The command reports a tenant without tables, and an unknown tenant.
  const other = await expectTenants(0, refresh())
  assert.equal(other.output, 'counted 0 tenants: none is installed, or their sites are being moved\n')
  assert.match((await expectTenants(1, refresh('--id', 'bare'), { vars: prefix })).errors, /nothing is installed/)
  assert.match((await expectTenants(1, refresh('--id', 'nobody'), { vars: prefix })).errors, /there is no such tenant/)

  const later = await startApi({ persist, schema: false, vars })
  const get = async (id) => (await later.expect(200, 'GET', `/tenants/${id}`, { key: api.key })).json
  for (const id of ['one', 'two']) {
    const { stats, last_job_at: at, updated_at: updated, created_at: created } = await get(id)
    assert.deepEqual(stats, { ...NO_STATS, users: 1, admins: 1, tags: id === 'two' ? 2 : 0 })
    assert.match(at, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
    assert.equal(updated, created)
  }
  for (const id of ['three', 'bare']) assert.deepEqual(await get(id).then((t) => [t.stats, t.last_job_at]), [NO_STATS, null])
})
