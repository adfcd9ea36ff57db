// The whole of it with real parts: the built Worker in workerd, the agent, Redis, MariaDB, and PHP with a stand-in for Chevereto.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { agentProgram, makeAgent, noCell, startMariaDb, startPhp, until } from './parts.mjs'
import { round, startRig, tenantsIn } from './rig.mjs'

const skip = noCell({ database: true })
if (!skip) agentProgram()
const database = skip ? undefined : await startMariaDb()
const { api, front, cell, tenant } = skip ? {} : await startRig({ database })
const installation = { username: 'admin', email: 'admin@example.com', password: 'correct horse' }

test('from nothing to a page: create, install within the request, change, reset, disable, drop', { skip }, async () => {
  const { redis, agent } = await cell('main')
  const php = await startPhp({ redis, env: { ...database.env, CHEVERETO_TENANT_ENFORCED: '{"CHEVERETO_FORCED": "root"}' } })
  await api.expect(201, 'POST', '/tenants-plans', { body: { id: 'basic', limits: { CHEVERETO_MAX_USERS: '2' }, env: { CHEVERETO_FROM: 'plan' } } })
  await tenant('main', 'w', { plan_id: 'basic', env: { CHEVERETO_FORCED: 'mine' } })
  await tenant('main', 'w_b', { plan_id: 'basic' })
  agent.start()
  await php.until(503, 'w.example.com')
  const started = Date.now()
  const installed = await api.expect(201, 'POST', '/tenants/w/install', { body: installation })
  assert.ok(Date.now() - started < 10_000)
  assert.deepEqual(installed.json, { id: 'w', username: 'admin', email: 'admin@example.com' })
  await api.expect(201, 'POST', '/tenants/w_b/install', { body: installation })
  const page = await php.until(200, 'w.example.com')
  assert.deepEqual(page.body.settings, { CHEVERETO_MAX_USERS: '2', CHEVERETO_FROM: 'plan', CHEVERETO_FORCED: 'root' })
  await api.expect(409, 'POST', '/tenants/w/install', { body: installation })
  assert.equal((await api.expect(200, 'GET', '/tenants/w')).json.site.state, 'installed')

  const [[, , , before]] = database.rows('SELECT * FROM `chv_w_users`')
  const reset = await api.expect(200, 'PATCH', '/tenants/w/user-password-reset', { body: { username: 'admin' } })
  assert.equal(reset.json.username, 'admin')
  const [[, , , after]] = database.rows('SELECT * FROM `chv_w_users`')
  assert.notEqual(after, before)
  await api.expect(404, 'PATCH', '/tenants/w/user-password-reset', { body: { username: 'nobody' } })

  // `w` dropped leaves `w_b` whole.
  await api.expect(204, 'DELETE', '/tenants/w', { body: { drop_tables: true } })
  await php.until(404, 'w.example.com')
  await php.until(200, 'w-b.example.com')
  assert.deepEqual(database.tables().filter((t) => t.startsWith('chv_w_')).sort(), ['chv_w_b_albums', 'chv_w_b_settings', 'chv_w_b_users'])
  assert.ok(!(await redis.keys()).some((key) => key.startsWith('chv:w:')))
  const seen = (await api.expect(200, 'GET', '/cells/main')).json
  assert.match(seen.agent_version, /^\d+\.\d+\.\d+$/)
  await until(async () => (await api.expect(200, 'GET', '/cells/main')).json.behind === 0, 'the agent has followed')
  const check = await agent.run('check')
  assert.equal(check.status, 0, check.stdout + check.stderr)
  await agent.stop()
})

