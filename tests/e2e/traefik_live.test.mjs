// A real Traefik polls the running Worker (API.md §7), and routes requests for tenants' hostnames to a stand-in for the PHP service.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { missing, startApi } from './harness.mjs'
import { noTraefik, POLL_SECONDS, startPhp, startStandIn, startTraefik, twoPolls } from './traefik.mjs'

const skip = noTraefik()
/** Variables that let local requests pass the middleware and reach the stand-in. */
const vars = (port) => ({ CHEVERETO_SERVICE_NAME: 'localhost', CHEVERETO_SERVICE_PORT: String(port), CHEVERETO_PROXY_IP_ALLOW_LIST: '127.0.0.1/32,::1/128', CHEVERETO_INTERNAL_HOSTNAME: 'root.example.com' })
const deployed = (port) => ({ ...vars(port), CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '127.0.0.0/8, ::1' })
const enabled = async (traefik) => {
  const state = await traefik.state()
  for (const [kind, things] of Object.entries(state)) {
    for (const [name, thing] of Object.entries(things)) assert.equal(thing.status, 'enabled', `${kind} ${name}: ${JSON.stringify(thing)}`)
  }
  return state
}

describe('a real Traefik', () => {
  test('with a key, Traefik routes the enabled tenants only, applies a change within two polls, and keeps its routes when a poll fails', { skip, timeout: 200_000 }, async () => {
    const standIn = await startStandIn()
    const api = await startApi({ vars: deployed(standIn.port) })
    await api.tenant({ id: 'on', hostname: 'on.example.com' })
    await api.tenant({ id: 'off', hostname: 'off.example.com', is_enabled: false })
    const { id, key } = await api.makeKey({ name: 'traefik' })
    const traefik = await startTraefik({ api, headers: { 'X-API-Key': key } })
    assert.deepEqual(Object.keys((await enabled(traefik)).routers).sort(), ['*', 'on'])

    const { reached } = await traefik.until(200, 'on.example.com')
    assert.deepEqual(reached, { host: 'on.example.com', path: '/', proto: 'https' })
    assert.equal((await traefik.ask('ON.example.COM', '/a%2Fb?c=d')).reached.path, '/a%2Fb?c=d')
    assert.equal((await traefik.ask('root.example.com')).reached.host, 'root.example.com')
    for (const stranger of ['off.example.com', 'nobody.example.com', 'localhost', 'a.on.example.com', 'example.com']) assert.deepEqual(await traefik.ask(stranger), { status: 404, reached: undefined }, stranger)
    assert.ok(!standIn.seen.includes('off.example.com'))

    // Traefik applies a change at the second poll at the latest: the first may already have been under way.
    const applied = async (change, ...expected) => {
      await change()
      for (const [status, hostname] of expected) {
        const { reached: now, needed } = await traefik.until(status, hostname)
        assert.ok(needed <= 2, `${hostname}: ${status} only after ${needed} polls of ${POLL_SECONDS} s`)
        if (status === 200) assert.equal(now.host, hostname)
      }
    }
    const patch = (where, body) => () => api.expect(204, 'PATCH', `/tenants/${where}`, { body })
    await applied(patch('off', { is_enabled: true }), [200, 'off.example.com'])
    await applied(patch('on', { is_enabled: false }), [404, 'on.example.com'])
    await applied(patch('off', { hostname: 'moved.example.com' }), [200, 'moved.example.com'], [404, 'off.example.com'])
    await applied(() => api.tenant({ id: 'new', hostname: 'new.example.com' }), [200, 'new.example.com'])
    await applied(() => api.expect(204, 'DELETE', '/tenants/new'), [404, 'new.example.com'])
    assert.deepEqual(Object.keys((await enabled(traefik)).routers).sort(), ['*', 'off'])

    const kept = async (why) => {
      assert.equal((await traefik.ask('moved.example.com')).reached?.host, 'moved.example.com', why)
      assert.deepEqual(Object.keys((await enabled(traefik)).routers).sort(), ['*', 'off'], why)
    }
    // Each poll reads the registry's row, and no tenant if nothing has changed.
    await api.sql('ALTER TABLE registry RENAME TO registry_away')
    await twoPolls(api, 500)
    await kept('500')
    await api.sql('ALTER TABLE registry_away RENAME TO registry')
    await applied(patch('on', { is_enabled: true }), [200, 'on.example.com'])
    await applied(patch('on', { is_enabled: false }), [404, 'on.example.com'])
    await api.sql("UPDATE api_keys SET deleted_at = '2026-01-01 00:00:00' WHERE id = ?", id)
    await twoPolls(api, 401)
    await kept('401')
    await api.stop()
    await sleep(2 * POLL_SECONDS * 1000 + 500)
    await kept('no response')
  })

  test('in development, without a key, Traefik accepts hostnames and ids at the limits of their rules', { skip, timeout: 200_000 }, async () => {
    const standIn = await startStandIn()
    const api = await startApi({ vars: { ...vars(standIn.port), TENANTS_DEVELOPMENT: 'true' } })
    const label = 'a'.repeat(63)
    const tenants = {
      long: `${label}.${label}.${label}.${'b'.repeat(63)}`,
      label: `${label}.example`,
      single: 'intranet',
      one: 'a',
      2130706433: '123.example',
      0: '1.2.x3',
      '000': '3com.example',
      'a-_b-_c-_d-_e-_f': 'a-b--c.example',
      a_______________: '1.2.3.example',
      UPPERCASEID: 'upper.example',
      puny: 'xn--bcher-kva.example',
      // Without quotes, a YAML reader might parse these as other types.
      null: 'null', true: 'true', no: 'no', '1e3': '1e3', '0x10': '0x10.example', NaN: 'nan', '2026-01-01': '2026-01-01', http: 'http', routers: 'routers', php: 'php', internal: 'api.internal',
    }
    assert.equal(tenants.long.length, 255)
    for (const [id, hostname] of Object.entries(tenants)) await api.tenant({ id, hostname })
    // Rows that the API would refuse to write do not affect the others.
    for (const [id, hostname] of [['evil', 'x`) || HostRegexp(`.*'], ['root', 'root.example.com'], ['a@b', 'at.example.com'], ['*', 'star.example.com']]) {
      await api.sql("INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES (?, ?, 1, '', '')", id, hostname)
    }
    const traefik = await startTraefik({ api })
    const { routers, services, middlewares } = await enabled(traefik)
    assert.deepEqual(Object.keys(routers).sort(), ['*', ...Object.keys(tenants)].sort())
    assert.deepEqual([Object.keys(services), Object.keys(middlewares)], [['localhost'], ['allow-range']])
    for (const [id, hostname] of Object.entries(tenants)) {
      assert.equal(routers[id].rule, `Host(\`${hostname}\`)`)
      assert.equal((await traefik.ask(hostname)).reached?.host, hostname, id)
    }
    assert.equal((await traefik.ask('root.example.com')).reached?.host, 'root.example.com')
    for (const stranger of ['nobody.example', 'x', 'star.example.com', 'at.example.com']) assert.equal((await traefik.ask(stranger)).status, 404, stranger)
  })

  test('an alias shows the site, and a redirect leads there with the path and the query', { skip, timeout: 200_000 }, async () => {
    const standIn = await startStandIn()
    const api = await startApi({ vars: { ...vars(standIn.port), TENANTS_DEVELOPMENT: 'true' } })
    const add = (id, hostname, kind) => api.expect(201, 'PUT', `/tenants/${id}/hostnames/${hostname}`, { body: { kind } })
    const redirection = async (host, path, method) => {
      const { status, location } = await traefik.ask(host, path, {}, method)
      return [status, location]
    }
    await api.tenant({ id: 'On', hostname: 'on.example.com' })
    await add('on', 'alias.example', 'alias')
    await add('on', 'old.example', 'redirect')
    for (let n = 0; n < 98; n++) await add('on', `${'a'.repeat(60)}.${'b'.repeat(60)}.n${n}.example`, n % 2 ? 'alias' : 'redirect')
    const traefik = await startTraefik({ api })
    const { routers } = await enabled(traefik)
    assert.equal(Object.keys(routers).length, 2 + 50)
    await traefik.until(200, 'on.example.com')
    assert.deepEqual((await traefik.ask('alias.example', '/a%2Fb?c=d')).reached, { host: 'alias.example', path: '/a%2Fb?c=d', proto: 'https' })
    assert.equal((await traefik.ask(`${'a'.repeat(60)}.${'b'.repeat(60)}.n97.example`)).status, 200)
    const seen = standIn.seen.length
    assert.deepEqual(await redirection('old.example', '/a%2Fb?c=d&e=%20'), [301, 'https://on.example.com/a%2Fb?c=d&e=%20'])
    assert.deepEqual(await redirection('OLD.example', '/'), [301, 'https://on.example.com/'])
    assert.deepEqual(await redirection('old.example:8443', '//evil.example/x'), [301, 'https://on.example.com:8443/evil.example/x'])
    for (const method of ['POST', 'PUT', 'HEAD']) assert.deepEqual(await redirection('old.example', '/x?y', method), [308, 'https://on.example.com/x?y'], method)
    assert.equal(standIn.seen.length, seen, 'a redirect does not reach PHP')
    assert.notEqual((await redirection('old.example:x@evil.example', '/'))[0], 301)

    await api.expect(200, 'PUT', '/tenants/on/hostnames/old.example', { body: { kind: 'alias' } })
    await traefik.until(200, 'old.example')
    await api.expect(204, 'DELETE', '/tenants/on/hostnames/alias.example')
    await traefik.until(404, 'alias.example')
    await api.expect(204, 'PATCH', '/tenants/on', { body: { is_enabled: false } })
    await traefik.until(404, 'old.example')
  })

  test('a held tenant shows its page within two polls, and its site again when the last hold is lifted', { skip, timeout: 200_000 }, async () => {
    const standIn = await startStandIn()
    const api = await startApi({ vars: { ...vars(standIn.port), TENANTS_DEVELOPMENT: 'true' } })
    const hold = (kind, body) => api.expect(204, 'PUT', `/tenants/on/holds/${kind}`, { body: { reason: 'of the operator', ...body } })
    const lift = (kind) => api.expect(204, 'DELETE', `/tenants/on/holds/${kind}`)
    await api.tenant({ id: 'On', hostname: 'on.example.com' })
    await api.tenant({ id: 'other', hostname: 'other.example.com' })
    for (const [hostname, kind] of [['alias.example', 'alias'], ['old.example', 'redirect']]) await api.expect(201, 'PUT', `/tenants/on/hostnames/${hostname}`, { body: { kind } })
    const traefik = await startTraefik({ api })
    await traefik.until(200, 'on.example.com')
    const shows = async (status, hostname) => {
      const { page, needed } = await traefik.until(status, hostname)
      assert.ok(needed <= 2, `${hostname}: ${status} only after ${needed} polls of ${POLL_SECONDS} s`)
      return page
    }

    await hold('maintenance', { message: 'Moving <house>', until: '9999-12-31 00:00:00' })
    const { text, headers } = await shows(503, 'on.example.com')
    await enabled(traefik)
    assert.match(text, /<h1>Down for maintenance<\/h1><p>Moving &lt;house&gt;<\/p>/)
    assert.doesNotMatch(text, /of the operator|<script|on\.example/)
    assert.match(headers['content-security-policy'], /^default-src 'none'; /)
    assert.equal(headers['cache-control'], 'no-store')
    assert.ok(Number(headers['retry-after']) > 0)
    const seen = standIn.seen.length
    // Whatever visitors ask for, by any method, and under an alias. A redirect leads there.
    for (const [hostname, where, method] of [['alias.example', '/', 'GET'], ['ON.example.com', '/a%2Fb?c=<d>', 'GET'], ['on.example.com', '/upload', 'POST'], ['on.example.com', '/', 'OPTIONS']]) {
      const answer = await traefik.ask(hostname, where.replaceAll('<', '%3C').replaceAll('>', '%3E'), {}, method)
      assert.deepEqual([answer.status, answer.page?.text], [503, text], `${method} ${hostname}${where}`)
    }
    // An upload is longer than any request of the API may be.
    for (const headers of [{}, { 'Transfer-Encoding': 'chunked' }, { 'If-Match': 'x', 'Idempotency-Key': '', Prefer: ';', Cookie: 'a=b' }]) {
      const upload = () => traefik.ask('on.example.com', '/upload', { 'Content-Type': 'multipart/form-data; boundary=x', ...headers }, 'POST', Buffer.alloc(200 << 10, 'x'))
      let answer = await upload()
      // Traefik keeps connections open, and cannot send an upload again if workerd closes the one it takes at that moment.
      for (let tries = 1; answer.status === 502 && tries < 3; tries++) answer = await upload()
      assert.deepEqual([answer.status, answer.page?.text], [503, text], `an upload, ${JSON.stringify(headers)}`)
    }
    const head = await traefik.ask('on.example.com', '/', {}, 'HEAD')
    assert.deepEqual([head.status, head.page.text, head.page.headers['content-security-policy']], [503, '', headers['content-security-policy']])
    assert.equal((await traefik.ask('old.example', '/x')).location, 'https://on.example.com/x')
    assert.equal(standIn.seen.length, seen, 'no request reaches the site')
    assert.equal((await traefik.ask('other.example.com')).status, 200)

    await hold('non_payment')
    await shows(402, 'on.example.com')
    await lift('maintenance')
    // It is held still.
    await twoPolls(api, 200)
    assert.equal((await traefik.ask('on.example.com')).status, 402)
    await lift('non_payment')
    await shows(200, 'on.example.com')
    await shows(200, 'alias.example')
    await hold('abuse')
    await shows(403, 'on.example.com')
    await enabled(traefik)
  })

  describe('headers whose names PHP reads as X-Forwarded-…', { skip: skip || missing('php', '--version') }, () => {
    // RFC 9110 allows these in a header's name, besides letters, digits and the dash. PHP turns each into an underscore.
    const characters = [..."!#$%&'*+.^_`|~"]
    const managed = ['For', 'Proto', 'Host', 'Port', 'Server']
    const spellings = (last) => [...characters.map((c) => `X${c}Forwarded${c}${last}`), `X-Forwarded.${last}`, `X_Forwarded-${last}`, `x.forwarded-${last}`]
    const evil = '203.0.113.66'

    async function start(edit) {
      const php = await startPhp()
      const api = await startApi({ vars: { ...vars(php.port), TENANTS_DEVELOPMENT: 'true' } })
      await api.tenant({ id: 'on', hostname: 'on.example.com' })
      const traefik = await startTraefik({ api, edit })
      await traefik.until(200, 'on.example.com')
      return traefik
    }

    test('with the guide’s configuration no client can set them for PHP', { timeout: 200_000 }, async () => {
      const traefik = await start()
      const honest = (await traefik.ask('on.example.com')).reached
      assert.equal(honest.HTTP_X_FORWARDED_FOR, '127.0.0.1')
      assert.equal(honest.HTTP_X_FORWARDED_PROTO, 'https')
      for (const last of managed) {
        for (const name of [`X-Forwarded-${last}`, ...spellings(last)]) {
          const { status, reached } = await traefik.ask('on.example.com', '/', { [name]: evil })
          assert.equal(status, 200, name)
          assert.deepEqual(reached, honest, name)
        }
      }
      const all = Object.fromEntries(managed.flatMap(spellings).map((name) => [name, evil]))
      assert.deepEqual((await traefik.ask('on.example.com', '/', all)).reached, honest)
      // A header that resembles no other arrives.
      assert.equal((await traefik.ask('on.example.com', '/', { 'X-Own-Header': 'kept' })).reached.HTTP_X_OWN_HEADER, 'kept')
    })

    test('without the guide’s aliasHeadersStrategy a client can, so the test above can fail', { timeout: 200_000 }, async () => {
      const traefik = await start((yaml) => {
        const without = yaml.replace(/^ +aliasHeadersStrategy: delete\n/m, '')
        assert.notEqual(without, yaml)
        return without
      })
      // PHP's own server makes an underscore of a dash and of a dot.
      for (const name of ['X.Forwarded.For', 'X-Forwarded.For', 'x.forwarded-For']) {
        const { reached } = await traefik.ask('on.example.com', '/', { [name]: evil })
        assert.equal(reached.HTTP_X_FORWARDED_FOR, evil, name)
      }
    })
  })

  test('with 10,000 tenants every poll ends within Traefik’s default timeout, and Traefik routes the last of them', { skip, timeout: 200_000 }, async () => {
    const COUNT = 10_000
    const standIn = await startStandIn()
    const api = await startApi({ vars: { ...vars(standIn.port), TENANTS_DEVELOPMENT: 'true' } })
    await api.sql(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${COUNT}) INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) SELECT printf('t%05d', n), printf('t%05d.example.com', n), 1, '', '' FROM c`)
    // The guide spells the default out.
    const traefik = await startTraefik({ api, edit: (yaml) => {
      const without = yaml.replace(/^ +pollTimeout: "5s"\n/m, '')
      assert.notEqual(without, yaml)
      return without
    } })
    await traefik.until(200, `t${COUNT}.example.com`)
    assert.equal((await traefik.ask('t00001.example.com')).reached?.host, 't00001.example.com')
    // A write, and a poll that reads all tenants again.
    await api.tenant({ id: 'zz-last', hostname: 'last.example.com' })
    await traefik.until(200, 'last.example.com')
    const { routers } = await traefik.state()
    assert.equal(Object.keys(routers).length, COUNT + 2)
    const lines = api.logs.filter((line) => line.includes('"/config/traefik"')).map((line) => JSON.parse(line))
    assert.ok(lines.length >= 2)
    for (const { status, duration_ms: ms } of lines) assert.ok(status === 200 && ms < 2_500, JSON.stringify({ status, ms }))
  })

  test('an address that is not on the proxy’s list is refused by Traefik', { skip, timeout: 200_000 }, async () => {
    const standIn = await startStandIn()
    const api = await startApi({ vars: { ...vars(standIn.port), TENANTS_DEVELOPMENT: 'true', CHEVERETO_PROXY_IP_ALLOW_LIST: undefined } })
    await api.tenant({ id: 'on', hostname: 'on.example.com' })
    const traefik = await startTraefik({ api })
    await enabled(traefik)
    assert.deepEqual(await traefik.ask('on.example.com'), { status: 403, reached: undefined })
    assert.deepEqual(standIn.seen, [])
  })
})
