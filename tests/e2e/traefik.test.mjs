// GET /config/traefik (API.md §2, §7): access, content, ETag, and that a bad row does not affect the others.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, describe, test } from 'node:test'
import { freshSecrets, startApi } from './harness.mjs'

const ROUTE = '/config/traefik'
const DEVELOPMENT = { TENANTS_DEVELOPMENT: 'true' }
const CLOUDFLARE = [
  '173.245.48.0/20', '103.21.244.0/22', '103.22.200.0/22', '103.31.4.0/22', '141.101.64.0/18', '108.162.192.0/18', '190.93.240.0/20', '188.114.96.0/20', '197.234.240.0/22', '198.41.128.0/17',
  '162.158.0.0/15', '104.16.0.0/13', '104.24.0.0/14', '172.64.0.0/13', '131.0.72.0/22', '2400:cb00::/32', '2606:4700::/32', '2803:f800::/32', '2405:b500::/32', '2405:8100::/32', '2a06:98c0::/29', '2c0f:f248::/32',
]
/** Options for a request from an address, with neither key nor signature. */
const from = (address) => ({ key: null, signature: null, headers: { 'CF-Connecting-IP': address } })
/** Options for a request with only a key, from an address on the list. */
const LISTED = '192.0.2.7'
const LIST = `${LISTED}, 198.51.100.0/24, 2001:db8::/32`
const withKey = (key, address = LISTED) => ({ key, signature: null, headers: { 'CF-Connecting-IP': address } })
/** Options for a request as an operator on this machine sends it. */
const local = (headers = {}) => ({ key: null, signature: null, headers })
const read = async (api, headers) => api.expect(200, 'GET', ROUTE, local(headers))
const routersOf = async (api) => Object.keys((await read(api)).json.http.routers)
/** Returns the routers' names in the order of the text. A parsed object would list names of digits first. */
const inOrder = (text) => [...text.slice(text.indexOf('"routers"') + '"routers"'.length, text.indexOf('"services"')).matchAll(/"([^"]*)":\{"rule"/g)].map((m) => m[1])
const router = (hostname, service = 'php', entryPoint = 'websecure') => ({ rule: `Host(\`${hostname}\`)`, service, entryPoints: [entryPoint], middlewares: ['allow-range'] })
/** Starts another epoch, as a restore does. The Worker remembers the last body until a write, and a change by hand is none. */
const forget = (api) => api.sql('UPDATE registry SET epoch = lower(hex(randomblob(8)))')
/** Inserts a row directly, including rows that the API would refuse to write. */
const insert = (api, id, hostname, enabled = 1) => api.sql(
  "INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES (?, ?, ?, '2026-01-01 00:00:00', '2026-01-01 00:00:00')", id, hostname, enabled)

