// Sessions of the console (API.md §20): a bound key signs in by the text of API.md alone, and the cookie stands for it, for the console's own pages only.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startApi } from './harness.mjs'
import { PATH, boundKey, cookieOf, signIn } from './signing.mjs'

const LIMIT = 8
const api = await startApi({ vars: { TENANTS_CONSOLE: 'true' } })

const bound = (on = api, fields) => boundKey(on, fields)

/** Options of a request that signs in. */
const signing = (key, { on = api, body, ...options } = {}) => signIn(key, body, { origin: on.url, ...options })

/** Signs in. Returns the session, and the options of its requests. */
async function signedIn(key, { on = api, ...options } = {}) {
  const answer = await on.expect(201, 'POST', PATH, signing(key, { on, ...options }))
  assert.match(answer.headers['set-cookie'], /^__Host-tenants_session=cs_\d+_[A-Za-z0-9_-]+; Path=\/; Max-Age=28800; Secure; HttpOnly; SameSite=Strict$/)
  const session = cookieOf(answer)
  const by = (more = {}) => ({ key: null, signature: null, ...more, headers: { ...session.headers, ...more.headers } })
  return { ...session, by, own: (more = {}) => by({ base: '', ...more }) }
}

test('a browser signs in, reads and writes, reloads, and signs out', async () => {
  const key = await bound()
  const session = await signedIn(key)
  assert.deepEqual(session.key, { id: key.id, name: 'console' })
  const tenant = api.fresh()
  await api.expect(201, 'POST', '/tenants', session.by({ body: tenant }))
  await api.expect(200, 'GET', `/tenants/${tenant.id}`, session.by({ headers: { 'X-CSRF-Token': null } }))
  await api.expect(204, 'PATCH', `/tenants/${tenant.id}`, session.by({ body: { is_enabled: false }, headers: { 'Idempotency-Key': 'k', Prefer: 'return=minimal' } }))
  const { json } = await api.expect(200, 'GET', PATH, session.own())
  assert.equal(json.csrf_token, session.csrf_token)
  const entries = (await api.expect(200, 'GET', `/audit?subject=${tenant.id}`, session.by())).json
  assert.deepEqual(entries.map((entry) => [entry.action, entry.session_id]), [['tenant.create', session.id], ['tenant.update', session.id]])
  const { headers } = await api.expect(204, 'DELETE', PATH, session.own())
  assert.match(headers['set-cookie'], /^__Host-tenants_session=; .*Max-Age=0; /)
  await api.refuse(401, 'unauthorized', 'GET', PATH, session.own())
  await api.refuse(401, 'unauthorized', 'DELETE', `/tenants/${tenant.id}`, session.by())
  // The token is in no row, and in no line of the log.
  api.assertNothingSecretLogged(session.cookie.split('=')[1], session.csrf_token, key.secret)
})

test('a captured sign-in signs nobody in again, and no other key signs in', async () => {
  const key = await bound()
  const request = signing(key)
  await api.expect(201, 'POST', PATH, request)
  await api.refuse(401, 'unauthorized', 'POST', PATH, request)
  const before = (await api.sql('SELECT count(*) AS n FROM console_sessions'))[0].n
  await api.refuse(403, 'bound_key_required', 'POST', PATH, { base: '' })
  await api.refuse(403, 'bound_key_required', 'POST', PATH, { base: '', key: key.key })
  await api.refuse(401, 'unauthorized', 'POST', PATH, signing({ ...key, secret: 'another' }))
  await api.refuse(401, 'unauthorized', 'POST', PATH, signing(key, { nonce: '' }))
  await api.refuse(401, 'unauthorized', 'POST', PATH, signing(key, { created: Math.floor(Date.now() / 1000) - 310 }))
  const other = signing(key)
  await api.refuse(403, 'not_same_origin', 'POST', PATH, { ...other, headers: { ...other.headers, 'Sec-Fetch-Site': 'cross-site' } })
  // Two at the same time, with one nonce: one signs in.
  const twice = signing(key)
  const answers = await Promise.all([1, 2, 3].map(() => api.call('POST', PATH, twice)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 401, 401])
  assert.equal((await api.sql('SELECT count(*) AS n FROM console_sessions'))[0].n, before + 1)
})

test('a page of another origin can do nothing with the cookie', async () => {
  const session = await signedIn(await bound())
  const tenant = await api.tenant()
  // What a browser would send of itself: the cookie (if SameSite did not keep it back), and where the page is.
  const forms = { 'Content-Type': 'application/x-www-form-urlencoded', 'X-CSRF-Token': null }
  for (const site of ['cross-site', 'same-site', 'none', null]) {
    const from = { 'Sec-Fetch-Site': site }
    await api.refuse(403, 'not_same_origin', 'GET', `/tenants/${tenant.id}`, session.by({ headers: from }))
    await api.refuse(403, 'not_same_origin', 'GET', PATH, session.own({ headers: from }))
    await api.refuse(403, 'not_same_origin', 'POST', '/tenants', session.by({ body: 'id=b', headers: { ...forms, ...from } }))
    await api.refuse(403, 'not_same_origin', 'DELETE', `/tenants/${tenant.id}`, session.by({ headers: from }))
    await api.refuse(403, 'not_same_origin', 'DELETE', PATH, session.own({ headers: from }))
  }
  for (const csrf of [null, 'x', (await signedIn(await bound())).csrf_token]) {
    await api.refuse(403, 'csrf_token_mismatch', 'DELETE', `/tenants/${tenant.id}`, session.by({ headers: { 'X-CSRF-Token': csrf } }))
  }
  // A preflight is no route, and no response lets another origin read it.
  const { headers } = await api.expect(405, 'OPTIONS', `/tenants/${tenant.id}`, { key: null, signature: null, headers: { Origin: 'https://other.example.com', 'Access-Control-Request-Method': 'DELETE', 'Access-Control-Request-Headers': 'x-csrf-token' } })
  assert.deepEqual(Object.keys(headers).filter((name) => name.startsWith('access-control')), [])
  await api.expect(200, 'GET', `/tenants/${tenant.id}`, session.by())
})

