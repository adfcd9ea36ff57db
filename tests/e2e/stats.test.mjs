// The cron trigger counts statistics from tenants' own tables (API.md §5 and §8), in a real D1.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NO_STATS, startApi, TIME } from './harness.mjs'

const admin = { username: 'admin', email: 'admin@example.com', password: 'mypassword' }

async function installed(api, fields = {}) {
  const tenant = await api.tenant(fields)
  await api.expect(201, 'POST', `/tenants/${tenant.id}/install`, { body: admin })
  return tenant
}
const read = async (api, id) => (await api.expect(200, 'GET', `/tenants/${id}`)).json

test('a run counts a tenant’s tables, and changes nothing else of the tenant', async () => {
  const api = await startApi({ vars: { TENANTS_DEVELOPMENT: 'true' } })
  const before = await installed(api, { id: 'Full-1', hostname: 'full.example.com' })
  assert.deepEqual([(await read(api, 'full-1')).stats, before.last_job_at], [NO_STATS, null])
  const of = (table) => `"chv_full-1_${table}"`
  await api.sql(`INSERT INTO ${of('files')} (name, media_type, size_bytes, views, created_at) VALUES ('a', '', 9007199254740992, 4611686018427387904, ''), ('b', '', 1, 4611686018427387903, '')`)
  await api.sql(`INSERT INTO ${of('albums')} (title, is_private, views, created_at) VALUES ('a', 1, 5, '')`)
  await api.sql(`INSERT INTO ${of('likes')} (user_id, file_id, created_at) VALUES (1, 1, ''), (1, 2, '')`)
  await api.sql(`INSERT INTO ${of('likes')} (user_id, album_id, created_at) VALUES (1, 1, '')`)
  await api.sql(`INSERT INTO ${of('users')} (username, email, password_hash, is_admin, is_manager, created_at) VALUES ('m', 'm@b', '', 0, 1, '')`)
  await api.sql(`INSERT INTO ${of('tags')} (name) VALUES ('x'), ('y'), ('z')`)
  await api.sql(`INSERT INTO ${of('jobs')} (name, last_ran_at, duration_s) VALUES ('mail', '', 3), ('cleanup', '', 4)`)
  await api.sql(`INSERT INTO ${of('pages')} (url_key, title, body, is_active) VALUES ('tos', '', '', 1)`)
  await api.sql(`INSERT INTO ${of('storages')} (name, url, is_active) VALUES ('s3', '', 1)`)
  await api.sql(`INSERT INTO ${of('categories')} (name, url_key) VALUES ('c', 'c')`)
  await api.sql(`INSERT INTO ${of('login_providers')} (name, is_enabled) VALUES ('github', 1)`)
  const etag = async () => (await api.expect(200, 'GET', '/config/traefik', { key: null, signature: null, headers: { 'CF-Connecting-IP': '127.0.0.1' } })).headers.etag
  const tag = await etag()
  const entries = (await api.sql('SELECT count(*) AS n FROM audit_log'))[0].n

  const { duration_ms, ...line } = await api.cron()
  assert.deepEqual(line, { level: 'info', job: 'stats', counted: 1, failed: 0 })
  assert.ok(duration_ms >= 0)

  const { text } = await api.expect(200, 'GET', '/tenants/full-1')
  // JSON.parse would round these numbers.
  for (const exact of ['"storage_used":9007199254740993,', '"file_views":9223372036854775807,']) assert.ok(text.includes(exact), text)
  const after = await read(api, 'full-1')
  const { storage_used: _, file_views: __, ...counted } = after.stats
  assert.deepEqual(counted, {
    tags: 3, files: 2, pages: 1, users: 2, admins: 1, albums: 1, managers: 1, storages: 1, cron_time: 7, categories: 1,
    file_likes: 2, album_likes: 1, album_views: 5, login_providers: 1,
  })
  assert.match(after.last_job_at, TIME)
  assert.deepEqual({ ...after, stats: null, last_job_at: null }, { ...before, stats: null, site: { state: 'installed', job_id: null } })
  assert.equal(await etag(), tag)
  assert.equal((await api.sql('SELECT count(*) AS n FROM audit_log'))[0].n, entries)
})

