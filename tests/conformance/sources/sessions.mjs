// Sessions of the console (API.md §20). No browser is here: the requests have the headers that one would send. The sessions are rows, with tokens that
// are made of fixed bytes, since the token of a real one is random.
import { createHash, createHmac } from 'node:crypto'
import { CURRENT, KEYS, LEGACY, LEGACY_PUBLIC, SECRETS, bindKey, refuse, request, scenario, signingSecretOf, sql } from './source.mjs'

const ORIGIN = 'https://registry.example.com'
const CONSOLE = '/_/console'

/** Returns the token of a session of this key (API.md §20), with a genuine MAC. */
function tokenOf(name, keyId = 1, secret = SECRETS.CHEVERETO_TENANTS_API_KEY_SECRET) {
  const bytes = createHash('sha256').update(`session ${name}`).digest()
  const mac = createHmac('sha256', secret).update(`tenants session cs_${keyId}_`).update(bytes).digest()
  return `cs_${keyId}_${Buffer.concat([bytes, mac]).toString('base64url')}`
}
const digestOf = (token) => createHash('sha256').update(token).digest('hex')
const idOf = (token) => digestOf(token).slice(0, 16)
const csrfOf = (token) => createHmac('sha256', token).update('tenants csrf').digest('hex')

const LATER = '9999-12-31 23:59:59'
const row = (name, { scopes = '*', permits = -1, expiresAt = LATER, idleUntil = LATER, endedAt = null, keyId = 1, createdAt = '2026-02-03 04:05:06' } = {}) => sql(
  `INSERT INTO console_sessions (id, digest, key_id, key_digest, nonce, scopes, permits, created_at, last_used_at, idle_until, expires_at, ended_at)
   SELECT ?1, ?2, id, digest, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9 FROM api_keys WHERE id = ?10`,
  idOf(tokenOf(name, keyId)), digestOf(tokenOf(name, keyId)), `nonce of ${name}`, scopes, permits, createdAt, idleUntil, expiresAt, endedAt, keyId)

/** Options of a request by a page of the console. What the caller does not change is right. */
function by(name, { token = tokenOf(name), cookie = `__Host-tenants_session=${token}`, csrf = csrfOf(token), site = 'same-origin', headers = {}, ...options } = {}) {
  return { key: null, signature: null, ...options, headers: { cookie, 'sec-fetch-site': site, 'x-csrf-token': csrf, ...headers } }
}
const own = { base: CONSOLE }

/** Options of a request that signs in with the bound key. */
function signIn({ body, params = ';nonce="n-1"', headers = {}, key = KEYS.good, query = '' } = {}) {
  const digest = body === undefined ? {} : { 'content-digest': `sha-256=:${createHash('sha256').update(JSON.stringify(body)).digest('base64')}:` }
  const covered = Object.entries({ '@method': 'POST', '@target-uri': `${ORIGIN}${CONSOLE}/session${query}`, 'x-api-key': key, ...digest })
  const input = `(${covered.map(([name]) => `"${name}"`).join(' ')});created=<now>${params}`
  const base = [...covered, ['@signature-params', input]].map(([name, value]) => `"${name}": ${value}`).join('\n')
  return {
    ...own, body, key, signature: null, signing: { secret: signingSecretOf(key), base },
    headers: { ...digest, 'signature-input': `sig=${input}`, signature: 'sig=:<signature>:', 'sec-fetch-site': 'same-origin', ...headers },
  }
}

const tenant = { id: 'a', hostname: 'a.example.com', is_enabled: true }

