// Bound keys (API.md §13): they sign each request as a whole, by RFC 9421. The runners put in the time and the signature.
import { createHash } from 'node:crypto'
import { bindKey, BODY_LIMIT, CURRENT, KEYS, LEGACY, LEGACY_PUBLIC, refuse, request, scenario, signingSecretOf, sql } from './source.mjs'

const ORIGIN = 'https://registry.example.com'
const SECRET = signingSecretOf(KEYS.good)
const digestOf = (body, name = 'sha-256') => `${name}=:${createHash(name.replace('-', '')).update(body).digest('base64')}:`

/**
 * Options of a request that a bound key signs. What the caller does not change is right.
 * @param {object} [o]
 * @param {object} [o.headers] covered by the signature
 * @param {object} [o.more] headers that it does not cover; `null` takes one away
 * @param {string} [o.params] parameters after `created`
 * @param {object} [o.components] further ones; `null` takes one away
 */
function sign(method, where, { body, headers = {}, more = {}, key = KEYS.good, secret = SECRET, origin = ORIGIN, base = CURRENT, created = '<now>', params = '', components = {}, ...options } = {}) {
  const digest = body === undefined ? {} : { 'content-digest': digestOf(typeof body === 'string' ? body : JSON.stringify(body)), ...headers }
  const all = { '@method': method, '@target-uri': `${origin}${base}${where}`, 'x-api-key': key, ...digest, ...headers, ...components }
  const covered = Object.entries(all).filter(([, value]) => value !== null)
  const input = `(${covered.map(([name]) => `"${name}"`).join(' ')});created=${created}${params}`
  const text = [...covered, ['@signature-params', input]].map(([name, value]) => `"${name}": ${value}`).join('\n')
  return {
    ...options, body, key, base, signature: null, signing: { secret, base: text },
    headers: { ...digest, ...headers, 'signature-input': `sig=${input}`, signature: 'sig=:<signature>:', ...more },
  }
}

const ask = (name, status, method, where, options = {}) => request(name, status, method, where, sign(method, where, options))
const not = (name, method, where, options = {}) => refuse(name, 401, 'unauthorized', method, where, sign(method, where, options))

const off = { is_enabled: false }
const where = '/tenants/a?validate_only=false'
/** A request with the signature of another one: the change of tenant `a`. */
const captured = (name, { method = 'PATCH', path = where, ...changes } = {}) => refuse(name, 401, 'unauthorized', method, path, { ...sign('PATCH', where, { body: off }), ...changes })
const adding = (header, value) => captured(`with ${header}`, { headers: { ...sign('PATCH', where, { body: off }).headers, [header]: value } })
const digested = (body) => ({ body, headers: { ...sign('PATCH', where, { body: off }).headers, 'content-digest': digestOf(JSON.stringify(body)) } })

