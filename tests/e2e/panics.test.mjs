// A trap in the wasm: that request is answered 500 with its id, and nothing else notices.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startApi } from './harness.mjs'

// In front of the real Worker: hands it requests whose method has a line break, which HTTP cannot carry, and at which the wasm's
// own check of what it is handed panics. And it can make the database slow, and change the log's level, which an instance of the
// wasm reads once.
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
        const level = request.headers.get('x-test-level')
        if (level) return worker.fetch(request, { ...env, TENANTS_LOG_LEVEL: level }, ctx)
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
  assert.match(line.cause, /panicked at src\/request\.rs.*\n.*too many lines/)
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

test('who waits for a cell beside it gets a 202, since the wasm that trapped is soon gone', async () => {
  await api.expect(201, 'PUT', '/cells/eu', { body: {} })
  await api.expect(201, 'POST', '/tenants', { body: { id: 'far', hostname: 'far.example.com', is_enabled: true, cell_id: 'eu' } })
  const began = Date.now()
  const installed = api.expect(202, 'POST', '/tenants/far/install', { body: { username: 'admin', email: 'admin@example.com', password: 'correct horse' } })
  await sleep(500)
  await api.refuse(500, 'internal', 'GET', '/tenants', panics('panic-beside-a-cell'))
  assert.equal((await installed).json.state, 'waiting')
  assert.ok(Date.now() - began < 15_000, 'it went on waiting')
})

test('who waits for longer than a wasm that trapped is kept gets a 500, and never the answer to another', async () => {
  // An instance of its own: its first request waits under the same number as the first one of the wasm that starts anew.
  const own = await startApi({ front })
  const [a, b] = [await own.tenant(), await own.tenant()]
  const began = Date.now()
  const first = own.refuse(500, 'internal', 'GET', `/tenants/${a.id}`, { headers: { 'X-Test-Slow': '12000' } })
  await sleep(200)
  await own.refuse(500, 'internal', 'GET', '/tenants', panics('panic-early'))
  await sleep(10_500)
  // Two quick ones, as the two creations were: the next one's number is the first one's.
  for (const tenant of [a, b]) assert.deepEqual((await own.expect(200, 'GET', `/tenants/${tenant.id}`)).json, tenant)
  const second = own.expect(200, 'GET', `/tenants/${b.id}`, { headers: { 'X-Test-Slow': '4000', 'X-Request-Id': 'second' } })
  // Or else the first one's rows come before it, and nothing is shown.
  assert.ok(Date.now() - began < 12_000, 'the second one began too late')
  await first
  const answer = await second
  assert.deepEqual(answer.json, b)
  assert.equal(answer.headers['x-request-id'], 'second')
})

test('a request whose caller hung up runs to its end, and does not keep the wasm that trapped', async () => {
  const own = await startApi({ front })
  await own.expect(200, 'GET', '/tenants', { headers: { 'X-Test-Level': 'info' } })
  const { hostname, port } = new URL(own.direct)
  const headers = { 'X-API-Key': own.key, 'X-Signature': own.sign(''), 'X-Request-Id': 'hung-up', 'X-Test-Slow': '600' }
  const hungUp = http.get({ hostname, port, path: '/_/api/4/tenants', headers })
  await new Promise((resolve) => hungUp.on('error', resolve).on('response', resolve) && setTimeout(() => hungUp.destroy(), 200))
  assert.deepEqual((await own.linesOf('hung-up')).map(({ status }) => status), [200])
  const level = (id) => own.expect(200, 'GET', '/tenants', { headers: { 'X-Test-Level': 'error', 'X-Request-Id': id } })
  await level('old-instance')
  await own.refuse(500, 'internal', 'GET', '/tenants', panics('panic-after'))
  await level('new-instance')
  // The new instance logs errors alone, and so the last line is of the panic.
  await own.refuse(500, 'internal', 'GET', '/tenants', panics('panic-last'))
  await own.linesOf('panic-last')
  const ids = own.logs.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line).request_id)
  assert.deepEqual(ids.slice(-3), ['old-instance', 'panic-after', 'panic-last'])
})