export default [
  scenario('no console', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    row('all'),
    ...['GET', 'POST', 'DELETE', 'PUT'].map((method) => refuse(`${method} of a session`, 404, 'not_found', method, '/session', by('all', own))),
    refuse('a list of sessions', 404, 'not_found', 'GET', '/sessions', own),
    refuse('a cookie is ignored', 401, 'unauthorized', 'GET', '/tenants', by('all')),
    request('and disturbs no key', 200, 'GET', '/tenants', { headers: { cookie: `__Host-tenants_session=${tokenOf('all')}` } }),
  ),
  scenario('signing in', { TENANTS_CONSOLE: 'true', TENANTS_PUBLIC_URL: ORIGIN },
    refuse('a key that is not bound', 403, 'bound_key_required', 'POST', '/session', own),
    refuse('a key that is forged', 401, 'unauthorized', 'POST', '/session', { ...own, key: KEYS.forged }),
    refuse('no key', 401, 'unauthorized', 'POST', '/session', { ...own, key: null, signature: null }),
    bindKey(1),
    refuse('the signature of the body alone', 403, 'bound_key_required', 'POST', '/session', own),
    refuse('no nonce', 401, 'unauthorized', 'POST', '/session', signIn({ params: '' })),
    refuse('an empty nonce', 401, 'unauthorized', 'POST', '/session', signIn({ params: ';nonce=""' })),
    refuse('a nonce that is a number', 401, 'unauthorized', 'POST', '/session', signIn({ params: ';nonce=1' })),
    refuse('a page of another origin', 403, 'not_same_origin', 'POST', '/session', signIn({ headers: { 'sec-fetch-site': 'cross-site' } })),
    refuse('an unknown field', 422, 'invalid', 'POST', '/session', signIn({ body: { scope: ['*'] } }), ['/scope']),
    refuse('no scope', 422, 'invalid', 'POST', '/session', signIn({ body: { scopes: [] } }), ['/scopes']),
    request('a trial', 200, 'POST', '/session?validate_only=true', { ...signIn({ query: '?validate_only=true' }), json: { valid: true } }),
    sql("UPDATE api_keys SET scopes = 'tenants:write', permits = 3 WHERE id = 1"),
    refuse('scopes that the key lacks', 422, 'invalid', 'POST', '/session', signIn({ body: { scopes: ['tenants:read', 'keys', '*'] } }), ['/scopes/1', '/scopes/2']),
    row('all'),
    refuse('a nonce that was used', 401, 'unauthorized', 'POST', '/session', signIn({ params: ';nonce="nonce of all"' })),
    sql("UPDATE api_keys SET previous_digest = digest, previous_until = '9999', digest = 'bound:other' WHERE id = 1"),
    refuse('the secret before a rotation', 401, 'unauthorized', 'POST', '/session', signIn()),
  ),
  scenario('the cookie of a session', { TENANTS_CONSOLE: 'true', CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC, CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '198.51.100.7' },
    bindKey(1),
    row('all'),
    row('reader', { scopes: 'tenants:read', permits: 1, createdAt: '2026-02-03 04:05:07' }),
    row('ended', { endedAt: '2026-03-03 04:05:06' }),
    row('idle', { idleUntil: '2026-03-03 04:05:06' }),
    row('old', { expiresAt: '2026-03-03 04:05:06' }),
    row('of a deleted key', { keyId: 2 }),
    request('create', 201, 'POST', '/tenants', by('all', { body: tenant, headers: { 'x-request-id': 'create' }, json: { id: 'a' } })),
    request('read', 200, 'GET', '/tenants/a', by('reader', { csrf: 'none', json: { id: 'a' } })),
    request('among other cookies', 200, 'HEAD', '/tenants', by('reader', { cookie: `a=b; __Host-tenants_session=${tokenOf('reader')}; c=d` })),
    request('its own key', 200, 'POST', '/auth/verify', by('reader', { json: (got) => ({ ...got, key: { ...got.key, id: 1, scopes: ['tenants:read'], bound: true } }) })),
    refuse('a scope that it lacks', 403, 'insufficient_scope', 'PATCH', '/tenants/a', by('reader', { body: { is_enabled: false } })),
    ...['cross-site', 'same-site', 'none'].map((site) => refuse(`a read from ${site}`, 403, 'not_same_origin', 'GET', '/tenants/a', by('all', { site }))),
    refuse('a read from nowhere', 403, 'not_same_origin', 'GET', '/tenants/a', by('all', { headers: { 'sec-fetch-site': null } })),
    refuse('a write from nowhere', 403, 'not_same_origin', 'DELETE', '/tenants/a', by('all', { headers: { 'sec-fetch-site': null } })),
    refuse('a write without the token', 403, 'csrf_token_mismatch', 'DELETE', '/tenants/a', by('all', { headers: { 'x-csrf-token': null } })),
    refuse('a write with the token of another session', 403, 'csrf_token_mismatch', 'DELETE', '/tenants/a', by('all', { csrf: csrfOf(tokenOf('reader')) })),
    refuse('with a key', 401, 'unauthorized', 'GET', '/tenants/a', by('all', { key: KEYS.good })),
    refuse('with a signature', 401, 'unauthorized', 'GET', '/tenants/a', by('all', { signature: undefined })),
    refuse("with a bound key's signature alone", 401, 'unauthorized', 'GET', '/tenants/a', by('all', { headers: { signature: 's=::' } })),
    refuse('twice', 401, 'unauthorized', 'GET', '/tenants/a', by('all', { cookie: `__Host-tenants_session=${tokenOf('all')}; __Host-tenants_session=${tokenOf('all')}` })),
    refuse('under another name', 401, 'unauthorized', 'GET', '/tenants/a', by('all', { cookie: `tenants_session=${tokenOf('all')}` })),
    refuse('malformed', 401, 'unauthorized', 'GET', '/tenants/a', by('all', { cookie: '__Host-tenants_session=cs_1_x' })),
    refuse('forged', 401, 'unauthorized', 'GET', '/tenants/a', by('all', { token: tokenOf('all', 1, 'another secret') })),
    refuse('unknown', 401, 'unauthorized', 'GET', '/tenants/a', by('unknown')),
    ...['ended', 'idle', 'old'].map((name) => refuse(name, 401, 'unauthorized', 'GET', '/tenants/a', by(name))),
    refuse('of a deleted key', 401, 'unauthorized', 'GET', '/tenants/a', by('', { token: tokenOf('of a deleted key', 2) })),
    refuse('in the legacy dialect', 401, 'unauthorized', 'GET', '/tenants/a', by('all', { base: LEGACY })),
    refuse('on the route of Traefik', 401, 'unauthorized', 'GET', '/config/traefik', by('all', { address: '198.51.100.7' })),
    refuse('on the route of an agent', 401, 'unauthorized', 'GET', '/cells/eu/tenants', by('all')),
    request('the session itself', 200, 'GET', '/session', by('reader', { ...own, csrf: 'none', json: { csrf_token: csrfOf(tokenOf('reader')), id: idOf(tokenOf('reader')), scopes: ['tenants:read'] } })),
    refuse('a session by a key', 401, 'unauthorized', 'GET', '/session', own),
    request('all sessions', 200, 'GET', '/sessions', by('all', { ...own, json: [{ id: idOf(tokenOf('all')), current: true }, { id: idOf(tokenOf('reader')), current: false }] })),
    refuse('all sessions without the scope', 403, 'insufficient_scope', 'GET', '/sessions', by('reader', own)),
    request('the log', 200, 'GET', '/audit?after=0', by('all', { json: [{ action: 'tenant.create', session_id: idOf(tokenOf('all')) }] })),
    refuse('the end of a session that is not there', 404, 'not_found', 'DELETE', '/sessions/0123456789abcdef', by('all', own)),
    request('the end of another session', 204, 'DELETE', `/sessions/${idOf(tokenOf('reader'))}`, by('all', own)),
    refuse('which has ended', 401, 'unauthorized', 'GET', '/tenants/a', by('reader')),
    request('the end of the own session', 204, 'DELETE', '/session', by('all', { ...own, answer: { 'set-cookie': '__Host-tenants_session=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict' } })),
    refuse('which has ended, too', 401, 'unauthorized', 'DELETE', '/session', by('all', own)),
  ),
]
