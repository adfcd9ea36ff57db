// One data point a request, if a dataset is bound as METRICS (docs/OPERATING.md). Whatever the dataset does, the request is answered.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from './harness.mjs'

// In front of the real Worker: a dataset that writes its points to the console, one that throws, or one that is none. And it can make the
// wasm panic, as panics.test.mjs does.
const front = (dataset) => `
    import worker from './shim.mjs'
    const METRICS = ${dataset}
    export default {
      fetch(request, env, ctx) {
        const own = METRICS === undefined ? env : { ...env, METRICS }
        if (!request.headers.has('x-test-panic')) return worker.fetch(request, own, ctx)
        const { url, headers, body } = request
        return worker.fetch({ method: 'GET\\nHEAD', url, headers, body }, own, ctx)
      },
    }`
const WRITES = "{ writeDataPoint: (point) => console.log('point ' + JSON.stringify(point)) }"
const THROWS = "{ writeDataPoint() { throw new TypeError('the dataset is full') } }"

const pointsOf = (api) => api.logs.filter((line) => line.startsWith('point ')).map((line) => JSON.parse(line.slice('point '.length)))

test('every request leaves one point: route, method, dialect, status, duration, key', async () => {
  const api = await startApi({ front: front(WRITES) })
  const { id } = await api.tenant()
  const none = { key: null, signature: null }
  const table = [
    [200, 'GET', `/tenants/${id}`, {}, ['/tenants/{id}', 'GET', 'current'], String(api.keyId)],
    [404, 'GET', '/tenants/nobody', {}, ['/tenants/{id}', 'GET', 'current'], String(api.keyId)],
    [204, 'DELETE', `/tenants/${id}`, {}, ['/tenants/{id}', 'DELETE', 'current'], String(api.keyId)],
    [401, 'POST', '/tenants', none, ['/tenants', 'POST', 'current'], 'none'],
    [405, 'PROPFIND', '/tenants', none, ['/tenants', 'other', 'current'], 'none'],
    [404, 'GET', '/a-path-of-a-caller', none, ['none', 'GET', 'current'], 'none'],
    [404, 'GET', '/tenants/a', { base: '/api/4/_', ...none }, ['none', 'GET', 'legacy'], 'none'],
    [200, 'GET', '/_/health', { base: '', ...none }, ['/_/health', 'GET', 'current'], 'none'],
    [500, 'GET', '/tenants', { headers: { 'X-Test-Panic': '1' } }, ['none', 'other', 'current'], 'none'],
  ]
  for (const [status, method, where, options] of table) await api.expect(status, method, where, options)
  const last = await api.expect(401, 'GET', '/tenants', none)
  await api.linesOf(last.headers['x-request-id'])
  const points = pointsOf(api)
  const [created, ...others] = points.slice(0, -1)
  assert.deepEqual([created.blobs, created.doubles[0]], [['/tenants', 'POST', 'current'], 201])
  assert.deepEqual(
    others.map(({ blobs, doubles: [status], indexes }) => [status, blobs, indexes]),
    table.map(([status, , , , blobs, key]) => [status, blobs, [key]]))
  for (const { blobs, doubles, indexes } of points) {
    assert.deepEqual([blobs.length, doubles.length, indexes.length], [3, 2, 1])
    assert.ok(doubles[1] >= 0 && doubles[1] < 60_000, `${doubles[1]} ms`)
  }
})

for (const [name, dataset] of [['throws', THROWS], ['is of another kind', "'a text'"]]) {
  test(`a dataset that ${name} fails no request, and the log says so once`, async () => {
    const api = await startApi({ front: front(dataset) })
    for (let i = 0; i < 3; i++) await api.tenant()
    await api.refuse(401, 'unauthorized', 'GET', '/tenants', { key: null })
    const warnings = () => api.logs.filter((line) => line.includes('"binding":"METRICS"'))
    await api.logged('"binding":"METRICS"')
    assert.equal(warnings().length, 1)
    const { level, cause } = JSON.parse(warnings()[0])
    assert.equal(level, 'warn')
    assert.match(cause, /TypeError/)
  })
}

test('without a dataset nothing is written and nothing is logged', async () => {
  const api = await startApi({ front: front('undefined') })
  await api.tenant()
  const { headers } = await api.expect(200, 'GET', '/tenants')
  await api.linesOf(headers['x-request-id'])
  assert.deepEqual(pointsOf(api), [])
  assert.ok(!api.logs.some((line) => line.includes('METRICS')))
})