describe('access', () => {
  test('in development a loopback address needs no key and no signature', async () => {
    const api = await startApi({ vars: DEVELOPMENT })
    for (const address of ['127.0.0.1', '127.0.0.2', '127.255.255.254', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '::ffff:7f00:1']) await api.expect(200, 'GET', ROUTE, from(address))
    await api.expect(200, 'GET', ROUTE, local())
    for (const address of ['126.255.255.255', '128.0.0.1', '10.0.0.1', '192.0.2.7', '0.0.0.0', '::', '::2', '::ffff:10.0.0.1', '::ffff:128.0.0.1', '::127.0.0.1', 'localhost']) {
      await api.refuse(404, 'not_found', 'GET', ROUTE, from(address))
      await api.refuse(404, 'not_found', 'GET', ROUTE, { headers: { 'CF-Connecting-IP': address } })
    }
    // These requests have no known address.
    await api.refuse(404, 'not_found', 'GET', ROUTE, { ...local(), origin: api.direct })
    await api.refuse(404, 'not_found', 'GET', ROUTE, { ...local({ 'X-Forwarded-For': '127.0.0.1', 'X-Real-IP': '::1', Forwarded: 'for=127.0.0.1' }), origin: api.direct })
  })

  test('when deployed, a loopback address gets a 404, with or without a key', async () => {
    for (const vars of [{}, { TENANTS_DEVELOPMENT: 'false' }, { TENANTS_DEVELOPMENT: '' }]) {
      const api = await startApi({ vars })
      for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', LISTED]) {
        await api.refuse(404, 'not_found', 'GET', ROUTE, from(address))
        await api.refuse(404, 'not_found', 'GET', ROUTE, withKey(api.key, address))
        await api.refuse(404, 'not_found', 'GET', ROUTE, { headers: { 'CF-Connecting-IP': address } })
        await api.expect(404, 'HEAD', ROUTE, from(address))
      }
    }
  })

  test('when deployed, an address on the list needs a valid key but no signature', async () => {
    const api = await startApi({ vars: { CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: LIST } })
    for (const address of [LISTED, '::ffff:192.0.2.7', '198.51.100.200', '2001:db8::1']) await api.expect(200, 'GET', ROUTE, withKey(api.key, address))
    await api.expect(200, 'GET', ROUTE, { ...withKey(api.key), signature: api.sign('another body') })
    await api.expect(200, 'HEAD', ROUTE, withKey(api.key))
    for (const address of ['192.0.2.8', '127.0.0.1', '::1', '2001:db9::1']) {
      await api.refuse(404, 'not_found', 'GET', ROUTE, withKey(api.key, address))
      await api.refuse(404, 'not_found', 'GET', ROUTE, from(address))
    }
    await api.refuse(404, 'not_found', 'GET', ROUTE, { key: api.key, signature: null, origin: api.direct })
    const expired = await api.makeKey({ expires_at: '2020-01-01 00:00:00' })
    const deleted = await api.makeKey({ deleted_at: '2020-01-01 00:00:00' })
    const bodies = new Set()
    for (const key of [null, '', 'chv_1_x', api.key.replace(/.$/, (c) => (c === 'A' ? 'B' : 'A')), expired.key, deleted.key]) {
      for (const headers of [{}, { 'If-None-Match': '*' }]) {
        const options = withKey(key)
        const { json } = await api.refuse(401, 'unauthorized', 'GET', ROUTE, { ...options, headers: { ...options.headers, ...headers } })
        bodies.add(JSON.stringify({ ...json, request_id: '' }))
      }
    }
    assert.equal(bodies.size, 1, 'every 401 has the same body')
  })

  test('a loopback address on the list needs a key outside development', async () => {
    const vars = { CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '127.0.0.1' }
    const api = await startApi({ vars })
    await api.refuse(401, 'unauthorized', 'GET', ROUTE, local())
    await api.expect(200, 'GET', ROUTE, { signature: null })
    const there = await startApi({ vars: { ...vars, ...DEVELOPMENT } })
    await there.expect(200, 'GET', ROUTE, local())
  })

  test('the allow list of the API is checked before that of Traefik', async () => {
    const vars = { CHEVERETO_TENANTS_API_IP_ALLOW_LIST: '192.0.2.0/24', CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '192.0.2.7, 203.0.113.9', ...DEVELOPMENT }
    const api = await startApi({ vars })
    for (const address of ['203.0.113.9', '127.0.0.1', '::1']) await api.refuse(403, 'forbidden', 'GET', ROUTE, withKey(api.key, address))
    await api.refuse(404, 'not_found', 'GET', ROUTE, withKey(api.key, '192.0.2.8'))
    await api.refuse(401, 'unauthorized', 'GET', ROUTE, from('192.0.2.7'))
    await api.expect(200, 'GET', ROUTE, withKey(api.key, '192.0.2.7'))
  })

  test('the route needs only the key secret, not the request secret or the encryption key', async () => {
    const api = await startApi({ vars: { CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: LIST, CHEVERETO_TENANTS_API_REQUEST_SECRET: undefined, CHEVERETO_ENCRYPTION_KEY: undefined } })
    await insert(api, 'a', 'a.example.com')
    await api.sql("UPDATE tenants SET env = 'something sealed'")
    const { json } = await api.expect(200, 'GET', ROUTE, withKey(api.key))
    assert.deepEqual(Object.keys(json.http.routers), ['*', 'a'])
    const keyless = await startApi({ vars: { CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: LIST, CHEVERETO_TENANTS_API_KEY_SECRET: undefined } })
    await keyless.refuse(503, 'not_configured', 'GET', ROUTE, withKey(keyless.key))
    await keyless.refuse(404, 'not_found', 'GET', ROUTE, withKey(keyless.key, '203.0.113.9'))
  })

  test('a refused request does not reach the database', async () => {
    const api = await startApi({ schema: false, vars: { CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: LIST } })
    await api.refuse(404, 'not_found', 'GET', ROUTE, withKey(api.key, '203.0.113.9'))
    await api.refuse(401, 'unauthorized', 'GET', ROUTE, withKey(`${api.key}A`))
    await api.refuse(500, 'internal', 'GET', ROUTE, withKey(api.key))
  })
})

