// Paths, methods, and the headers of every response (API.md §2, §3, §10).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CURRENT, startApi } from './harness.mjs'

const api = await startApi()
const tenant = await api.tenant({ id: 'abc' })
const plan = await api.plan({ id: 'abc' })

const routes = [
  ['/auth/verify', 'POST'],
  ['/config/traefik', 'GET, HEAD'],
  ['/tenants', 'GET, HEAD, POST'],
  [`/tenants/${tenant.id}`, 'GET, HEAD, PUT, PATCH, DELETE'],
  ['/tenants-plans', 'GET, HEAD, POST'],
  [`/tenants-plans/${plan.id}`, 'GET, HEAD, PUT, PATCH, DELETE'],
  ['/audit', 'GET, HEAD'],
  ['/events', 'GET, HEAD'],
]
const allowed = (text) => text.split(',').map((m) => m.trim()).sort()

test('an unknown path is a 404, with or without a key', async () => {
  const paths = [
    '', '/', '/nothing', '/tenant', '/Tenants', '/TENANTS', '/tenants/', '/tenants//', '//tenants', '/tenants/abc/', '/tenants/abc/x', '/tenants/abc/install/x',
    '/tenants-plans/', '/tenants-plans/abc/', '/tenants-plans/abc/x', '/tenants_plans', '/auth', '/auth/', '/auth/verify/', '/auth/Verify', '/tenants%2Fabc', '/tenants%20', '/tenants;a=1',
  ]
  for (const where of paths) {
    for (const method of ['GET', 'POST', 'PATCH', 'DELETE']) {
      await api.refuse(404, 'not_found', method, where)
      await api.refuse(404, 'not_found', method, where, { key: null, signature: null })
    }
    await api.expect(404, 'HEAD', where)
  }
  for (const base of ['', '/', '/_', '/_/api', '/_/api/', '/_/api/5', '/_/API/4', '/api/4', '/_/api/4/_/api/4']) await api.refuse(404, 'not_found', 'GET', '/tenants', { base })
})

test('an id is not percent-decoded, so an id with a % is a 404', async () => {
  for (const id of ['%61bc', 'ab%63', 'abc%00', 'abc%2F', '%', '%zz', 'a%20b', 'abc%0A']) {
    for (const collection of ['/tenants', '/tenants-plans']) {
      await api.refuse(404, 'not_found', 'GET', `${collection}/${id}`)
      await api.refuse(404, 'not_found', 'DELETE', `${collection}/${id}`)
    }
    await api.refuse(404, 'not_found', 'PATCH', `/tenants/${id}`, { body: { is_enabled: true } })
    await api.refuse(404, 'not_found', 'PATCH', `/tenants-plans/${id}`, { body: { limits: {} } })
  }
  assert.equal((await api.expect(200, 'GET', '/tenants/abc')).json.id, 'abc')
})

test('a malformed id is a 404', async () => {
  for (const id of ['a'.repeat(17), '_a', '-a', 'a.b', "a'b", 'a"b', 'a$', 'a+b', 'é'.normalize('NFC').replace(/./u, '%C3%A9'), '..%2f', '*']) {
    await api.refuse(404, 'not_found', 'GET', `/tenants/${id}`)
    await api.refuse(404, 'not_found', 'DELETE', `/tenants/${id}`)
  }
  await api.refuse(404, 'not_found', 'GET', `/tenants-plans/${'a'.repeat(65)}`)
})

test('an unsupported method on a known path is a 405 whose Allow lists the supported ones', async () => {
  for (const [where, allow] of routes) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'MKCOL', 'REPORT', 'QUERY']) {
      if (allowed(allow).includes(method)) continue
      for (const options of [{}, { key: null, signature: null }]) {
        const answer = await api.expect(405, method, where, options)
        if (method !== 'HEAD') assert.equal(answer.json.code, 'method_not_allowed')
        assert.deepEqual(allowed(answer.headers.allow), allowed(allow), `${method} ${where}`)
      }
    }
  }
})

test('an unknown method reads and writes nothing', async () => {
  const answer = await api.expect(405, 'PROPFIND', '/tenants/abc')
  assert.ok(!answer.text.includes(tenant.hostname))
  await api.expect(200, 'GET', '/tenants/abc')
})

test('HEAD returns the status and headers of GET, without a body', async () => {
  for (const where of ['/tenants', '/tenants?limit=1', '/tenants/abc', '/tenants/nobody', '/tenants?limit=0', '/tenants-plans', '/tenants-plans/abc', '/tenants-plans/nobody']) {
    const get = await api.call('GET', where)
    const head = await api.call('HEAD', where)
    assert.equal(head.status, get.status, where)
    assert.equal(head.text, '')
    const comparable = ({ date: _, 'x-request-id': __, 'transfer-encoding': ___, 'content-length': ____, 'content-encoding': _____, ...rest }) => rest
    assert.deepEqual(comparable(head.headers), comparable(get.headers), where)
  }
  await api.expect(401, 'HEAD', '/tenants', { key: null })
  await api.expect(401, 'HEAD', '/tenants', { signature: api.sign('x') })
})

const everyKindOfAnswer = [
  [200, 'POST', '/auth/verify'], [200, 'GET', '/tenants'], [200, 'HEAD', '/tenants/abc'], [204, 'PATCH', '/tenants/abc', { body: { is_enabled: true } }],
  [400, 'POST', '/tenants', { body: '{' }], [401, 'GET', '/tenants', { key: null }], [404, 'GET', '/nothing'], [404, 'GET', '/tenants/nobody'], [405, 'PUT', '/tenants'],
  [409, 'POST', '/tenants', { body: { id: 'abc', hostname: 'other.example.com', is_enabled: true } }], [413, 'POST', '/tenants', { body: 'x'.repeat(65_537) }],
  [415, 'POST', '/tenants', { body: '{}', headers: { 'Content-Type': 'text/plain' } }], [422, 'POST', '/tenants', { body: {} }],
]

test("every kind of response returns the caller's request id if it is valid", async () => {
  for (const [status, method, where, options] of everyKindOfAnswer) {
    for (const id of ['a', 'A.b_c-1', '0'.repeat(64), '-']) {
      const answer = await api.expect(status, method, where, { ...options, headers: { ...options?.headers, 'X-Request-Id': id } })
      assert.equal(answer.headers['x-request-id'], id, `${method} ${where}`)
    }
  }
})

test('an invalid request id is replaced by a new one', async () => {
  const seen = new Set()
  for (const bad of [null, '', '0'.repeat(65), 'a b', 'a/b', 'a,b', '<x>', 'a"b', 'a:b', '\u00e9']) {
    for (const [status, method, where, options] of everyKindOfAnswer) {
      const answer = await api.expect(status, method, where, { ...options, headers: { ...options?.headers, 'X-Request-Id': bad } })
      assert.notEqual(answer.headers['x-request-id'], bad)
      seen.add(answer.headers['x-request-id'])
    }
  }
  assert.equal(seen.size, 10 * everyKindOfAnswer.length, 'every generated id is different')
})

test('the Location of a creation is the path of the new row', async () => {
  const { id, hostname } = api.fresh()
  const made = await api.expect(201, 'POST', '/tenants', { body: { id, hostname, is_enabled: true } })
  assert.equal(made.headers.location, `${CURRENT}/tenants/${id}`)
  assert.equal((await api.expect(201, 'POST', '/tenants-plans', { body: { id } })).headers.location, `${CURRENT}/tenants-plans/${id}`)
  assert.deepEqual((await api.expect(200, 'GET', made.headers.location, { base: '' })).json, made.json)
})