export default [
  scenario('bound keys', { TENANTS_PUBLIC_URL: ORIGIN, CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    request('create a tenant', 201, 'POST', '/tenants', { body: { id: 'a', hostname: 'a.example.com', is_enabled: true } }),
    not('a key that is not bound cannot sign so', 'GET', '/tenants'),
    bindKey(1),
    refuse('a bound key takes no other signature', 401, 'unauthorized', 'GET', '/tenants'),
    refuse('nor none', 401, 'unauthorized', 'GET', '/tenants', { signature: null }),
    refuse('nor that of the legacy dialect', 401, 'unauthorized', 'GET', '/tenants/a', { base: LEGACY }),
    ask('the key itself', 200, 'POST', '/auth/verify', { json: (got) => ({ ...got, key: { ...got.key, id: 1, bound: true } }) }),
    ask('a read', 200, 'GET', '/tenants/a', { json: { id: 'a' } }),
    ask('a query', 200, 'GET', '/tenants?limit=1&q=%41', { json: [{ id: 'a' }] }),
    ask('a head', 200, 'HEAD', '/tenants'),
    ask('a condition of a read', 304, 'GET', '/tenants/a', { headers: { 'if-none-match': '*' } }),
    ask('a body', 204, 'PATCH', where, { body: off }),
    ['', ', again'].map((again) => ask(`every header that it must cover${again}`, 200, 'PATCH', '/tenants/a', {
      body: { is_enabled: true }, headers: { 'if-match': '*', 'if-none-match': '"x"', 'idempotency-key': 'k', prefer: 'return=representation' },
      answer: { 'preference-applied': 'return=representation', 'idempotency-replayed': again ? 'true' : null } })),
    ask('no body', 200, 'DELETE', '/tenants/a?validate_only=true', { json: () => ({ valid: true }) }),
    ask('in the legacy dialect', 200, 'GET', '/tenants/a', { base: LEGACY, json: { tenant_id: 'a' } }),
    ask('a digest of another kind', 204, 'PATCH', '/tenants/a', { body: off, headers: { 'content-digest': digestOf(JSON.stringify(off), 'sha-512') } }),
    ask('both digests', 204, 'PATCH', '/tenants/a', { body: off, headers: { 'content-digest': `${digestOf(JSON.stringify(off))}, ${digestOf(JSON.stringify(off), 'sha-512')}` } }),
    ask('further components', 200, 'GET', '/tenants?limit=1', { more: { 'x-request-id': 'r-1' }, components: {
      '@authority': 'registry.example.com', '@scheme': 'https', '@path': '/_/api/4/tenants', '@query': '?limit=1', '@request-target': '/_/api/4/tenants?limit=1', 'x-request-id': 'r-1' } }),
    ask('parameters', 200, 'GET', '/tenants', { params: ';expires=<now+60>;alg="hmac-sha256";keyid="any";nonce="n";tag="t"' }),
    ask('a clock that is behind', 200, 'GET', '/tenants', { created: '<now-280>' }),
    ask('a clock that is ahead', 200, 'GET', '/tenants', { created: '<now+280>' }),
    refuse('the route comes before the signature', 404, 'not_found', 'GET', '/nothing', sign('GET', '/nothing', { secret: 'another' })),
    refuse("and so does the body's size", 413, 'payload_too_large', 'PATCH', '/tenants/a', { ...sign('PATCH', '/tenants/a', { secret: 'another' }), body: { repeat: 'x', times: BODY_LIMIT + 1 } }),
    refuse("the body's own rules come after it", 400, 'malformed_json', 'PATCH', '/tenants/a', sign('PATCH', '/tenants/a', { body: '{' })),
    sql('UPDATE api_keys SET deleted_at = created_at WHERE id = 1'),
    not('a deleted key', 'GET', '/tenants'),
  ),
  scenario('bound keys: a captured request', { TENANTS_PUBLIC_URL: ORIGIN, CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    ['a', 'b'].map((id) => request(`create the tenant ${id}`, 201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled: true } })),
    request('create a plan', 201, 'POST', '/tenants-plans', { body: { id: 'a' } }),
    bindKey(1),
    captured('another method', { method: 'DELETE' }),
    captured('another tenant', { path: '/tenants/b?validate_only=false' }),
    captured('the tenant in another case', { path: '/tenants/A?validate_only=false' }),
    captured('another resource', { path: '/tenants-plans/a?validate_only=false' }),
    captured('the other dialect', { base: LEGACY }),
    ['', '?', '?validate_only=true', '?validate_only=false&validate_only=false', '?validate_only=%66alse'].map((query) => captured(`the query '${query}'`, { path: `/tenants/a${query}` })),
    captured('another body', { body: {} }),
    captured('another body with its own digest', digested({ hostname: 'evil.example.com' })),
    captured('the same body in other words', { body: '{ "is_enabled": false }' }),
    captured('no body', { body: undefined }),
    adding('idempotency-key', 'k'), adding('if-match', '*'), adding('if-none-match', '*'), adding('prefer', 'return=minimal'),
    adding('signature', null), adding('signature-input', null), adding('content-digest', null),
    adding('x-signature', '0'.repeat(64)),
    refuse('a body where there was none', 401, 'unauthorized', 'DELETE', '/tenants/a', { ...sign('DELETE', '/tenants/a'), body: { drop_tables: true } }),
    not('later', 'GET', '/tenants', { created: '<now-320>' }),
    not('earlier', 'GET', '/tenants', { created: '<now+320>' }),
    not('after its end', 'GET', '/tenants', { params: ';expires=<now-1>' }),
    not('another host', 'GET', '/tenants', { origin: 'https://other.example.com' }),
    not('without TLS', 'GET', '/tenants', { origin: 'http://registry.example.com' }),
    ask('nothing of this has been done', 200, 'GET', '/tenants', { json: ['a', 'b'].map((id) => ({ id, hostname: `${id}.example.com`, is_enabled: true })) }),
    ask('what was captured does what it says', 204, 'PATCH', where, { body: off }),
  ),
  scenario('bound keys: malformed signatures', { TENANTS_PUBLIC_URL: ORIGIN, TENANTS_SIGNATURE_AGE_SECONDS: '30' },
    bindKey(1),
    not('another secret', 'GET', '/tenants', { secret: signingSecretOf(KEYS.unknown) }),
    not("another key's signature", 'GET', '/tenants', { more: { 'x-api-key': KEYS.unknown } }),
    ['@method', '@target-uri', 'x-api-key'].map((name) => not(`without ${name}`, 'GET', '/tenants', { components: { [name]: null } })),
    ['idempotency-key', 'if-match', 'if-none-match', 'prefer'].map((name) => not(`without ${name}, which is sent`, 'PATCH', '/tenants/a', { body: off, headers: { [name]: '*' }, components: { [name]: null } })),
    not('without content-digest', 'PATCH', '/tenants/a', { body: off, components: { 'content-digest': null } }),
    ['date', '@status', '@query-param', 'x-signature', 'host', ''].map((name) => not(`the component '${name}'`, 'GET', '/tenants', { components: { [name]: 'x' } })),
    [';alg="hmac-sha512"', ';alg="ed25519"', ';created=1', ';expires=x'].map((params) => not(`the parameter ${params}`, 'GET', '/tenants', { params })),
    ['sha-256=:AAAA:', 'md5=:AAAA:', 'x', `${digestOf(JSON.stringify(off))}, sha-512=:AAAA:`].map((digest) =>
      not(`the digest ${digest.slice(-20)}`, 'PATCH', '/tenants/a', { body: off, headers: { 'content-digest': digest } })),
    ['sig=()', 'x', 'sig=("@method";req "@target-uri" "x-api-key");created=<now>'].map((input) => not(`Signature-Input: ${input}`, 'GET', '/tenants', { more: { 'signature-input': input } })),
    ['other=:<signature>:', 'sig=<signature>', 'sig=:AAAA:', 'sig=:<signature>:, other=:<signature>:'].map((signature) => not(`Signature: ${signature}`, 'GET', '/tenants', { more: { signature } })),
    ask('within TENANTS_SIGNATURE_AGE_SECONDS', 200, 'GET', '/tenants', { created: '<now-20>' }),
    not('not within it', 'GET', '/tenants', { created: '<now-40>' }),
  ),
  scenario('bound keys: Traefik', { TENANTS_PUBLIC_URL: ORIGIN, CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '192.0.2.7' },
    bindKey(1),
    refuse('a key alone', 401, 'unauthorized', 'GET', '/config/traefik', { signature: null, address: '192.0.2.7' }),
    refuse('a signature that says not what it covers', 401, 'unauthorized', 'GET', '/config/traefik', { signature: null, headers: { signature: 's=::' }, address: '192.0.2.7' }),
    ask('a signature', 200, 'GET', '/config/traefik', { address: '192.0.2.7' }),
    not('another query', 'GET', '/config/traefik?cell=eu', { address: '192.0.2.7', components: { '@target-uri': `${ORIGIN}/_/api/4/config/traefik` } }),
  ),
]
