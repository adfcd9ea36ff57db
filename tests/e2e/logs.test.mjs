// One JSON line a request, and nothing secret in any of them (docs/ARCHITECTURE.md).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { forgeKey, ROOT, startApi } from './harness.mjs'

const api = await startApi()
const { version } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8'))
const mark = () => `mark${randomBytes(8).toString('hex')}`
let n = 0

/** The one line of a request. */
async function lineOf(status, method, where, options = {}) {
  const id = `log-${n++}`
  await api.expect(status, method, where, { ...options, headers: { ...options.headers, 'X-Request-Id': id } })
  const lines = await api.linesOf(id)
  assert.equal(lines.length, 1, `one line for ${method} ${where}: ${JSON.stringify(lines)}`)
  return lines[0]
}

test('every request has one line: method, route template, status, key, duration, request', async () => {
  const { id } = await api.tenant()
  const plan = await api.plan()
  const table = [
    [200, 'POST', '/auth/verify', '/auth/verify'], [200, 'GET', '/tenants', '/tenants'], [200, 'GET', '/tenants?limit=3', '/tenants'], [201, 'POST', '/tenants', '/tenants', { body: api.fresh() }],
    [200, 'GET', `/tenants/${id}`, '/tenants/{id}'], [200, 'HEAD', `/tenants/${id}`, '/tenants/{id}'], [204, 'PATCH', `/tenants/${id}`, '/tenants/{id}', { body: { is_enabled: true } }],
    [404, 'GET', '/tenants/nobody', '/tenants/{id}'], [409, 'POST', '/tenants', '/tenants', { body: { ...api.fresh(), id } }], [422, 'POST', '/tenants', '/tenants', { body: {} }],
    [200, 'GET', '/tenants-plans', '/tenants-plans'], [200, 'GET', `/tenants-plans/${plan.id}`, '/tenants-plans/{id}'], [204, 'DELETE', `/tenants-plans/${plan.id}`, '/tenants-plans/{id}'], [204, 'DELETE', `/tenants/${id}`, '/tenants/{id}'],
  ]
  for (const [status, method, where, route, options] of table) {
    const { duration_ms, request_id, ...line } = await lineOf(status, method, where, options)
    assert.ok(typeof duration_ms === 'number' && duration_ms >= 0 && duration_ms < 60_000, `${duration_ms}`)
    assert.deepEqual(line, { level: line.level, method, route, status, key_id: api.keyId, version })
  }
})

test('a health check has its line, with the version that its response has', async () => {
  const { json } = await api.expect(200, 'GET', '/_/health', { base: '', key: null, signature: null })
  assert.deepEqual(json, { version, schema: readdirSync(path.join(ROOT, 'migrations')).sort().at(-1) })
  const { duration_ms, request_id, ...line } = await lineOf(200, 'GET', '/_/health', { base: '', key: null, signature: null })
  assert.deepEqual(line, { level: 'info', method: 'GET', route: '/_/health', status: 200, key_id: null, version })
})

test('only the line of a request whose address was refused has the address', async () => {
  const own = await startApi({ vars: { CHEVERETO_TENANTS_API_IP_ALLOW_LIST: '192.0.2.7' } })
  for (const [status, where, address] of [[200, '/tenants', '192.0.2.7'], [403, '/tenants', '192.0.2.8'], [404, '/config/traefik', '192.0.2.7']]) {
    const { headers } = await own.expect(status, 'GET', where, { headers: { 'CF-Connecting-IP': address } })
    const [line] = await own.linesOf(headers['x-request-id'])
    assert.equal(line.client_address, status === 200 ? undefined : address)
  }
})

test('a request that was refused has its line too; a key that was not verified is no key', async () => {
  const forged = forgeKey(randomBytes(16).toString('hex'), 77)
  for (const [status, method, where, options] of [
    [404, 'GET', '/nothing', { key: null }], [405, 'PUT', '/tenants', { key: null }], [401, 'GET', '/tenants', { key: null }], [401, 'GET', '/tenants', { key: forged }], [401, 'GET', '/tenants', { key: 'x' }],
  ]) {
    const line = await lineOf(status, method, where, options)
    assert.deepEqual([line.method, line.status, line.key_id ?? null], [method, status, null])
  }
  for (const [status, options] of [[413, { body: 'x'.repeat(65_537) }], [401, { signature: null }], [415, { body: '{}', headers: { 'Content-Type': 'text/plain' } }], [400, { body: '{' }]]) {
    assert.equal((await lineOf(status, 'POST', '/tenants', options)).status, status)
  }
})

