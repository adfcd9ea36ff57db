// The checks before a body's fields are read: its size, type and form (API.md §2, 5. and §10), and the order of all checks.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { BODY_LIMIT, CURRENT, forgeKey, startApi, utc } from './harness.mjs'

const api = await startApi()
const tenant = await api.tenant()
const plan = await api.plan()

/** Every route that reads its body, with a body that it takes. */
const readers = [
  ['POST', '/tenants', () => api.fresh()],
  ['PATCH', `/tenants/${tenant.id}`, () => ({ is_enabled: true })],
  ['DELETE', `/tenants/${tenant.id}`, () => ({ drop_tables: 1 })],
  ['POST', '/tenants-plans', () => ({ id: api.fresh().id })],
  ['PATCH', `/tenants-plans/${plan.id}`, () => ({ limits: {} })],
]

/** A creation of exactly this many bytes, filled with the longest maps and with spaces. */
function creation(bytes) {
  const maps = { limits: { A: 'x'.repeat(19_000) }, env: { A: 'y'.repeat(39_000) } }
  const body = { ...api.fresh(), ...maps }
  return { ...body, text: JSON.stringify(body).padEnd(bytes) }
}

test('a body of 64 KiB is taken and one byte more is 413, with a length given and without', async () => {
  for (const chunked of [false, true]) {
    const largest = creation(BODY_LIMIT)
    const { json } = await api.expect(201, 'POST', '/tenants', { body: largest.text, chunked })
    assert.deepEqual([json.limits, json.env], [largest.limits, largest.env])
    const larger = creation(BODY_LIMIT + 1)
    await api.refuse(413, 'payload_too_large', 'POST', '/tenants', { body: larger.text, chunked })
    await api.expect(404, 'GET', `/tenants/${larger.id}`)
  }
})

test('texts of every length and alphabet come back as they went, one by one and in a list', async () => {
  const made = []
  // On both sides of the lengths from which on bodies and rows are handed over in another way.
  for (const length of [1, 300, 2_500, 9_000, 19_000, 39_000]) {
    for (const text of ['x'.repeat(length), 'é€𝄞"\n\t'.repeat(length / 20 + 1)]) {
      const { json } = await api.expect(201, 'POST', '/tenants', { body: { ...api.fresh(), env: { A: text } } })
      assert.equal(json.env.A, text)
      assert.deepEqual((await api.expect(200, 'GET', `/tenants/${json.id}`)).json, json)
      made.push(json)
    }
  }
  const { json: all } = await api.expect(200, 'GET', '/tenants')
  for (const one of made) assert.deepEqual(all.find(({ id }) => id === one.id), one)
})

test('the limit holds on every route, also on those that ignore or refuse a body', async () => {
  const body = 'x'.repeat(BODY_LIMIT + 1)
  for (const [method, where] of [...readers, ['POST', '/auth/verify'], ['GET', '/tenants'], ['GET', `/tenants/${tenant.id}`], ['DELETE', `/tenants-plans/${plan.id}`]]) {
    for (const chunked of [false, true]) await api.refuse(413, 'payload_too_large', method, where, { body, chunked, origin: api.direct })
  }
  await api.expect(200, 'GET', `/tenants-plans/${plan.id}`)
})

test('a body that never ends is refused when the limit is passed, not when it ends', async () => {
  const { hostname, port } = new URL(api.direct)
  const socket = net.connect({ host: hostname, port, noDelay: true })
  let status
  socket.on('data', (data) => { status ??= Number(/^HTTP\/1\.1 (\d{3})/.exec(data)?.[1]) })
  socket.on('error', () => {})
  socket.write(`POST ${CURRENT}/tenants HTTP/1.1\r\nHost: x\r\nX-API-Key: ${api.key}\r\nX-Signature: ${'0'.repeat(64)}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`)
  let sent = 0
  for (; status === undefined && sent < 2 * 1024 * 1024; sent += 8192) {
    socket.write(`2000\r\n${' '.repeat(8192)}\r\n`)
    await sleep(5)
  }
  socket.destroy()
  assert.equal(status, 413, `after ${sent} bytes`)
  assert.ok(sent > BODY_LIMIT, `${sent} bytes are not over the limit`)
})

test('whoever sends up to 1 MiB in chunks gets the 413, not a network error', async () => {
  const body = 'x'.repeat(1024 * 1024)
  for (let i = 0; i < 20; i++) await api.refuse(413, 'payload_too_large', 'POST', '/tenants', { body, chunked: true, origin: api.direct })
})

