// A trap in the wasm: that request is answered 500 with its id, and nothing else notices.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startApi } from './harness.mjs'

// In front of the real Worker: hands it requests whose method has a line break, which HTTP cannot carry, and at which the wasm's
// own check of what it is handed panics. And it can make the database slow.
const front = `
    import worker from './shim.mjs'
    const slow = (db, ms) => ({
      prepare: (text) => ({
        bind: (...values) => ({ raw: () => scheduler.wait(ms).then(() => db.prepare(text).bind(...values).raw()) }),
      }),
    })
    export default {
      fetch(request, env, ctx) {
        const ms = Number(request.headers.get('x-test-slow'))
        if (ms) return worker.fetch(request, { ...env, DB: slow(env.DB, ms) }, ctx)
        if (!request.headers.has('x-test-panic')) return worker.fetch(request, env, ctx)
        const { url, headers, body } = request
        return worker.fetch({ method: 'GET\\nHEAD', url, headers, body }, env, ctx)
      },
    }`
const api = await startApi({ front })

const panics = (id) => ({ headers: { 'X-Test-Panic': '1', 'X-Request-Id': id } })

test('a request whose wasm panics is answered 500 with its id, and logged with its cause', async () => {
  await api.refuse(500, 'internal', 'GET', '/tenants', panics('panic-alone'))
  const [line] = await api.linesOf('panic-alone')
  assert.equal(line.level, 'error')
  assert.equal(line.status, 500)
  assert.match(line.cause, /panicked at src\/request\.rs.*\n.*nine lines/)
})

test('those that wait for the database beside it, and those that come after it, are served', async () => {
  const tenant = await api.tenant({ env: { A: '1' } })
  for (let round = 0; round < 5; round++) {
    const beside = Array.from({ length: 12 }, () => api.expect(200, 'GET', `/tenants/${tenant.id}`))
    const panicked = api.refuse(500, 'internal', 'GET', '/tenants', panics(`panic-${round}`))
    const more = Array.from({ length: 12 }, () => api.tenant({ env: { A: '1' } }))
    await panicked
    for (const { json } of await Promise.all(beside)) assert.deepEqual(json, tenant)
    await Promise.all(more)
    assert.deepEqual((await api.expect(200, 'GET', `/tenants/${tenant.id}`)).json, tenant)
  }
})

test('a thousand panics do not wear it out', async () => {
  for (let i = 0; i < 1000; i += 50)
    await Promise.all(Array.from({ length: 50 }, (_, k) => api.refuse(500, 'internal', 'GET', '/tenants', panics(`panic-many-${i + k}`))))
  await api.tenant({ env: { A: '1' } })
})

test('who waits for longer than a wasm that trapped is kept gets a 500, and never the answer to another', async () => {
  // An instance of its own: its first request waits under the same number as the first one of the wasm that starts anew.
  const own = await startApi({ front })
  const [a, b] = [await own.tenant(), await own.tenant()]
  const first = own.refuse(500, 'internal', 'GET', `/tenants/${a.id}`, { headers: { 'X-Test-Slow': '12000' } })
  await sleep(200)
  await own.refuse(500, 'internal', 'GET', '/tenants', panics('panic-early'))
  await sleep(10_500)
  // Two quick ones, as the two creations were: the next one's number is the first one's.
  for (const tenant of [a, b]) assert.deepEqual((await own.expect(200, 'GET', `/tenants/${tenant.id}`)).json, tenant)
  const second = own.expect(200, 'GET', `/tenants/${b.id}`, { headers: { 'X-Test-Slow': '4000', 'X-Request-Id': 'second' } })
  await first
  const answer = await second
  assert.deepEqual(answer.json, b)
  assert.equal(answer.headers['x-request-id'], 'second')
})
