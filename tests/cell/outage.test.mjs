// Parts that are away, and a registry whose database is another one: the built Worker, the agent, Redis, MariaDB and PHP.
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { startApi } from '../e2e/harness.mjs'
import { agentProgram, noCell, startMariaDb, startPhp, temporary, until } from './parts.mjs'
import { round, startRig, tenantsIn } from './rig.mjs'

const skip = noCell({ database: true })
if (!skip) agentProgram()
const database = skip ? undefined : await startMariaDb()
const installation = { username: 'admin', email: 'admin@example.com', password: 'correct horse' }

test('the registry, Redis and MariaDB are away while things change, and nothing is lost', { skip }, async () => {
  const { api, front, cell, tenant } = await startRig({ database })
  const { redis, agent } = await cell('main', { env: { TENANTS_AGENT_LEASE_SECONDS: '5' } })
  const php = await startPhp({ redis, env: database.env })
  for (const id of ['d1', 'd2', 'd3']) await tenant('main', id)
  agent.start()
  await agent.event('redis_written')
  await api.expect(201, 'POST', '/tenants/d1/install', { body: installation })

  // The registry, in the middle of an installation. Sites stay up, and the report is made up for.
  agent.slow('install', 1)
  const second = api.call('POST', '/tenants/d2/install', { body: installation })
  await until(() => agent.calls().includes('install d2'), 'the command')
  front.isDown = true
  await agent.event('registry_down')
  await agent.event('job_not_reported')
  await redis.command('FLUSHALL')
  await php.until(200, 'd1.example.com')
  await api.expect(204, 'PATCH', '/tenants/d1', { body: { limits: { CHEVERETO_MAX_USERS: '7' } } })
  front.isDown = false
  await php.until(200, 'd1.example.com', (body) => body.settings.CHEVERETO_MAX_USERS === '7')
  await agent.event('registry_up')
  assert.equal((await second).status, 201)
  await php.until(200, 'd2.example.com')

  // Redis: no job is taken, and the changes arrive when it is back.
  await redis.stop()
  await agent.event('redis_down')
  const third = api.call('POST', '/tenants/d3/install', { body: installation })
  await api.expect(204, 'PATCH', '/tenants/d1', { body: { limits: { CHEVERETO_MAX_USERS: '8' } } })
  const before = front.requests.length
  await new Promise((resolve) => setTimeout(resolve, 1000))
  assert.equal(front.requests.length, before)
  assert.equal((await api.expect(200, 'GET', '/jobs?tenant=d3')).json[0].state, 'waiting')
  await redis.start()
  await agent.event('redis_up')
  assert.equal((await third).status, 201)
  await php.until(200, 'd1.example.com', (body) => body.settings.CHEVERETO_MAX_USERS === '8')

  // MariaDB: a drop waits for it, an installation says what is wrong, and works when it is back.
  await tenant('main', 'd4')
  await database.stop()
  const drop = api.call('DELETE', '/tenants/d2', { body: { drop_tables: true } })
  await agent.event('database_down')
  agent.slow('install', 0)
  const refused = await api.call('POST', '/tenants/d4/install', { body: installation })
  assert.equal(refused.status, 502, refused.text)
  assert.equal(refused.json.code, 'job_failed')
  assert.match((await api.expect(200, 'GET', '/jobs?tenant=d4')).json[0].error, /^MySQL: /)
  assert.ok(agent.events('job_ended').some((line) => line.tenant === 'd4' && line.state === 'failed'))
  await database.start()
  assert.equal((await drop).status, 204)
  await api.expect(201, 'POST', '/tenants/d4/install', { body: installation })
  assert.deepEqual(database.tables().filter((table) => table.endsWith('_users')), ['chv_d1_users', 'chv_d3_users', 'chv_d4_users'])
  for (const id of ['d1', 'd3', 'd4']) assert.equal(database.rows(`SELECT * FROM chv_${id}_users`).length, 1)
  const check = await agent.run('check')
  assert.equal(check.status, 0, check.stdout)
  await agent.stop()
})

test('a restored database is followed, and an empty one removes nothing', { skip }, async () => {
  const [now, copy] = [path.join(temporary('d1'), 'now'), path.join(temporary('d1'), 'copy')]
  const { api, front, cell, tenant } = await startRig({ persist: now })
  const { redis, agent } = await cell('main')
  const php = await startPhp({ redis })
  for (const id of ['e1', 'e2']) await tenant('main', id, { limits: { CHEVERETO_MAX_USERS: '1' } })
  await round(agent)
  const keys = await api.sql('SELECT * FROM api_keys ORDER BY id')
  await api.stop()
  cpSync(now, copy, { recursive: true })

  // Another Worker with the same secrets, at the same address.
  const another = async (options) => {
    const next = await startApi({ vars: api.secrets, schema: false, ...options })
    next.key = api.key
    front.target = next.url
    return next
  }
  const later = await another({ persist: now })
  await later.expect(204, 'PATCH', '/tenants/e1', { body: { limits: { CHEVERETO_MAX_USERS: '2' }, hostname: 'later.example.com' } })
  await later.expect(204, 'DELETE', '/tenants/e2')
  await later.expect(201, 'POST', '/tenants', { body: { id: 'e3', hostname: 'e3.example.com', is_enabled: true, cell_id: 'main' } })
  await round(agent)
  assert.deepEqual(await tenantsIn(redis), ['e1', 'e3'])
  await later.stop()

  // An earlier state, as `tenants restore` leaves it: with a new epoch.
  const restored = await another({ persist: copy })
  await restored.sql("UPDATE registry SET epoch = lower(hex(randomblob(8)))")
  const { stderr } = await round(agent)
  assert.match(stderr, /"event":"full_sync"/)
  assert.deepEqual(await tenantsIn(redis), ['e1', 'e2'])
  assert.equal((await php.ask('e1.example.com')).body.settings.CHEVERETO_MAX_USERS, '1')
  assert.deepEqual(await Promise.all(['e2', 'later', 'e3'].map(async (name) => (await php.ask(`${name}.example.com`)).status)), [200, 404, 404])
  const check = await agent.run('check')
  assert.equal(check.status, 0, check.stdout)
  await restored.stop()

  // An empty database with the same keys: first without the cell, then with it.
  const empty = await another({ schema: true })
  empty.key = api.key
  await empty.sql('DELETE FROM api_keys')
  for (const key of keys) {
    const names = Object.keys(key)
    await empty.sql(`INSERT INTO api_keys (${names.join()}) VALUES (${names.map(() => '?').join()})`, ...Object.values(key))
  }
  assert.match((await round(agent, 3)).stderr, /status 404/)
  await empty.expect(201, 'PUT', '/cells/main', { body: {} })
  assert.match((await round(agent, 1)).stderr, /"event":"held".*none of the sites/)
  assert.match((await round(agent, 1)).stderr, /see `tenants-agent accept`/)
  assert.deepEqual(await tenantsIn(redis), ['e1', 'e2'])
  assert.equal((await php.ask('e1.example.com')).status, 200)
})