test('a Content-Length that is no number tells nothing of the length', async () => {
  // HTTP servers refuse such a request, so a module in front of the Worker makes it.
  const own = await startApi({
    front: `
    import worker from './shim.mjs'
    export default {
      fetch(request, env, ctx) {
        const { method, url, body } = request
        const headers = new Headers(request.headers)
        headers.set('content-length', 'abc')
        return worker.fetch({ method, url, headers, body }, env, ctx)
      },
    }`,
  })
  await own.refuse(413, 'payload_too_large', 'POST', '/tenants', { body: 'x'.repeat(BODY_LIMIT + 1) })
  await own.expect(201, 'POST', '/tenants', { body: own.fresh() })
})

test('a body that breaks off is a 400, with a length given and without, and changes nothing', async () => {
  const { hostname, port } = new URL(api.direct)
  const body = JSON.stringify(api.fresh())
  for (const [id, framing, sent] of [['with-length', `Content-Length: ${body.length + 1}`, body], ['in-chunks', 'Transfer-Encoding: chunked', `${body.length.toString(16)}\r\n${body}\r\n`]]) {
    const socket = net.connect({ host: hostname, port, noDelay: true })
    socket.on('error', () => {})
    socket.write(`POST ${CURRENT}/tenants HTTP/1.1\r\nHost: x\r\nX-API-Key: ${api.key}\r\nX-Signature: ${api.sign(body)}\r\nX-Request-Id: ${id}\r\nContent-Type: application/json\r\n${framing}\r\n\r\n${sent}`)
    await sleep(200)
    socket.destroy()
    assert.deepEqual((await api.linesOf(id)).map(({ status }) => status), [400])
  }
  await api.expect(404, 'GET', `/tenants/${JSON.parse(body).id}`)
})

test('a length over the limit is refused before the body comes', async () => {
  const { hostname, port } = new URL(api.direct)
  const status = await new Promise((resolve, reject) => {
    const request = http.request({ method: 'POST', hostname, port, path: `${CURRENT}/tenants`, headers: { 'X-API-Key': api.key, 'X-Signature': '0'.repeat(64), 'Content-Length': String(10 ** 9) } })
    request.on('response', (response) => { resolve(response.statusCode); request.destroy() })
    request.on('error', reject)
    request.setTimeout(10_000, () => request.destroy(new Error('it waits for the body')))
    request.flushHeaders()
  })
  assert.equal(status, 413)
})

test('a body that is not JSON by its type is 415', async () => {
  for (const type of [null, '', 'text/plain', 'application/x-www-form-urlencoded', 'text/json', 'application/jsonx', 'application/xml', 'json', 'application/', 'multipart/form-data; boundary=x', 'text/html+json/x']) {
    for (const [method, where, body] of readers) await api.refuse(415, 'unsupported_media_type', method, where, { body: body(), headers: { 'Content-Type': type } })
  }
})

test('an encoded body is a 415 that names the coding, and `identity` is no coding', async () => {
  for (const coding of ['gzip', 'br', 'GZIP', 'identity, gzip']) {
    for (const [method, where, body] of readers) {
      const { headers, json } = await api.refuse(415, 'unsupported_media_type', method, where, { body: body(), headers: { 'Content-Encoding': coding } })
      assert.equal(json.detail, `expected no Content-Encoding, or identity; got \`${coding}\``)
      assert.equal(headers['accept-encoding'], 'identity')
    }
  }
  await api.expect(201, 'POST', '/tenants', { body: api.fresh(), headers: { 'Content-Encoding': 'identity' } })
})

test('a body where none is expected is a 400, so that the signature of another request opens nothing', async () => {
  const { id } = await api.plan()
  for (const [method, where] of [['POST', '/auth/verify'], ['DELETE', `/tenants-plans/${id}`]]) {
    for (const body of ['{', '{}', ' ', Buffer.from([0xff, 0])]) {
      for (const chunked of [false, true]) await api.refuse(400, 'body_unexpected', method, where, { body, chunked })
      await api.refuse(400, 'body_unexpected', method, where, { body, headers: { 'Content-Type': null } })
      await api.refuse(401, 'unauthorized', method, where, { body, signature: api.sign('') })
    }
  }
  await api.expect(200, 'POST', '/auth/verify', { headers: { 'Content-Length': '0' } })
  await api.expect(200, 'POST', '/auth/verify', { body: '', chunked: true })
  await api.expect(204, 'DELETE', `/tenants-plans/${id}`)
})

