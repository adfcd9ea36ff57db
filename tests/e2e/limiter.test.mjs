// The binding RATE_LIMITER (API.md §2): it is asked once for each request of a key whose MAC has passed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { forgeKey, startApi } from './harness.mjs'

const LIMIT = 5
const PERIOD = 60

/** Miniflare's limiter begins a new period with each minute. Waits for the next one, if this one is nearly over. */
async function earlyInThePeriod() {
  const left = PERIOD - (Date.now() / 1000) % PERIOD
  if (left < 25) await sleep(left * 1000 + 100)
}

test('a key over its limit gets 429, and other keys are unhurt', async () => {
  const api = await startApi({ limiter: { limit: LIMIT, period: PERIOD } })
  const other = await api.makeKey()
  await earlyInThePeriod()
  // Whoever does not have the key cannot use up its limit.
  const forged = forgeKey('another secret', api.keyId)
  for (let i = 0; i < LIMIT + 2; i++) await api.expect(401, 'GET', '/tenants', { key: forged })
  // What is wrong after the MAC counts.
  await api.expect(401, 'GET', '/tenants', { signature: null })
  await api.expect(422, 'GET', '/tenants?limit=x')
  for (let i = 2; i < LIMIT; i++) await api.expect(200, 'GET', '/tenants')
  const { headers } = await api.refuse(429, 'too_many_requests', 'GET', '/tenants', { headers: { 'X-Request-Id': 'limited' } })
  assert.equal(headers['retry-after'], '60')
  await api.refuse(429, 'too_many_requests', 'POST', '/tenants', { body: api.fresh() })
  const [line] = await api.linesOf('limited')
  assert.deepEqual([line.status, line.key_id, line.route], [429, api.keyId, '/tenants'])
  await api.expect(200, 'GET', '/tenants', { key: other.key })
  assert.equal((await api.sql('SELECT count(*) AS n FROM tenants'))[0].n, 0)
  await api.expect(200, 'GET', '/_/health', { base: '' })
})

test('without the binding there is no limit', async () => {
  const api = await startApi()
  for (let i = 0; i < 3 * LIMIT; i++) await api.expect(200, 'GET', '/tenants')
})

test('the use of a key is noted after its first response of an hour, and once', async () => {
  const api = await startApi()
  const { id, key } = await api.makeKey()
  const used = async () => (await api.sql('SELECT last_used_at FROM api_keys WHERE id = ?', id))[0].last_used_at
  assert.equal(await used(), null)
  const before = new Date()
  await api.expect(200, 'GET', '/tenants', { key })
  for (let tries = 0; await used() === null && tries < 100; tries++) await sleep(20)
  const hours = [before, new Date()].map((time) => `${time.toISOString().slice(0, 13).replace('T', ' ')}:00:00`)
  assert.ok(hours.includes(await used()), await used())
  // A value that only the same write would replace.
  await api.sql('UPDATE api_keys SET last_used_at = NULL WHERE id = ?', id)
  await api.expect(200, 'GET', '/tenants', { key })
  await sleep(200)
  if (new Date().getUTCHours() === before.getUTCHours()) assert.equal(await used(), null)
  assert.deepEqual(await api.sql('SELECT * FROM audit_log'), [])
})
