// The cell's part of Traefik's configuration in a file: a real Traefik with its file provider, in front of real PHP.
import assert from 'node:assert/strict'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { noTraefik } from '../e2e/traefik.mjs'
import { agentProgram, makeAgent, noCell, startPhp, startRedis, temporary, until } from './parts.mjs'
import { startRegistry } from './registry.mjs'
import { startTraefik } from './traefik.mjs'

const skip = noCell() || noTraefik()
if (!skip) agentProgram()

test('a visitor reaches a site through Traefik, which restarts while the registry is down', { skip }, async () => {
  const [registry, redis] = await Promise.all([startRegistry(), startRedis()])
  const php = await startPhp({ redis })
  registry.service = `http://127.0.0.1:${php.port}`
  registry.put({ id: 'a', limits: { CHEVERETO_MAX_USERS: '5' } })
  const file = path.join(temporary('dynamic'), 'tenants.yml')
  const agent = makeAgent({ registry, redis, env: { TENANTS_AGENT_TRAEFIK_FILE: file } })
  agent.start()
  await agent.event('traefik_written')
  assert.equal(statSync(file).mode & 0o777, 0o644)
  const traefik = await startTraefik(file)
  const { body } = await traefik.until(200, 'a.example')
  assert.equal(body.settings.CHEVERETO_MAX_USERS, '5')
  assert.equal((await traefik.ask('b.example')).body, '404 page not found')

  registry.put({ id: 'b' })
  await traefik.until(200, 'b.example', (b) => b.id === 'b')
  registry.put({ id: 'a', is_enabled: false })
  await traefik.until(403, 'a.example', (b) => b.error === 'Website disabled')

  registry.down(true)
  await agent.event('registry_down')
  const before = readFileSync(file, 'utf8')
  await traefik.stop()
  const again = await startTraefik(file)
  await again.until(200, 'b.example', (b) => b.id === 'b')
  registry.down(false)
  registry.remove('b')
  await again.until(404, 'b.example', (b) => b === '404 page not found')
  assert.notEqual(readFileSync(file, 'utf8'), before)
})

test('a change of nothing leaves the file alone, and a lost file is written again', { skip }, async () => {
  const [registry, redis] = await Promise.all([startRegistry(), startRedis()])
  registry.put({ id: 'a' })
  const file = path.join(temporary('dynamic'), 'tenants.yml')
  const agent = makeAgent({ registry, redis, env: { TENANTS_AGENT_TRAEFIK_FILE: file } })
  agent.start()
  await agent.event('traefik_written')
  const { mtimeMs } = statSync(file)
  registry.put({ id: 'a', limits: { A: '1' } })
  await until(() => agent.events('redis_written').length === 2, 'the second write')
  await sleep(500)
  assert.equal(statSync(file).mtimeMs, mtimeMs)
  writeFileSync(file, '')
  await agent.stop()
  agent.start()
  await until(() => statSync(file).size > 0, 'the file is written again')
  await agent.stop()
  const refused = makeAgent({ registry, redis, env: { TENANTS_AGENT_TRAEFIK_FILE: path.join(path.dirname(file), 'tenants.json') } })
  const once = await refused.run('once')
  assert.equal(once.status, 4)
  assert.match(once.stderr, /ends in .yml or .yaml/)
})

test('a change that waits for `accept` does not reach the file either', { skip }, async () => {
  const [registry, redis] = await Promise.all([startRegistry(), startRedis()])
  registry.put({ id: 'a' })
  const file = path.join(temporary('dynamic'), 'tenants.yml')
  const agent = makeAgent({ registry, redis, env: { TENANTS_AGENT_TRAEFIK_FILE: file } })
  assert.equal((await agent.run('once')).status, 0)
  const before = readFileSync(file, 'utf8')
  registry.restore({ rows: new Map(), revision: 0 })
  agent.start()
  await agent.event('held')
  await sleep(500)
  assert.equal(readFileSync(file, 'utf8'), before)
  assert.match((await agent.run('accept')).stdout, /accepted/)
  await until(() => !readFileSync(file, 'utf8').includes('a.example'), 'the file')
  await agent.stop()
})

test('a registry without a configuration for Traefik does not hold up the sites', { skip }, async () => {
  const [registry, redis] = await Promise.all([startRegistry(), startRedis()])
  registry.traefik = () => undefined
  registry.put({ id: 'a' })
  const agent = makeAgent({ registry, redis, env: { TENANTS_AGENT_TRAEFIK_FILE: path.join(temporary('dynamic'), 'tenants.yml') } })
  agent.start()
  await agent.event('traefik_not_read')
  registry.put({ id: 'b' })
  await until(async () => (await redis.keys()).includes('chv:_:tenant:b'), 'the second tenant')
  await sleep(1000)
  assert.deepEqual(agent.events('registry_down'), [])
  // Not in every round.
  assert.ok(agent.events('traefik_not_read').length <= 2)
})
