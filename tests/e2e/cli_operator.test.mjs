// Runs `tenants status` and `tenants orphans` with the built program, the real wrangler and tables that the built Worker created.
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { expectTenants } from './cli.mjs'
import { freshSecrets, ROOT, startApi } from './harness.mjs'

// wrangler stores the state of `--persist-to DIR` in DIR/v3; Miniflare stores it in the given folder itself.
const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const persist = path.join(folder, 'v3')
const secrets = freshSecrets()
const vars = { CHEVERETO_ENCRYPTION_KEY: secrets.CHEVERETO_ENCRYPTION_KEY, TENANTS_OPERATOR: 'the night shift' }
const admin = { username: 'admin', email: 'admin@example.com', password: 'a password' }
const newest = readdirSync(path.join(ROOT, 'migrations')).sort().at(-1)
const status = async (code, more = vars) => JSON.parse((await expectTenants(code, ['status', '--persist-to', folder, '--format', 'json'], { vars: more })).output)
const orphans = async (code, ...more) => expectTenants(code, ['orphans', '--persist-to', folder, ...more], { vars })

test('the status counts and finds what needs attention, and the tables of deleted tenants are found and dropped', async () => {
  const api = await startApi({ persist, vars: secrets })
  await api.plan({ env: { A: '1' } })
  for (const id of ['Gone', 'kept', 'dropped']) {
    await api.tenant({ id, env: { A: '1' } })
    await api.expect(201, 'POST', `/tenants/${id}/install`, { body: admin })
  }
  await api.expect(204, 'DELETE', '/tenants/gone')
  await api.expect(204, 'DELETE', '/tenants/dropped', { body: { drop_tables: true } })
  const details = await api.sql("SELECT subject, detail FROM audit_log WHERE action = 'tenant.delete' ORDER BY id")
  assert.deepEqual(details, [{ subject: 'gone', detail: 'tables_kept' }, { subject: 'dropped', detail: 'tables_dropped' }])
  await api.stop()

  const healthy = await status(0)
  assert.deepEqual(healthy.schema, { state: 'current', newest })
  const { tenants, enabled, plans, keys, expiring_keys: expiring, late_statistics: late, unreadable, audit_entries: entries, attention } = healthy
  assert.deepEqual({ tenants, enabled, plans, keys, expiring, late, unreadable, entries, attention },
    { tenants: 1, enabled: 1, plans: 1, keys: 1, expiring: [], late: 0, unreadable: [], entries: 9, attention: [] })
  assert.equal((await status(0, {})).unreadable, null)
  // An API whose address is named tells more.
  const asked = await startApi({ vars: { TENANTS_DEVELOPMENT: 'true' } })
  for (const id of ['eu', 'us']) await asked.expect(201, 'PUT', `/cells/${id}`, { body: {} })
  await asked.sql("UPDATE cells SET last_seen_at = '2999-01-01 00:00:00' WHERE id = 'eu'")
  for (const description of ['failed', 'works']) await asked.expect(201, 'POST', '/webhooks', { body: { url: 'https://hooks.example.com/', description } })
  await asked.sql("UPDATE webhooks SET is_enabled = 0, failing_since = '2026-08-15 00:00:00' WHERE description = 'failed'")
  const caller = { TENANTS_URL: asked.url, TENANTS_API_KEY: asked.key, CHEVERETO_TENANTS_API_REQUEST_SECRET: asked.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET }
  const { disabled_webhooks: webhooks, silent_cells: cells, not_asked: failures } = await status(0, { ...vars, ...caller })
  assert.deepEqual([webhooks.map(({ failing_since }) => failing_since), cells.map(({ id, last_seen_at }) => [id, last_seen_at]), failures], [['2026-08-15 00:00:00'], [['us', null]], undefined])
  await asked.stop()
  const other = await status(1, { CHEVERETO_ENCRYPTION_KEY: freshSecrets().CHEVERETO_ENCRYPTION_KEY })
  assert.deepEqual([other.attention, other.unreadable.length], [['env'], 3])

  assert.deepEqual(JSON.parse((await orphans(0, '--format', 'json')).output), [{ tenant: 'gone', tables: 13, own_database: false }])
  await orphans(1, '--drop', '--id', 'kept')
  assert.equal((await orphans(0, '--drop', '--id', 'GONE')).output, 'dropped the tables of gone\n')
  assert.equal((await orphans(0)).output, 'no tables of deleted tenants\n')

  const later = await startApi({ persist, schema: false, vars: secrets })
  const tables = await later.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'chv%'")
  assert.equal(tables.length, 13)
  assert.ok(tables.every(({ name }) => name.startsWith('chv_kept_')))
  const [last] = await later.sql('SELECT * FROM audit_log ORDER BY id DESC LIMIT 1')
  assert.match(last.request_id, /^cli-[0-9a-f]{32}$/)
  assert.deepEqual([last.action, last.subject, last.key_id, last.operator, last.detail], ['tenant.drop_tables', 'gone', null, 'the night shift', 'tables_dropped'])
  await later.sql('DELETE FROM d1_migrations WHERE name = ?', newest)
  await later.refuse(503, 'not_ready', 'GET', '/_/health', { base: '', key: null, signature: null })
  await later.stop()
  const behind = await status(1)
  assert.deepEqual([behind.schema, behind.tenants, behind.attention], [{ state: 'behind', lacks: newest }, null, ['schema']])
})