test('a request refused without the database has its line: many at once, and where the caller has gone', async () => {
  const ids = Array.from({ length: 50 }, () => mark())
  await Promise.all(ids.map((id) => api.expect(401, 'GET', '/tenants', { signature: null, headers: { 'X-Request-Id': id } })))
  const gone = mark()
  const socket = net.connect({ port: Number(new URL(api.url).port), host: '127.0.0.1' })
  socket.write(`GET /_/api/4/tenants HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: ${gone}\r\n\r\n`)
  await once(socket, 'data')
  socket.resetAndDestroy()
  for (const id of [...ids, gone]) {
    const lines = await api.linesOf(id)
    assert.deepEqual(lines.map(({ level, status }) => [level, status]), [['warn', 401]], id)
  }
})

test('the line carries the request id that the answer has when the caller gave none', async () => {
  const { headers } = await api.expect(200, 'GET', '/tenants')
  assert.equal((await api.linesOf(headers['x-request-id'])).length, 1)
})

test('no console line holds anything of a body, of a header or of a query', async () => {
  const marks = []
  const put = () => (marks.push(mark()), marks.at(-1))
  const key = forgeKey(put(), 5)
  const headers = () => ({ 'X-Custom': put(), 'User-Agent': put(), Authorization: `Bearer ${put()}`, Cookie: `a=${put()}`, 'X-Request-Id': `${put()} !` })
  const signature = randomBytes(32).toString('hex')
  marks.push(key, key.split('_')[2], signature)
  const made = { ...api.fresh(), hostname: `${put()}.example.com`, limits: { A: put() }, env: { B: put() } }
  await api.expect(201, 'POST', '/tenants', { body: made, headers: headers() })
  await api.expect(204, 'PATCH', `/tenants/${made.id}`, { body: { env: { C: put() }, limits: { D: put() }, hostname: `${put()}.example.com` }, headers: headers() })
  await api.expect(409, 'POST', '/tenants', { body: { ...made, env: { E: put() } }, headers: headers() })
  await api.expect(422, 'POST', '/tenants', { body: { [put()]: put(), env: { [put()]: put() }, id: `${put()}!`, hostname: `${put()}!`, plan_id: `${put()}!` }, headers: headers() })
  await api.expect(400, 'POST', '/tenants', { body: `{"${put()}": ${put()}`, headers: headers() })
  await api.expect(401, 'POST', '/tenants', { body: put(), key, headers: headers() })
  await api.expect(401, 'POST', '/tenants', { body: put(), key: put(), headers: headers() })
  await api.expect(401, 'POST', '/tenants', { body: put(), signature, headers: headers() })
  await api.expect(401, 'POST', '/tenants', { body: put(), signature: put(), headers: headers() })
  await api.expect(415, 'POST', '/tenants', { body: put(), headers: { ...headers(), 'Content-Type': `text/${put()}` } })
  await api.expect(422, 'GET', `/tenants?limit=${put()}&after=${put()}!`, { headers: headers() })
  await api.expect(404, 'GET', `/tenants/nobody?q=${put()}`, { headers: headers() })
  await api.expect(200, 'GET', '/tenants', { headers: headers() })
  await lineOf(200, 'GET', '/tenants') // and with this one's line, theirs have come
  assert.ok(api.logs.length > 13 && marks.length > 80)
  api.assertNothingSecretLogged(...marks)
})

test('no problem repeats a key, a signature or an env value', async () => {
  const env = mark()
  const bad = { ...api.fresh(), is_enabled: 1, env: { A: env, b: env, C: [env] } }
  const { text } = await api.expect(422, 'POST', '/tenants', { body: bad })
  assert.ok(!text.includes(env), text)
  for (const options of [{ key: `${api.key}x` }, { signature: 'f'.repeat(63) }]) {
    const { text: refused } = await api.expect(401, 'GET', '/tenants', options)
    assert.ok(!refused.includes(api.key) && !refused.includes('f'.repeat(63)), refused)
  }
})

test('a log level leaves out the lines below it, of requests and of runs, and never an error', async () => {
  for (const [level, logged] of [['info', ['GET 200', 'GET 401', 'stats', 'POST 503']], ['warn', ['GET 401', 'POST 503']], ['error', ['POST 503']]]) {
    const own = await startApi({ vars: { TENANTS_LOG_LEVEL: level, CHEVERETO_ENCRYPTION_KEY: undefined } })
    await own.expect(200, 'GET', '/tenants')
    await own.expect(401, 'GET', '/tenants', { signature: null })
    await own.scheduled()
    const { headers } = await own.expect(503, 'POST', '/tenants', { body: { ...own.fresh(), env: { A: '1' } } })
    assert.equal((await own.linesOf(headers['x-request-id'])).length, 1)
    // With the last one's line, those before it have come.
    assert.deepEqual(own.logs.map((line) => JSON.parse(line)).map(({ job, method, status }) => job ?? `${method} ${status}`), logged)
  }
})