test('an edited plan, a disabled tenant, a deleted one, a swap of hostnames and a flushed Redis: each within two rounds', { skip }, async () => {
  const { redis, agent } = await cell('rounds')
  const php = await startPhp({ redis })
  await api.expect(201, 'POST', '/tenants-plans', { body: { id: 'rounds', limits: { CHEVERETO_MAX_USERS: '2' } } })
  for (const id of ['p1', 'p2', 'p3', 'p4']) await tenant('rounds', id, { plan_id: 'rounds' })
  await round(agent)
  const statuses = () => Promise.all(['p1', 'p2', 'p3', 'p4'].map(async (id) => (await php.ask(`${id}.example.com`)).status))
  assert.deepEqual(await statuses(), [200, 200, 200, 200])
  const twoRounds = async () => {
    await round(agent)
    await round(agent)
  }

  await api.expect(204, 'PATCH', '/tenants-plans/rounds', { body: { limits: { CHEVERETO_MAX_USERS: '9' } } })
  await twoRounds()
  for (const id of ['p1', 'p2', 'p3', 'p4']) assert.equal((await php.ask(`${id}.example.com`)).body.settings.CHEVERETO_MAX_USERS, '9')

  await api.expect(204, 'PATCH', '/tenants/p1', { body: { is_enabled: false } })
  await api.expect(204, 'DELETE', '/tenants/p2')
  await twoRounds()
  assert.deepEqual(await statuses(), [403, 404, 200, 200])

  // The registry has no two tenants with one name at any time, so a swap takes three steps. The agent sees their end alone.
  const rename = (id, hostname) => api.expect(204, 'PATCH', `/tenants/${id}`, { body: { hostname } })
  await rename('p3', 'between.example.com')
  await rename('p4', 'p3.example.com')
  await rename('p3', 'p4.example.com')
  await twoRounds()
  const id = async (hostname) => (await php.ask(hostname)).body.id
  assert.deepEqual([await id('p3.example.com'), await id('p4.example.com')], ['p4', 'p3'])
  assert.equal((await php.ask('between.example.com')).status, 404)

  await redis.command('FLUSHALL')
  assert.deepEqual(await statuses(), [404, 404, 404, 404])
  await twoRounds()
  assert.deepEqual(await statuses(), [403, 404, 200, 200])
  // With the registry down, too.
  await redis.command('FLUSHALL')
  front.isDown = true
  const { stderr } = await round(agent, 3)
  front.isDown = false
  assert.match(stderr, /"event":"redis_rewritten"/)
  assert.match(stderr, /"the registry: \S+ cannot be reached/)
  assert.deepEqual(await statuses(), [403, 404, 200, 200])
})

test('an agent follows its own cell alone, and its key gets 403 for the tenants and jobs of another', { skip }, async () => {
  const [one, two] = [await cell('one'), await cell('two')]
  for (const [id, where] of [['x1', 'one'], ['x2', 'one'], ['x3', 'two']]) await tenant(where, id)
  for (const { agent } of [one, two]) await round(agent)
  assert.deepEqual([await tenantsIn(one.redis), await tenantsIn(two.redis)], [['x1', 'x2'], ['x3']])
  await api.expect(204, 'PATCH', '/tenants/x2', { body: { cell_id: 'two' } })
  for (const { agent } of [one, two]) await round(agent)
  assert.deepEqual([await tenantsIn(one.redis), await tenantsIn(two.redis)], [['x1'], ['x2', 'x3']])

  // A key signs a body alone here, and has the scopes of an agent's. The second cell's job is leased, so that it is there with a token.
  const keyOf = async (id) => (await api.expect(201, 'POST', '/keys', { body: { name: id, scopes: [`cell:${id}`] } })).json.api_key
  const [own, key] = [await keyOf('one'), await keyOf('two')]
  const install = api.call('POST', '/tenants/x3/install', { body: installation })
  const lease = async () => (await api.expect(200, 'POST', '/cells/two/jobs/lease', { key, body: { max: 1, seconds: 60 } })).json.jobs[0]
  const job = await until(lease, 'the job')
  const as = { key: own }
  for (const [method, where, body] of [
    ['GET', '/cells/two/tenants'], ['POST', '/cells/two/jobs/lease', { max: 1, seconds: 60 }], ['POST', '/cells/two/stats', { tenants: [] }],
    ['POST', `/jobs/${job.id}/renew`, { lease: job.lease, seconds: 60 }], ['POST', `/jobs/${job.id}/finish`, { lease: job.lease, state: 'done' }],
    ['GET', '/tenants/x1'], ['GET', '/tenants/x3'], ['GET', '/jobs'], ['GET', '/cells/one'],
  ]) await api.refuse(403, 'insufficient_scope', method, where, { ...as, body })
  await api.expect(204, 'POST', `/jobs/${job.id}/renew`, { key, body: { lease: job.lease, seconds: 60 } })
  await api.expect(200, 'POST', `/jobs/${job.id}/finish`, { key, body: { lease: job.lease, state: 'done' } })
  assert.equal((await install).status, 201)

  // An agent with the wrong cell's key changes nothing, and its log says why.
  const strange = makeAgent({ registry: one.registry, redis: one.redis, database, cell: 'two' })
  assert.match((await round(strange, 3)).stderr, /status 403, insufficient_scope/)
  assert.deepEqual(await tenantsIn(one.redis), ['x1'])
  // Another agent of a cell is refused while the first one was seen.
  const second = makeAgent({ registry: one.registry, redis: one.redis, cell: 'one' })
  assert.match((await round(second, 3)).stderr, /agent_conflict/)
})

test('a row that cannot be decrypted keeps what it had, and all others follow', { skip }, async () => {
  const { redis, agent } = await cell('broken')
  const put = (id, body) => api.expect(204, 'PATCH', `/tenants/${id}`, { body })
  for (const id of ['r1', 'r2']) await tenant('broken', id, { env: { CHEVERETO_A: '1' } })
  await round(agent)
  const before = await redis.command('GET', 'chv:_:tenant:r1')
  await put('r1', { limits: { CHEVERETO_B: '2' } })
  await put('r2', { limits: { CHEVERETO_B: '2' } })
  const [{ env }] = await api.sql('SELECT env FROM tenants WHERE id = ?', 'r1')
  await api.sql('UPDATE tenants SET env = ? WHERE id = ?', env.slice(0, -8) + 'AAAAAAAA', 'r1')
  assert.match((await round(agent)).stderr, /"event":"tenant_unreadable".*"tenant":"r1"/)
  assert.equal(await redis.command('GET', 'chv:_:tenant:r1'), before)
  assert.match(await redis.command('GET', 'chv:_:tenant:r2'), /s:11:"CHEVERETO_B";s:1:"2";/)
  await api.sql('UPDATE tenants SET env = ? WHERE id = ?', env, 'r1')
  await put('r1', { limits: { CHEVERETO_B: '3' } })
  await round(agent)
  assert.match(await redis.command('GET', 'chv:_:tenant:r1'), /s:11:"CHEVERETO_B";s:1:"3";/)
})

test('a thousand tenants are in Redis in under five seconds, and an idle round reads as many rows as with ten', { skip }, async () => {
  const { redis, registry, agent } = await cell('many')
  await api.expect(201, 'POST', '/tenants-plans', { body: { id: 'many', limits: { CHEVERETO_B: '2' }, env: { CHEVERETO_A: '1' } } })
  await tenant('many', 'm0', { plan_id: 'many' })
  /** Makes tenants up to this number: each is the first one's row, since a thousand requests would take longer than all other tests. */
  const upTo = (count) => api.sql(`WITH RECURSIVE n (n) AS (SELECT (SELECT count(*) FROM tenants WHERE cell_id = 'many') UNION ALL SELECT n + 1 FROM n WHERE n < ?)
    INSERT INTO tenants (id, hostname, is_enabled, plan_id, created_at, updated_at, cell_id)
    SELECT 'm' || n, 'm' || n || '.example.com', is_enabled, plan_id, created_at, updated_at, cell_id FROM tenants, n WHERE id = 'm0'`, count - 1)
  /** The rows that each idle round reads. Its request is the only one. */
  const idle = async () => {
    agent.start()
    const polls = () => front.requests.filter((r) => r.url.startsWith('/_/api/4/cells/many/'))
    const from = front.requests.length
    await until(() => front.requests.slice(from).some((r) => r.status === 304), 'a 304')
    const before = polls().length
    await sleep(1200)
    const requests = polls().slice(before)
    await agent.stop()
    assert.ok(requests.length >= 3, `${requests.length} rounds`)
    assert.deepEqual([...new Set(requests.map((r) => `${r.method} ${r.url.split('?')[0]} ${r.status}`))], ['GET /_/api/4/cells/many/tenants 304'])
    return Math.max(...requests.map((r) => r.rows))
  }
  await upTo(10)
  await round(agent)
  assert.equal((await tenantsIn(redis)).length, 10)
  const ten = await idle()

  await upTo(1000)
  const fresh = makeAgent({ registry, redis, cell: 'many' })
  // It is the same agent, with a lost state file.
  await api.sql("UPDATE cells SET agent = NULL WHERE id = 'many'")
  const started = Date.now()
  await round(fresh)
  const took = Date.now() - started
  assert.equal((await tenantsIn(redis)).length, 1000)
  assert.ok(took < 5000, `${took} ms`)
  await api.sql("UPDATE cells SET agent = NULL WHERE id = 'many'")
  await round(agent)
  const thousand = await idle()
  assert.equal(thousand, ten)
  assert.ok(ten > 0 && ten < 50, `${ten} rows`)
  console.log(`a full sync of 1,000 tenants: ${took} ms; an idle round: ${ten} rows`)
})