describe('content', () => {
  test('without tenants the configuration routes only the root', async () => {
    const api = await startApi({ vars: DEVELOPMENT })
    const { json } = await read(api)
    assert.deepEqual(json.http.routers, { '*': router('localhost') })
    assert.deepEqual(json.http.services, { php: { loadBalancer: { servers: [{ url: 'http://php:8080' }], passHostHeader: true } } })
    assert.deepEqual(json.http.middlewares['allow-range'].ipAllowList.sourceRange.toSorted(), CLOUDFLARE.toSorted())
  })

  test('the root comes first, then the enabled tenants sorted by id, with the same bytes every time', async () => {
    const api = await startApi({ vars: { ...DEVELOPMENT, CHEVERETO_INTERNAL_HOSTNAME: 'Root.Example.com', CHEVERETO_PROXY_ENTRYPOINT: 'https-1', CHEVERETO_SERVICE_NAME: 'chevereto', CHEVERETO_SERVICE_PORT: '80',
      CHEVERETO_PROXY_IP_ALLOW_LIST: '10.0.0.0/8, 192.0.2.7,2001:db8::/32' } })
    for (const id of ['b', 'A', '10', '9', 'a_b', 'off']) await api.tenant({ id, hostname: `${id.toLowerCase().replace('_', '-')}.example.com`, is_enabled: id !== 'off' })
    const first = await read(api)
    const ours = (hostname) => router(hostname, 'chevereto', 'https-1')
    assert.deepEqual(first.json, { http: {
      routers: { '*': ours('root.example.com'), 10: ours('10.example.com'), 9: ours('9.example.com'), A: ours('a.example.com'), a_b: ours('a-b.example.com'), b: ours('b.example.com') },
      services: { chevereto: { loadBalancer: { servers: [{ url: 'http://chevereto:80' }], passHostHeader: true } } },
      middlewares: { 'allow-range': { ipAllowList: { sourceRange: ['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32'] } } },
    } })
    assert.deepEqual(Object.keys(first.json.http), ['routers', 'services', 'middlewares'])
    assert.deepEqual(inOrder(first.text), ['*', '10', '9', 'A', 'a_b', 'b'])
    for (let i = 0; i < 3; i++) assert.equal((await read(api)).text, first.text)
    await api.expect(204, 'DELETE', '/tenants/b')
    await api.tenant({ id: 'b', hostname: 'b.example.com' })
    assert.equal((await read(api)).text, first.text, 'the order does not depend on the time of creation')
  })

  test('the next response after a change lists exactly the enabled tenants', async () => {
    const api = await startApi({ vars: DEVELOPMENT })
    const { id } = await api.tenant({ id: 'a', is_enabled: false })
    assert.deepEqual(await routersOf(api), ['*'])
    await api.expect(204, 'PATCH', `/tenants/${id}`, { body: { is_enabled: true, hostname: 'New.example.com' } })
    assert.deepEqual((await read(api)).json.http.routers, { '*': router('localhost'), a: router('new.example.com') })
    await api.expect(204, 'PATCH', `/tenants/${id}`, { body: { is_enabled: false } })
    assert.deepEqual(await routersOf(api), ['*'])
    await api.expect(204, 'PATCH', `/tenants/${id}`, { body: { is_enabled: true } })
    await api.expect(204, 'DELETE', `/tenants/${id}`)
    assert.deepEqual(await routersOf(api), ['*'])
  })

  test('the configuration lists a thousand enabled tenants', async () => {
    const api = await startApi({ vars: DEVELOPMENT })
    await api.sql(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1199)
      INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at)
      SELECT printf('t%04d', i), printf('t%04d.example.com', i), i < 1000, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM n`)
    const began = performance.now()
    const { json, text } = await read(api)
    // Traefik's poll times out after five seconds.
    assert.ok(performance.now() - began < 5_000)
    const names = Array.from({ length: 1000 }, (_, i) => `t${String(i).padStart(4, '0')}`)
    assert.deepEqual(inOrder(text), ['*', ...names])
    for (const name of names) assert.deepEqual(json.http.routers[name], router(`${name}.example.com`))
  })
})

describe('rows that the API would refuse to write', () => {
  test('are omitted and named in the log, and valid rows are unaffected', async () => {
    const api = await startApi({ vars: { ...DEVELOPMENT, CHEVERETO_INTERNAL_HOSTNAME: 'root.example.com' } })
    await api.tenant({ id: 'good', hostname: 'good.example.com' })
    await api.tenant({ id: 'Zoe', hostname: 'zoe.example.com' })
    const hostnames = {
      tick: 'a`).example.com', rules: 'x`) || HostRegexp(`.*', root: 'root.example.com', ROOT2: 'ROOT.example.com', star: '*', wild: '*.example.com', none: '', space: 'a b.example.com', dot: 'dot.example.com.',
      port: 'port.example.com:80', uni: 'bücher.example', del: 'a\x7f.example.com', quote: 'a".example.com', back: 'a\\.example.com', lf: 'a\n.example.com', long: `${'a'.repeat(63)}.`.repeat(4) + 'a', label: `${'a'.repeat(64)}.example`,
      ip: '192.0.2.7', hyphen: '-a.example.com', twice: 'GOOD.example.com', emoji: '😀.example',
    }
    for (const [id, hostname] of Object.entries(hostnames)) await insert(api, id, hostname)
    await api.sql("INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES ('bytes', CAST(x'61ff62' AS TEXT), 1, '', '')")
    const ids = ['', '*', 'a@http', '_a', '-a', 'a.b', 'a b', 'a"b', 'a\\b', 'a/b', 'é', 'a\x7f', 'a\n', 'a'.repeat(17), 'a'.repeat(1200), 'a`b']
    for (const [i, id] of ids.entries()) await insert(api, id, `id${i}.example.com`)
    const { json, text, headers } = await read(api)
    assert.deepEqual(json.http.routers, { '*': router('root.example.com'), good: router('good.example.com'), Zoe: router('zoe.example.com') })
    assert.deepEqual(inOrder(text), ['*', 'good', 'Zoe'])
    const [line] = await api.linesOf(headers['x-request-id'])
    // A log line names at most twenty rows, and counts the rest.
    const bad = Object.keys(hostnames).length + 1 + ids.length
    assert.match(line.cause ?? '', new RegExp(`tenants/back/hostname: .*; and ${bad - 20} more$`), JSON.stringify(line))
    // The query does not read bad rows that are disabled.
    await api.sql("DELETE FROM tenants WHERE id NOT IN ('good', 'Zoe', 'root')")
    await forget(api)
    const named = (await api.linesOf((await read(api)).headers['x-request-id']))[0]
    assert.match(named.cause ?? '', /tenants\/root\b/)
    await api.sql("UPDATE tenants SET is_enabled = 0 WHERE id = 'root'")
    await forget(api)
    const quiet = (await api.linesOf((await read(api)).headers['x-request-id']))[0]
    assert.doesNotMatch(quiet.cause ?? '', /tenants\//)
  })

  test('are named in the log if there is only one', async () => {
    const api = await startApi({ vars: DEVELOPMENT })
    await api.tenant({ id: 'good', hostname: 'good.example.com' })
    for (const [id, hostname] of [['tick', 'a`).example.com'], ['root', 'localhost'], ['a@http', 'fine.example.com']]) {
      await insert(api, id, hostname)
      await forget(api)
      const { json, headers } = await read(api)
      assert.deepEqual(Object.keys(json.http.routers), ['*', 'good'])
      const [line] = await api.linesOf(headers['x-request-id'])
      // The log quotes an id that is not valid.
      assert.ok(line.cause?.replace('`', '').includes(`tenants/${id}`), JSON.stringify(line))
      await api.sql('DELETE FROM tenants WHERE id = ?', id)
    }
  })
})

