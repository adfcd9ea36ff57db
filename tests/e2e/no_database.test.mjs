// A caller without a valid key and signature must not cost a query (API.md §2). Here every query fails, because there are no tables.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from './harness.mjs'

const api = await startApi({ schema: false })
const body = { id: 'a', hostname: 'a.example.com', is_enabled: true }

test('a request that is refused before the batch never reaches the database', async () => {
  const table = [
    [404, 'GET', '/nothing'], [405, 'PUT', '/tenants'], [401, 'POST', '/tenants', { body, key: null }], [401, 'POST', '/tenants', { body, key: `${api.key}A` }],
    [401, 'POST', '/tenants', { body, key: api.key.replace(/.$/, (c) => (c === 'A' ? 'B' : 'A')) }], [413, 'POST', '/tenants', { body: 'x'.repeat(65_537) }],
    [401, 'POST', '/tenants', { body, signature: api.sign('x') }], [401, 'GET', '/tenants', { signature: null }], [415, 'POST', '/tenants', { body, headers: { 'Content-Type': 'text/plain' } }],
    [400, 'POST', '/tenants', { body: '{' }], [422, 'POST', '/tenants', { body: {} }], [422, 'GET', '/tenants?limit=0'],
  ]
  for (const [status, ...request] of table) await api.expect(status, ...request)
})

test('without tables a read is a 500, and a write, which is tried twice, a 503; the log has the cause, the response has not', async () => {
  const reads = [['POST', '/auth/verify'], ['GET', '/tenants'], ['GET', '/tenants/a'], ['GET', '/tenants-plans']]
  const writes = [['POST', '/tenants', { body }], ['DELETE', '/tenants/a']]
  for (const [status, code, [method, where, options]] of [...reads.map((r) => [500, 'internal', r]), ...writes.map((w) => [503, 'unavailable', w])]) {
    const { json, headers } = await api.refuse(status, code, method, where, options)
    assert.doesNotMatch(`${json.title} ${json.detail}`, /api_keys|table|SELECT|D1|SQL/i)
    await api.logged(headers['x-request-id'])
  }
  await api.logged('no such table')
})
