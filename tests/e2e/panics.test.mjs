// A trap in the wasm: that request is answered 500 with its id, and nothing else notices.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from './harness.mjs'

// In front of the real Worker: hands it requests whose method has a line break, which HTTP cannot carry, and at which the wasm's
// own check of what it is handed panics.
const api = await startApi({
  front: `
    import worker from './worker.js'
    export default {
      fetch(request, env, ctx) {
        if (!request.headers.has('x-test-panic')) return worker.fetch(request, env, ctx)
        const { url, headers, body } = request
        return worker.fetch({ method: 'GET\\nHEAD', url, headers, body }, env, ctx)
      },
    }`,
})

const panics = (id) => ({ headers: { 'X-Test-Panic': '1', 'X-Request-Id': id } })

test('a request whose wasm panics is answered 500 with its id, and logged with its cause', async () => {
  await api.refuse(500, 'internal', 'GET', '/tenants', panics('panic-alone'))
  const [line] = await api.linesOf('panic-alone')
  assert.equal(line.level, 'error')
  assert.equal(line.status, 500)
  assert.match(line.cause, /panicked at src\/lib\.rs.*\n.*eight lines/)
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