describe('ETag', () => {
  const ETAG = /^"[0-9a-f]{16}-[0-9a-f]{16}-\d+"$/

  test('If-None-Match with the current ETag gets a 304 without a body', async () => {
    const api = await startApi({ vars: DEVELOPMENT })
    await api.tenant({ id: 'a' })
    const { headers: { etag } } = await read(api)
    assert.match(etag, ETAG)
    assert.equal((await read(api)).headers.etag, etag)
    for (const value of [etag, `W/${etag}`, `"x", ${etag}`, `${etag},"x"`, `"a,b" , W/"y",W/${etag}`, '*', ` ${etag} `]) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await api.expect(304, method, ROUTE, local({ 'If-None-Match': value }))
        assert.equal(answer.headers.etag, etag, value)
      }
    }
    for (const value of ['', '"x"', etag.slice(1, -1), etag.slice(0, -1), `"${etag}"`, `${etag.slice(0, -1)}0"`, `"${etag.slice(2)}`, '"*"', `w/${etag}x`, etag.replace('-', '-+'), etag.replace('-', '-0'), etag.replace(/-(\d+"$)/, '-+$1'), etag.replace(/-(\d+"$)/, '-0$1'), etag.replace(/-[0-9a-f]{16}-/, '-')]) assert.equal((await read(api, { 'If-None-Match': value })).headers.etag, etag, value)
  })

  test('a refused request gets no ETag', async () => {
    const api = await startApi({ vars: DEVELOPMENT })
    const options = from('203.0.113.9')
    const { headers } = await api.refuse(404, 'not_found', 'GET', ROUTE, { ...options, headers: { ...options.headers, 'If-None-Match': '*' } })
    assert.equal(headers.etag, undefined)
  })

  test('every write changes the ETag', async () => {
    const api = await startApi({ vars: DEVELOPMENT })
    const seen = [(await read(api)).headers.etag]
    const writes = [
      ['POST', '/tenants', { id: 'a', hostname: 'a.example.com', is_enabled: true }], ['PATCH', '/tenants/a', { hostname: 'b.example.com' }], ['PATCH', '/tenants/a', { hostname: 'a.example.com' }],
      ['PATCH', '/tenants/a', { is_enabled: false }], ['PATCH', '/tenants/a', { is_enabled: true }], ['DELETE', '/tenants/a'], ['POST', '/tenants', { id: 'a', hostname: 'a.example.com', is_enabled: true }],
    ]
    for (const [method, where, body] of writes) {
      await api.call(method, where, { body })
      const { headers: { etag } } = await read(api, { 'If-None-Match': seen.join(', ') })
      assert.match(etag, ETAG)
      assert.ok(!seen.includes(etag), `${method} ${where}`)
      seen.push(etag)
    }
  })

  test('different settings give a different ETag', async () => {
    const persist = mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
    after(() => rmSync(persist, { recursive: true, force: true }))
    const secrets = freshSecrets()
    const seen = new Map()
    const settings = [{}, { CHEVERETO_INTERNAL_HOSTNAME: 'root.example.com' }, { CHEVERETO_PROXY_ENTRYPOINT: 'web' }, { CHEVERETO_SERVICE_NAME: 'fpm' }, { CHEVERETO_SERVICE_PORT: '81' }, { CHEVERETO_PROXY_IP_ALLOW_LIST: '10.0.0.0/8' }]
    for (const [i, vars] of settings.entries()) {
      const api = await startApi({ persist, schema: i === 0, vars: { ...secrets, ...DEVELOPMENT, ...vars } })
      const { headers: { etag }, text } = await read(api)
      assert.ok(!seen.has(etag), JSON.stringify(vars))
      seen.set(etag, text)
      await api.stop()
    }
    assert.equal(new Set(seen.values()).size, settings.length)
    const again = await startApi({ persist, schema: false, vars: { ...secrets, ...DEVELOPMENT } })
    await again.expect(304, 'GET', ROUTE, local({ 'If-None-Match': [...seen.keys()][0] }))
  })
})

