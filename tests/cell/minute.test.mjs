// An outage of a whole minute of the registry, of Redis and of MariaDB, under the agent's own interval: nothing is lost. The tests run side by side,
// since each of them waits for its minute.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { agentProgram, noCell, startMariaDb, startPhp, until } from './parts.mjs'
import { startRig } from './rig.mjs'

const skip = noCell({ database: true })
if (!skip) agentProgram()
const MINUTE = 60_000
/** What comes back is noticed after the longest pause between two tries, at the latest. */
const within = 90_000
const installation = { username: 'admin', email: 'admin@example.com', password: 'correct horse' }
const [ofRegistry, database, fallible] = skip ? [] : await Promise.all([startRig(), startMariaDb(), startMariaDb()])
const { api, front, cell, tenant } = skip ? {} : await startRig()

/** Asks for an installation as a caller that does not wait, and asks again when its job has ended: the first answer is the one to have. */
const asker = (api, id) => {
  const ask = (prefer) => api.call('POST', `/tenants/${id}/install`, { body: installation, headers: { 'Idempotency-Key': `install-${id}`, ...(prefer ? { Prefer: prefer } : {}) } })
  return {
    begin: async () => assert.equal((await ask('respond-async')).status, 202),
    end: async () => {
      const job = async () => (await api.expect(200, 'GET', `/jobs?tenant=${id}`)).json
      await until(async () => (await job())[0].state === 'done', () => `the installation of ${id}`, { within })
      assert.equal((await job()).length, 1)
      const answer = await ask()
      assert.equal(answer.status, 201, answer.text)
    },
  }
}
const checked = async (agent) => {
  const check = await agent.run('check')
  assert.equal(check.status, 0, check.stdout + check.stderr)
}
const administrators = (database, id) => database.rowsSoFar(`SELECT name FROM \`chv_${id}_users\``)

