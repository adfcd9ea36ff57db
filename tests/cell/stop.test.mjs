// SIGTERM ends the agent within 30 seconds, whatever it waits for. The tests run side by side, since each of them waits that long.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { agentProgram, makeAgent, noCell, startMariaDb, startRedis, until } from './parts.mjs'
import { startRegistry } from './registry.mjs'

const skip = noCell({ database: true })
if (!skip) agentProgram()

/** Sends SIGTERM, and returns after how many seconds the agent ended. */
async function secondsToStop(agent) {
  const started = Date.now()
  agent.child.kill('SIGTERM')
  await agent.ended
  return (Date.now() - started) / 1000
}

describe('SIGTERM', { skip, concurrency: true }, () => {
  test('a command that takes too long goes on, and the next agent waits for it', async () => {
    const [registry, redis, database] = await Promise.all([startRegistry(), startRedis(), startMariaDb()])
    const agent = makeAgent({ registry, redis, database })
    registry.put({ id: 'slow' })
    registry.leaseSeconds = 5
    agent.slow('install', 28)
    agent.start()
    const job = registry.install('slow')
    await until(() => agent.calls().includes('install slow'), 'the command')
    const took = await secondsToStop(agent)
    assert.ok(took > 20 && took < 30, `${took} s`)
    assert.equal(agent.child.exitCode, 0)
    assert.equal(job.state, 'running')
    assert.ok(!agent.calls().includes('installed slow'))
    agent.start()
    assert.equal((await registry.ended(job)).state, 'done', job.error)
    assert.deepEqual(agent.calls(), ['install slow', 'installed slow', 'install slow', 'password-reset slow'])
    assert.equal(database.rows('SELECT * FROM chv_slow_users').length, 1)
    await agent.stop()
  })

  test('a registry that does not answer', async () => {
    const [registry, redis] = await Promise.all([startRegistry(), startRedis()])
    const agent = makeAgent({ registry, redis })
    registry.put({ id: 'a' })
    agent.start()
    await agent.event('redis_written')
    registry.hangs = true
    // A round has begun.
    const before = registry.seen()
    await until(() => registry.seen() > before, 'a request')
    const took = await secondsToStop(agent)
    assert.ok(took < 30, `${took} s`)
    assert.equal(agent.child.exitCode, 0)
    assert.equal(agent.events('stopped').length, 1)
  })
})