test('application/json and …+json are JSON, in any case and with parameters', async () => {
  for (const type of ['application/json', 'Application/JSON', 'application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'application/vnd.tenants+json', 'application/merge-patch+json']) {
    await api.expect(201, 'POST', '/tenants', { body: api.fresh(), headers: { 'Content-Type': type } })
    await api.expect(204, 'PATCH', `/tenants/${tenant.id}`, { body: { is_enabled: true }, headers: { 'Content-Type': type } })
  }
})

test('a body where one is needed and none came is 400', async () => {
  for (const [method, where] of readers.filter(([m]) => m !== 'DELETE')) {
    for (const headers of [{}, { 'Content-Type': 'application/json' }, { 'Content-Type': 'application/json', 'Content-Length': '0' }]) await api.refuse(400, 'body_required', method, where, { headers })
    await api.refuse(400, 'body_required', method, where, { body: '', chunked: true })
  }
})

test('what is not one JSON object in UTF-8 is 400', async () => {
  const malformed = {
    'an open brace': '{', 'white space': ' \n', 'not JSON': 'id=a', 'two values': '{}{}', 'something behind': '{} x', 'a trailing comma': '{"id":"a",}', 'single quotes': "{'id':'a'}", 'a comment': '{}// x',
    'a list': '[]', 'a list of objects': '[{"id":"a"}]', null: 'null', true: 'true', 'a number': '1', 'a string': '"{}"', 'NaN': '{"limits":{"A":NaN}}',
    'a byte order mark': '\ufeff{"id":"a"}', 'Latin-1': Buffer.from('{"env":{"A":"\u00fc"}}', 'latin1'), 'a surrogate in UTF-8': Buffer.from('{"env":{"A":"\xed\xa0\x80"}}', 'latin1'), 'overlong UTF-8': Buffer.from('{"env":{"A":"\xc0\xaf"}}', 'latin1'),
    'UTF-16': Buffer.from('{"id":"a"}', 'utf16le'), 'a raw line end in a string': '{"env":{"A":"a\nb"}}', 'an unknown escape': '{"env":{"A":"\\x41"}}',
    'a nest of 30,000 lists': '['.repeat(30_000), 'a nest of 10,000 objects': '{"a":'.repeat(10_000),
    'a member twice': '{"id":"a","id":"a"}', 'a member twice, once escaped': '{"id":"a","\\u0069d":"b"}', 'an unknown member twice': '{"x":1,"x":2}',
  }
  const otherwise = []
  for (const [what, body] of Object.entries(malformed)) {
    for (const [method, where] of readers) {
      const answer = await api.call(method, where, { body })
      if (answer.status !== 400 || answer.json.code !== 'malformed_json') otherwise.push(`${what}: ${method} ${where}: ${answer.status} ${answer.text}`)
    }
  }
  assert.deepEqual(otherwise, [])
})

test('an escape of half a character is JSON by its grammar, and no text: 422', async () => {
  for (const half of ['\\ud800', '\\udc00', 'a\\udbff', '\\udc18\\ud83d']) {
    const body = JSON.stringify({ ...api.fresh(), env: { A: '#', B: 'ok' } }).replace('#', half)
    await api.refuse(422, 'invalid', 'POST', '/tenants', { body }, ['/env/A'])
  }
})

test('a byte order mark is named', async () => {
  const { json } = await api.refuse(400, 'malformed_json', 'POST', '/tenants', { body: '\ufeff{}' })
  assert.equal(json.detail, 'expected JSON without a byte order mark; the body begins with one')
})

test('a variable that comes twice is 422 at its map, which could be read in two ways', async () => {
  const { json: first } = await api.refuse(422, 'invalid', 'POST', '/tenants',
    { body: JSON.stringify(api.fresh()).replace('}', ',"limits":{"A":"1","A":"2"}}') }, ['/limits'])
  assert.equal(first.errors[0].detail, 'expected each name once; `A` comes twice')
  await api.refuse(422, 'invalid', 'POST', '/tenants-plans', { body: '{"id":"twice","env":{"A":"1","B":"","\\u0041":"1"}}' }, ['/env'])
})

test('white space around the object, and escapes in its names, are JSON', async () => {
  const { id, hostname } = api.fresh()
  const { json } = await api.expect(201, 'POST', '/tenants', { body: ` \r\n\t{"\\u0069d":"${id}","hostname":"${hostname}","is_enabled":true,"limits":{"\\u0041":"\\u00e9"}}\n ` })
  assert.deepEqual([json.id, json.limits], [id, { A: 'é' }])
})

test('the checks come in the order of API.md §10; the first that fails answers', async () => {
  const large = 'x'.repeat(BODY_LIMIT + 1)
  const dead = await api.makeKey({ deleted_at: utc(new Date(0)) })
  const unknown = forgeKey(api.secrets.CHEVERETO_TENANTS_API_KEY_SECRET, 999_999)
  const text = { 'Content-Type': 'text/plain' }
  const table = [
    [404, 'route before key', 'POST', '/nothing', { key: null, body: large }],
    [405, 'method before key', 'PUT', '/tenants', { key: null, body: large }],
    [401, 'key form before size', 'POST', '/tenants', { key: 'x', body: large }],
    [401, 'key MAC before size', 'POST', '/tenants', { key: `${api.key.slice(0, -1)}${api.key.endsWith('A') ? 'B' : 'A'}`, body: large }],
    [413, 'size before signature', 'POST', '/tenants', { body: large, signature: null }],
    [413, 'size before the type', 'POST', '/tenants', { body: large, headers: text }],
    [413, "size before the key's row", 'POST', '/tenants', { body: large, key: dead.key }],
    [401, 'signature before type', 'POST', '/tenants', { body: '{', headers: text, signature: api.sign('') }],
    [401, 'signature before form', 'POST', '/tenants', { body: '{', signature: null }],
    [401, 'signature before a missing body', 'POST', '/tenants', { signature: null }],
    [401, 'signature before the query', 'GET', '/tenants?limit=0', { signature: null }],
    [400, 'a missing body before its type', 'POST', '/tenants', { headers: text }],
    [401, 'signature before an unexpected body', 'POST', '/auth/verify', { body: '{', signature: null }],
    [400, "an unexpected body before the key's row", 'POST', '/auth/verify', { body: '{', key: dead.key }],
    [400, 'an unexpected body before whether the plan is there', 'DELETE', '/tenants-plans/nobody', { body: '{}' }],
    [415, 'coding before form', 'POST', '/tenants', { body: '{', headers: { 'Content-Encoding': 'gzip' } }],
    [415, 'type before form', 'POST', '/tenants', { body: '{', headers: text }],
    [415, "type before the key's row", 'POST', '/tenants', { body: '{', headers: text, key: dead.key }],
    [400, "form before the key's row", 'POST', '/tenants', { body: '{', key: unknown }],
    [422, "fields before the key's row", 'POST', '/tenants', { body: {}, key: dead.key }],
    [422, "the query before the key's row", 'GET', '/tenants?limit=0', { key: dead.key }],
    [422, 'fields before whether the tenant is there', 'PATCH', '/tenants/nobody', { body: {} }],
    [422, 'fields before whether the tenant to delete is there', 'DELETE', '/tenants/nobody', { body: { drop_tables: 'yes' } }],
    [422, 'fields before whether the plan is there', 'PATCH', '/tenants-plans/nobody', { body: { limits: 1 } }],
    [422, 'fields before conflicts', 'POST', '/tenants', { body: { id: tenant.id, hostname: tenant.hostname } }],
    [401, "the key's row before whether the tenant is there", 'GET', '/tenants/nobody', { key: dead.key }],
    [401, "the key's row before conflicts", 'POST', '/tenants', { body: { id: tenant.id, hostname: tenant.hostname, is_enabled: true }, key: dead.key }],
    [401, "the key's row before whether the plan is there", 'POST', '/tenants', { body: { ...api.fresh(), plan_id: 'nobody' }, key: unknown }],
    [422, 'a plan that is not there before conflicts', 'POST', '/tenants', { body: { id: tenant.id, hostname: tenant.hostname, is_enabled: true, plan_id: 'nobody' } }],
    [404, 'the tenant before conflicts', 'PATCH', '/tenants/nobody', { body: { hostname: tenant.hostname } }],
  ]
  const otherwise = []
  for (const [status, what, method, where, options] of table) {
    const answer = await api.call(method, where, options)
    if (answer.status !== status) otherwise.push(`${what}: ${answer.status} instead of ${status}: ${answer.text}`)
  }
  assert.deepEqual(otherwise, [])
})
