// The whole of it with real parts: the built Worker in workerd, the agent, Redis, MariaDB, and PHP with a stand-in for Chevereto.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from '../e2e/harness.mjs'
import { agentProgram, makeAgent, noCell, startMariaDb, startPhp, startRedis, until } from './parts.mjs'

const skip = noCell({ database: true })
if (!skip) agentProgram()
const api = skip ? undefined : await startApi()
const database = skip ? undefined : await startMariaDb()

/** A cell of the Worker, with a Redis and an agent of its own. */
async function cell(id, options = {}) {
  const redis = await startRedis()
  await api.expect(201, 'PUT', `/cells/${id}`, { body: { name: 'A test' } })
  const registry = { url: api.url, key: api.key, secret: api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET }
  return { redis, agent: makeAgent({ registry, redis, database, cell: id, ...options }) }
}

test('from nothing to a page: create, install within the request, change, reset, disable, drop', { skip }, async () => {
  const { redis, agent } = await cell('main')
  const php = await startPhp({ redis, env: { ...database.env, CHEVERETO_TENANT_ENFORCED: '{"CHEVERETO_FORCED": "root"}' } })
  await api.expect(201, 'POST', '/tenants-plans', { body: { id: 'basic', limits: { CHEVERETO_MAX_USERS: '2' }, env: { CHEVERETO_FROM: 'plan' } } })
  const tenant = (id) => ({ id, hostname: `${id.replace('_', '-')}.example.com`, is_enabled: true, cell_id: 'main', plan_id: 'basic' })
  await api.expect(201, 'POST', '/tenants', { body: { ...tenant('w'), env: { CHEVERETO_FORCED: 'mine' } } })
  await api.expect(201, 'POST', '/tenants', { body: tenant('w_b') })
  agent.start()
  await php.until(503, 'w.example.com')
  const body = { username: 'admin', email: 'admin@example.com', password: 'correct horse' }
  const started = Date.now()
  const installed = await api.expect(201, 'POST', '/tenants/w/install', { body })
  assert.ok(Date.now() - started < 10_000)
  assert.deepEqual(installed.json, { id: 'w', username: 'admin', email: 'admin@example.com' })
  await api.expect(201, 'POST', '/tenants/w_b/install', { body })
  const page = await php.until(200, 'w.example.com')
  assert.deepEqual(page.body.settings, { CHEVERETO_MAX_USERS: '2', CHEVERETO_FROM: 'plan', CHEVERETO_FORCED: 'root' })
  await api.expect(409, 'POST', '/tenants/w/install', { body })
  assert.equal((await api.expect(200, 'GET', '/tenants/w')).json.site.state, 'installed')

  // A plan's change reaches all its sites.
  await api.expect(204, 'PATCH', '/tenants-plans/basic', { body: { limits: { CHEVERETO_MAX_USERS: '9' } } })
  for (const hostname of ['w.example.com', 'w-b.example.com']) await php.until(200, hostname, (b) => b.settings.CHEVERETO_MAX_USERS === '9')
  const [[, , , before]] = database.rows('SELECT * FROM `chv_w_users`')
  const reset = await api.expect(200, 'PATCH', '/tenants/w/user-password-reset', { body: { username: 'admin' } })
  assert.equal(reset.json.username, 'admin')
  const [[, , , after]] = database.rows('SELECT * FROM `chv_w_users`')
  assert.notEqual(after, before)
  await api.expect(404, 'PATCH', '/tenants/w/user-password-reset', { body: { username: 'nobody' } })

  await api.expect(204, 'PATCH', '/tenants/w_b', { body: { is_enabled: false } })
  await php.until(403, 'w-b.example.com')
  await api.expect(204, 'DELETE', '/tenants/w', { body: { drop_tables: true } })
  await php.until(404, 'w.example.com')
  assert.deepEqual(database.tables().filter((t) => t.startsWith('chv_w_')).sort(), ['chv_w_b_albums', 'chv_w_b_settings', 'chv_w_b_users'])
  assert.ok(!(await redis.keys()).some((key) => key.startsWith('chv:w:')))
  const seen = (await api.expect(200, 'GET', '/cells/main')).json
  assert.match(seen.agent_version, /^\d+\.\d+\.\d+$/)
  await until(async () => (await api.expect(200, 'GET', '/cells/main')).json.behind === 0, 'the agent has followed')
  const check = await agent.run('check')
  assert.equal(check.status, 0, check.stdout + check.stderr)
  await agent.stop()
})