test('a session has the scopes that it asked for, and ends with the rotation of its key', async () => {
  const key = await bound(api, { scopes: ['tenants:read', 'keys'] })
  await api.refuse(422, 'invalid', 'POST', PATH, signing(key, { body: { scopes: ['tenants:read', 'tenants:write'] } }), ['/scopes/1'])
  const session = await signedIn(key, { body: { scopes: ['tenants:read'] } })
  assert.deepEqual(session.scopes, ['tenants:read'])
  await api.expect(200, 'GET', '/tenants', session.by())
  await api.refuse(403, 'insufficient_scope', 'GET', '/keys', session.by())
  await api.refuse(403, 'insufficient_scope', 'POST', `/keys/${key.id}/rotate`, session.by({ body: { overlap_seconds: 60 } }))
  await api.expect(200, 'POST', `/keys/${key.id}/rotate`, { body: { overlap_seconds: 600 } })
  await api.refuse(401, 'unauthorized', 'GET', '/tenants', session.by())
  // The secret before the rotation signs requests for a while, and signs nobody in.
  await api.refuse(401, 'unauthorized', 'POST', PATH, signing(key))
})

test('sessions are listed and ended, and the use of one is noted after its response', async () => {
  const key = await bound()
  const [one, other] = [await signedIn(key), await signedIn(key)]
  const { json } = await api.expect(200, 'GET', '/_/console/sessions', one.own())
  const shown = json.filter(({ id }) => [one.id, other.id].includes(id))
  assert.deepEqual(shown.map(({ id, current }) => [id === one.id, current]).sort(), [[false, false], [true, true]])
  await api.sql("UPDATE console_sessions SET last_used_at = '2026-01-01 00:00:00', idle_until = '9999-01-01 00:00:00' WHERE id = ?", other.id)
  await api.expect(200, 'GET', '/tenants', other.by())
  const used = async () => (await api.sql('SELECT last_used_at, idle_until FROM console_sessions WHERE id = ?', other.id))[0]
  // Its first use in this minute may have been the one before: then this instance has noted it already.
  for (let tries = 0; (await used()).idle_until.startsWith('9999') && tries < 100; tries++) await sleep(20)
  assert.ok(Date.parse(`${(await used()).last_used_at}Z`) > Date.now() - 120_000)
  await api.expect(204, 'DELETE', `/_/console/sessions/${other.id}`, one.own())
  await api.refuse(401, 'unauthorized', 'GET', '/tenants', other.by())
  await api.sql("UPDATE console_sessions SET created_at = '2026-01-01 00:00:00', expires_at = '2026-01-01 00:00:00'")
  await api.refuse(401, 'unauthorized', 'GET', '/tenants', one.by())
  await api.cron()
  assert.equal((await api.sql('SELECT count(*) AS n FROM console_sessions'))[0].n, 0)
})

test('refused attempts of a key use up its limit, and nobody else can use it up', async () => {
  const on = await startApi({ vars: { TENANTS_CONSOLE: 'true' }, limiter: { limit: LIMIT, period: 60 } })
  const left = 60 - (Date.now() / 1000) % 60
  if (left < 20) await sleep(left * 1000 + 100)
  const key = await bound(on)
  const session = await signedIn(key, { on })
  const forged = session.by({ headers: { Cookie: session.cookie.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A')) } })
  for (let i = 0; i < LIMIT + 2; i++) await on.expect(401, 'GET', '/tenants', forged)
  for (let i = 1; i < LIMIT; i++) await on.expect(401, 'POST', PATH, signing({ ...key, secret: 'wrong' }, { on }))
  await on.refuse(429, 'too_many_requests', 'POST', PATH, signing(key, { on }))
  await on.expect(200, 'GET', '/tenants')
  // A session has a limit of its own: whoever has the key alone does not use it up.
  for (let i = 0; i < LIMIT; i++) await on.expect(200, 'GET', '/tenants', session.by())
  await on.refuse(429, 'too_many_requests', 'GET', '/tenants', session.by())
})

test('without TENANTS_CONSOLE there is no session, and on loopback under development the cookie needs no TLS', async () => {
  const off = await startApi()
  for (const [method, where] of [['GET', PATH], ['POST', PATH], ['DELETE', PATH], ['GET', '/_/console/sessions'], ['DELETE', '/_/console/sessions/0123456789abcdef']]) {
    await off.refuse(404, 'not_found', method, where, { base: '' })
  }
  const on = await startApi({ vars: { TENANTS_CONSOLE: 'true', TENANTS_DEVELOPMENT: 'true' } })
  const { headers } = await on.expect(201, 'POST', PATH, signing(await bound(on), { on }))
  const [, cookie] = headers['set-cookie'].match(/^(tenants_session=cs_\S+); Path=\/; Max-Age=28800; HttpOnly; SameSite=Strict$/)
  await on.expect(200, 'GET', '/tenants', { key: null, signature: null, headers: { Cookie: cookie, 'Sec-Fetch-Site': 'same-origin' } })
})