test('successive runs count all tenants, a few per run, and a site that cannot be counted does not stop the others', async () => {
  const api = await startApi({ vars: { TENANTS_STATS_PER_RUN: '12', TENANTS_STATS_MIN_AGE: '0', TENANTS_PASSWORD_MEMORY_KIB: '7168', TENANTS_PASSWORD_PASSES: '5' } })
  const ids = []
  for (let n = 0; n < 30; n++) ids.push((await installed(api)).id)
  const { id: bare } = await api.tenant()
  await api.sql(`DROP TABLE chv_${ids[3]}_files`)
  await api.sql(`DROP TABLE chv_${ids[17]}_likes`)
  const lines = [await api.cron(), await api.cron(), await api.cron()]
  // Thirty sites need two runs of twelve and one of six. The third run fills up with sites that were already counted.
  assert.deepEqual(lines.map((l) => l.counted + l.failed), [12, 12, 12])
  const failures = lines.flatMap((l) => l.failures ?? [])
  assert.deepEqual([...new Set(failures.map((f) => f.tenant))].sort(), [ids[3], ids[17]].sort())
  for (const { tenant, reason } of failures) assert.match(reason, new RegExp(`no such table: chv_${tenant}_(files|likes)`))
  for (const line of lines) assert.equal(line.level, line.failed ? 'warn' : 'info')
  const { json } = await api.expect(200, 'GET', '/tenants')
  for (const { id, stats, last_job_at } of json) {
    if (id === bare || id === ids[3] || id === ids[17]) assert.deepEqual([stats, last_job_at], [NO_STATS, null], id)
    else assert.deepEqual([stats.users, stats.admins, TIME.test(last_job_at)], [1, 1, true], id)
  }
})

test('a run whose database fails is logged as an error, and the next run works', async () => {
  const api = await startApi()
  const { id } = await installed(api)
  await api.sql('ALTER TABLE tenants RENAME COLUMN stats_turn_at TO elsewhere')
  const line = await api.cron()
  assert.equal(line.level, 'error')
  assert.match(line.cause, /^the database failed: .*stats_turn_at/)
  await api.sql('ALTER TABLE tenants RENAME COLUMN elsewhere TO stats_turn_at')
  assert.equal((await api.cron()).counted, 1)
  assert.equal((await read(api, id)).stats.users, 1)
})

test('a run counts no tenant that was counted within the hour, and a dropped site is not a failure', async () => {
  const api = await startApi()
  const [first, second] = [await installed(api), await installed(api)]
  await api.tenant()
  assert.equal((await api.cron()).counted, 2)
  const { duration_ms, ...line } = await api.cron()
  assert.deepEqual(line, { level: 'info', job: 'stats', counted: 0, failed: 0 })
  await api.sql('UPDATE tenants SET stats_turn_at = NULL')
  await api.sql(`DROP TABLE chv_${first.id}_users`)
  assert.equal((await api.cron()).counted, 1)
  const rows = await api.sql('SELECT id, has_site FROM tenants WHERE id IN (?, ?) ORDER BY has_site', first.id, second.id)
  assert.deepEqual(rows, [{ id: first.id, has_site: 0 }, { id: second.id, has_site: 1 }])
})

test('a run with an invalid configuration logs the wrong variable', async () => {
  const api = await startApi({ vars: { TENANTS_STATS_PER_RUN: '500' } })
  const { level, cause } = await api.cron()
  assert.deepEqual([level, cause], ['error', 'TENANTS_STATS_PER_RUN: expected 1 to 499; got 500'])
})

test('requests during a run are all answered', async () => {
  const api = await startApi()
  for (let n = 0; n < 10; n++) await installed(api)
  const [line, ...answers] = await Promise.all([api.cron(), ...Array.from({ length: 40 }, () => api.call('GET', '/tenants'))])
  assert.equal(line.counted, 10)
  assert.deepEqual(new Set(answers.map((a) => a.status)), new Set([200]))
})