describe('a minute', { skip, concurrency: true }, () => {
  test('without the registry', async () => {
    const { api, front, cell, tenant } = ofRegistry
    const env = { TENANTS_AGENT_CRON_WORKERS: '1' }
    const { redis, agent } = await cell('main', { interval: '2', database, env })
    const php = await startPhp({ redis, env: database.env })
    for (const id of ['m1', 'm2', 'm3', 'm4']) await tenant('main', id, { env: { CHEVERETO_SCHEDULER_INTERVAL: '10' } })
    agent.start()
    await agent.event('redis_written')
    await api.expect(201, 'POST', '/tenants/m1/install', { body: installation })
    // Once a minute the agent looks which sites are installed, and when it starts.
    await agent.stop()
    agent.start()
    const [running, waiting] = [asker(api, 'm2'), asker(api, 'm4')]
    agent.slow('install', 2)
    await running.begin()
    await until(() => agent.calls().includes('install m2'), 'the command')

    front.isDown = true
    const end = Date.now() + MINUTE
    const requests = front.requests.length
    await waiting.begin()
    await api.expect(204, 'PATCH', '/tenants/m1', { body: { limits: { CHEVERETO_MAX_USERS: '7' }, hostname: 'moved.example.com' } })
    await api.expect(204, 'DELETE', '/tenants/m3')
    await tenant('main', 'm5')
    await agent.event('job_not_reported')
    await redis.command('FLUSHALL')
    await php.until(200, 'm1.example.com')
    await php.until(200, 'm2.example.com')
    const before = agent.calls().length
    await sleep(end - Date.now())
    assert.equal(front.requests.length, requests)
    // Sites stay up, and their cron goes on.
    assert.equal((await php.ask('m1.example.com')).status, 200)
    assert.ok(agent.calls().slice(before).filter((call) => call === 'cron m1').length >= 3, agent.calls().join())
    const pauses = agent.events('registry_down').map((line) => line.again_in_seconds)
    assert.deepEqual(pauses, [2, 4, 8, 16, 32].slice(0, pauses.length))
    assert.ok(pauses.length >= 4, pauses.join())

    front.isDown = false
    await until(() => agent.events('registry_up').length > 0, 'the registry', { within })
    assert.deepEqual((await php.until(200, 'moved.example.com')).body.settings.CHEVERETO_MAX_USERS, '7')
    await php.until(404, 'm1.example.com')
    await php.until(404, 'm3.example.com')
    await php.until(503, 'm5.example.com')
    await Promise.all([running.end(), waiting.end()])
    for (const id of ['m1', 'm2', 'm4']) {
      assert.deepEqual(administrators(database, id), [['admin']])
      assert.equal(agent.calls().filter((call) => call === `installed ${id}`).length, 1)
    }
    await until(async () => (await api.expect(200, 'GET', '/tenants/m2')).json.stats.users === 1, 'the statistics that were counted meanwhile')
    await checked(agent)
    await agent.stop()
  })

  test('without Redis', async () => {
    const { redis, agent } = await cell('redis', { interval: '2', database })
    const php = await startPhp({ redis, env: database.env })
    for (const id of ['r1', 'r2', 'r3']) await tenant('redis', id)
    agent.start()
    await agent.event('redis_written')
    await api.expect(201, 'POST', '/tenants/r1/install', { body: installation })

    await redis.stop()
    const end = Date.now() + MINUTE
    await agent.event('redis_down')
    const waiting = asker(api, 'r3')
    await waiting.begin()
    await api.expect(204, 'PATCH', '/tenants/r1', { body: { limits: { CHEVERETO_MAX_USERS: '7' } } })
    await api.expect(204, 'DELETE', '/tenants/r2')
    await tenant('redis', 'r4')
    const ofCell = () => front.requests.filter(({ url }) => url.includes('/cells/redis/')).length
    const requests = ofCell()
    await sleep(end - Date.now())
    assert.equal(ofCell(), requests)
    assert.equal((await api.expect(200, 'GET', '/jobs?tenant=r3')).json[0].state, 'waiting')
    // The connection that broke off, and those that are refused.
    assert.ok(agent.events('redis_down').length <= 2, 'a long outage is no long log')

    await redis.start()
    await until(() => agent.events('redis_up').length > 0, 'Redis')
    await php.until(200, 'r1.example.com', (body) => body.settings.CHEVERETO_MAX_USERS === '7')
    await php.until(404, 'r2.example.com')
    await php.until(503, 'r4.example.com')
    await waiting.end()
    assert.deepEqual(administrators(database, 'r3'), [['admin']])
    await checked(agent)
    await agent.stop()
  })

  test('without MariaDB', async () => {
    const { redis, agent } = await cell('mariadb', { interval: '2', database: fallible })
    const php = await startPhp({ redis, env: fallible.env })
    for (const id of ['d1', 'd2']) await tenant('mariadb', id)
    agent.start()
    await agent.event('redis_written')
    for (const id of ['d1', 'd2']) await api.expect(201, 'POST', `/tenants/${id}/install`, { body: installation })

    await fallible.stop()
    const end = Date.now() + MINUTE
    const drop = (prefer) => api.call('DELETE', '/tenants/d1', { body: { drop_tables: true }, headers: { 'Idempotency-Key': 'drop-d1', ...prefer } })
    assert.equal((await drop({ Prefer: 'respond-async' })).status, 202)
    await agent.event('database_down')
    await php.until(404, 'd1.example.com')
    await sleep(end - Date.now())
    const [job] = (await api.expect(200, 'GET', '/jobs?tenant=d1&state=running')).json
    assert.equal(job.kind, 'drop')

    await fallible.start()
    await until(async () => (await api.expect(200, 'GET', `/jobs/${job.id}`)).json.state === 'done', 'the drop', { within })
    assert.equal((await drop()).status, 204)
    assert.deepEqual(fallible.tables().filter((table) => table.endsWith('_users')), ['chv_d2_users'])
    await php.until(200, 'd2.example.com')
    await checked(agent)
    await agent.stop()
  })
})