test('an agent follows its own cell alone, and a tenant that leaves is removed', { skip }, async () => {
  const [one, two] = [await cell('one'), await cell('two')]
  for (const id of ['x1', 'x2', 'x3']) await api.expect(201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled: true, cell_id: id === 'x3' ? 'two' : 'one' } })
  const ids = async ({ redis }) => (await redis.keys()).filter((k) => k.includes(':tenant:')).map((k) => k.split(':').at(-1))
  for (const { agent } of [one, two]) assert.equal((await agent.run('once')).status, 0)
  assert.deepEqual([await ids(one), await ids(two)], [['x1', 'x2'], ['x3']])
  await api.expect(204, 'PATCH', '/tenants/x2', { body: { cell_id: 'two' } })
  for (const { agent } of [one, two]) assert.equal((await agent.run('once')).status, 0)
  assert.deepEqual([await ids(one), await ids(two)], [['x1'], ['x2', 'x3']])
  // Another agent of a cell is refused while the first one was seen.
  const second = makeAgent({ registry: { url: api.url, key: api.key, secret: api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET }, redis: one.redis, cell: 'one' })
  const refused = await second.run('once')
  assert.equal(refused.status, 3)
  assert.match(refused.stderr, /agent_conflict/)
})

test('an agent that is killed in an installation: one administrator, and the caller gets the 201', { skip }, async () => {
  const { agent } = await cell('killed', { env: { TENANTS_AGENT_LEASE_SECONDS: '5' } })
  await api.expect(201, 'POST', '/tenants', { body: { id: 'k', hostname: 'k.example.com', is_enabled: true, cell_id: 'killed' } })
  agent.slow('install', 2)
  agent.start()
  await agent.event('redis_written')
  const body = { username: 'admin', email: 'admin@example.com', password: 'correct horse' }
  const answer = api.call('POST', '/tenants/k/install', { body })
  await until(() => agent.calls().includes('install k'), 'the command')
  agent.child.kill('SIGKILL')
  await agent.ended
  agent.start()
  const first = await answer
  assert.equal(first.status, 201, first.text)
  assert.equal(database.rows('SELECT * FROM `chv_k_users`').length, 1)
  assert.deepEqual(agent.calls().filter((c) => /install/.test(c)), ['install k', 'installed k', 'install k'])
  const [job] = (await api.expect(200, 'GET', '/jobs?tenant=k')).json
  assert.deepEqual([job.state, job.attempts, job.error], ['done', 2, null])
  await agent.stop()
})

test('a row that cannot be decrypted keeps what it had, and a restored database is followed', { skip }, async () => {
  const { redis, agent } = await cell('broken')
  const put = (id, body) => api.expect(204, 'PATCH', `/tenants/${id}`, { body })
  for (const id of ['r1', 'r2']) await api.expect(201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled: true, cell_id: 'broken', env: { CHEVERETO_A: '1' } } })
  assert.equal((await agent.run('once')).status, 0)
  const before = await redis.command('GET', 'chv:_:tenant:r1')
  await put('r1', { limits: { CHEVERETO_B: '2' } })
  await put('r2', { limits: { CHEVERETO_B: '2' } })
  const [{ env }] = await api.sql('SELECT env FROM tenants WHERE id = ?', 'r1')
  await api.sql('UPDATE tenants SET env = ? WHERE id = ?', env.slice(0, -8) + 'AAAAAAAA', 'r1')
  assert.match((await agent.run('once')).stderr, /"event":"tenant_unreadable".*"tenant":"r1"/)
  assert.equal(await redis.command('GET', 'chv:_:tenant:r1'), before)
  assert.match(await redis.command('GET', 'chv:_:tenant:r2'), /s:11:"CHEVERETO_B";s:1:"2";/)
  await api.sql('UPDATE tenants SET env = ? WHERE id = ?', env, 'r1')
  // A restored database has another epoch.
  await api.sql("UPDATE registry SET epoch = '0123456789abcdef'")
  const { stderr, status } = await agent.run('once')
  assert.equal(status, 0)
  assert.match(stderr, /"event":"full_sync"/)
  assert.match(await redis.command('GET', 'chv:_:tenant:r1'), /s:11:"CHEVERETO_B";s:1:"2";/)
})

test('a thousand tenants of the Worker are in Redis in under five seconds', { skip }, async () => {
  const { redis, agent } = await cell('many')
  await api.expect(201, 'POST', '/tenants-plans', { body: { id: 'many', limits: { CHEVERETO_B: '2' }, env: { CHEVERETO_A: '1' } } })
  const one = { hostname: 'm0.example.com', is_enabled: true, cell_id: 'many', plan_id: 'many' }
  await api.expect(201, 'POST', '/tenants', { body: { id: 'm0', ...one } })
  // The other 999 are the first one's row, since a thousand requests would take longer than all other tests.
  await api.sql(`WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 999)
    INSERT INTO tenants (id, hostname, is_enabled, plan_id, created_at, updated_at, cell_id)
    SELECT 'm' || n, 'm' || n || '.example.com', is_enabled, plan_id, created_at, updated_at, cell_id FROM tenants, n WHERE id = 'm0'`)
  const started = Date.now()
  const once = await agent.run('once')
  const took = Date.now() - started
  assert.equal(once.status, 0, once.stderr)
  assert.equal((await redis.keys()).filter((k) => k.includes(':tenant:')).length, 1000)
  assert.ok(took < 5000, `${took} ms`)
})