test('HEAD returns the headers of GET, without a body', async () => {
  const api = await startApi({ vars: DEVELOPMENT })
  await api.tenant()
  const get = await read(api)
  const head = await api.expect(200, 'HEAD', ROUTE, local())
  const comparable = ({ date: _, 'x-request-id': __, 'transfer-encoding': ___, 'content-length': ____, 'content-encoding': _____, ...rest }) => rest
  assert.deepEqual(comparable(head.headers), comparable(get.headers))
})

test('an unsupported method is a 405 whose Allow lists the supported ones, and an unknown path is a 404', async () => {
  const api = await startApi({ vars: DEVELOPMENT })
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']) {
    const { headers } = await api.refuse(405, 'method_not_allowed', method, ROUTE, local())
    assert.deepEqual(headers.allow.split(',').map((m) => m.trim()).sort(), ['GET', 'HEAD'])
  }
  for (const where of [`${ROUTE}/`, `${ROUTE}/x`, '/config', '/config/', '/config/Traefik', '/config/nginx']) await api.refuse(404, 'not_found', 'GET', where, local())
  await api.refuse(422, 'invalid', 'GET', `${ROUTE}?x=1`, local(), ['x'])
})

describe('a failure is a problem response, never a 200', () => {
  for (const [table, vars, options] of [['tenants', DEVELOPMENT, () => local()], ['api_keys', { CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: LIST }, (api) => withKey(api.key)]]) {
    test(`without the table ${table} the response is a 500`, async () => {
      const api = await startApi({ vars })
      const before = await api.expect(200, 'GET', ROUTE, options(api))
      await api.sql('PRAGMA foreign_keys = off')
      await api.sql(`DROP TABLE ${table}`)
      await forget(api)
      const { text, headers } = await api.refuse(500, 'internal', 'GET', ROUTE, options(api))
      assert.doesNotMatch(text, /"http"|no such table/)
      assert.equal(headers.etag, undefined)
      await api.expect(500, 'HEAD', ROUTE, options(api))
      const asked = options(api)
      if (table === 'api_keys') await api.refuse(500, 'internal', 'GET', ROUTE, { ...asked, headers: { ...asked.headers, 'If-None-Match': before.headers.etag } })
      await api.logged('no such table')
    })
  }

  const unreadable = [
    ['CHEVERETO_INTERNAL_HOSTNAME', 'a`b.example.com'], ['CHEVERETO_INTERNAL_HOSTNAME', '*'], ['CHEVERETO_PROXY_ENTRYPOINT', 'web secure'], ['CHEVERETO_PROXY_ENTRYPOINT', 'web"secure'],
    ['CHEVERETO_SERVICE_NAME', 'php@docker'], ['CHEVERETO_SERVICE_NAME', 'http://php'], ['CHEVERETO_SERVICE_NAME', 'php:80'], ['CHEVERETO_SERVICE_PORT', '0'], ['CHEVERETO_SERVICE_PORT', '65536'], ['CHEVERETO_SERVICE_PORT', 'http'],
    ['CHEVERETO_PROXY_IP_ALLOW_LIST', '10.0.0.0/33'], ['CHEVERETO_PROXY_IP_ALLOW_LIST', '10.0.0.0/8,,'], ['CHEVERETO_PROXY_IP_ALLOW_LIST', 'cloudflair'], ['CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST', 'traefik.example.com'],
  ]
  for (const [name, value] of unreadable) {
    test(`${name}=${value} makes every request a 503`, async () => {
      const api = await startApi({ schema: false, vars: { ...DEVELOPMENT, [name]: value } })
      for (const request of [['GET', ROUTE, local()], ['GET', ROUTE, from('203.0.113.9')], ['POST', '/auth/verify'], ['GET', '/nothing']]) {
        const { text } = await api.refuse(503, 'not_configured', ...request)
        assert.doesNotMatch(text, /CHEVERETO/, 'the response does not name the variable')
      }
      await api.logged(name)
    })
  }
})
