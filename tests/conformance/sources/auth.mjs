// Authentication (API.md §2): keys, signatures, addresses, and the order of the checks.
import { BODY_LIMIT, KEYS, SECRETS, refuse, request, scenario, sql, vectors } from './source.mjs'

const verify = (name, options, status = 200) => (status === 200 ? request(name, 200, 'POST', '/auth/verify', { json: { valid: true }, ...options }) : refuse(name, status, 'unauthorized', 'POST', '/auth/verify', options))
const golden = vectors('signatures')
const addresses = vectors('allow_list')
const large = { repeat: 'x', times: BODY_LIMIT + 1 }
const text = { 'content-type': 'text/plain' }

const health = (name, status, method = 'GET', where = '/_/health', options = {}) => request(name, status, method, where, { base: '', key: null, signature: null, ...options })
// The description's text is in docs/openapi.json, so the set does not have it again.
const describe = (name, status, method, options = {}) => request(name, status, method, '/openapi.json', { key: null, signature: null, ...options })

export default [
  scenario('health', {},
    health('anybody may ask', 200, 'GET', '/_/health', { json: (got) => ({ version: got.version, schema: got.schema }) }),
    health('a key and a signature make no difference', 200, 'GET', '/_/health?a=b', { key: KEYS.forged, signature: 'x' }),
    health('HEAD has no body', 200, 'HEAD'),
    ['POST', 'PUT', 'DELETE'].map((method) => health(`${method} is refused`, 405, method, '/_/health', { code: 'method_not_allowed', answer: { allow: 'GET, HEAD' } })),
    health('a path below it is no route', 404, 'GET', '/_/health/', { code: 'not_found' }),
    health('the base path does not have it', 404, 'GET', '/_/api/4/health', { code: 'not_found' }),
    sql('INSERT INTO d1_migrations (name) VALUES (?1)', '9999_later.sql'),
    health('a database that a newer version migrated is a 200', 200, 'GET', '/_/health', { json: (got) => ({ version: got.version, schema: '9999_later.sql' }) }),
    sql('DELETE FROM d1_migrations WHERE name = ?1', '9999_later.sql'),
    sql('DELETE FROM d1_migrations WHERE name = ?1', '0001_registry.sql'),
    health('a database that lacks a migration is a 503', 503, 'GET', '/_/health', { code: 'not_ready' }),
    sql('INSERT INTO d1_migrations (id, name) VALUES (1, ?1)', '0001_registry.sql'),
    health('a prepared database is a 200 again', 200),
  ),
  scenario('the description', {},
    describe('HEAD tells its type and its tag', 200, 'HEAD'),
    describe('a caller that has it gets a 304', 304, 'GET', { headers: { 'if-none-match': '*' } }),
    ['POST', 'PUT', 'DELETE'].map((method) => describe(`${method} is refused`, 405, method, { code: 'method_not_allowed', answer: { allow: 'GET, HEAD' } })),
    describe('the legacy dialect does not have it', 404, 'GET', { base: '/api/4/_', code: 'not_found' }),
    describe('the root does not have it', 404, 'GET', { base: '', code: 'not_found' }),
  ),
  scenario('keys', {},
    request('a good key and a good signature', 200, 'POST', '/auth/verify', { json: { valid: true, key: { id: 1, name: 'good', created_at: '2026-01-02 03:04:05', expires_at: '9999-12-31 23:59:59', scopes: ['*'], bound: false } } }),
    Object.entries({ missing: null, empty: '', ...KEYS }).filter(([name]) => name !== 'good').map(([name, key]) => verify(`a key that is ${name}`, { key }, 401)),
    Object.entries(KEYS).filter(([name]) => name !== 'good').map(([name, key]) => refuse(`a write with a key that is ${name}`, 401, 'unauthorized', 'POST', '/tenants', { key, body: { id: 'a', hostname: 'a.example.com', is_enabled: true } })),
    request('the refused writes stored nothing', 200, 'GET', '/tenants', { json: [] }),
    verify("the caller's own request id", { headers: { 'x-request-id': 'my-id_1.2' }, answer: { 'x-request-id': 'my-id_1.2' } }),
    verify('an invalid request id is replaced', { headers: { 'x-request-id': 'a b' } }),
  ),
  scenario('signatures', { CHEVERETO_TENANTS_API_REQUEST_SECRET: golden[0].secret },
    // The route takes no body, but says so only if the signature is right.
    golden.map(({ name, body, signature }) => (body === ''
      ? verify(`a signature of openssl and PHP: ${name}`, { signature })
      : refuse(`a signature of openssl and PHP: ${name}`, 400, 'body_unexpected', 'POST', '/auth/verify', { body, signature }))),
    verify('a signature in upper case', { signature: golden[0].signature.toUpperCase() }),
    Object.entries({ missing: null, empty: '', 'not hex': 'x'.repeat(64), short: golden[0].signature.slice(2), long: `${golden[0].signature}00`, 'of another body': golden[1].signature })
      .map(([name, signature]) => verify(`a signature that is ${name}`, { signature }, 401)),
  ),
  scenario('allow list', { CHEVERETO_TENANTS_API_IP_ALLOW_LIST: addresses[0].list },
    addresses.map(({ name, address, allowed }) => (allowed ? verify(name, { address }) : refuse(name, 403, 'forbidden', 'POST', '/auth/verify', { address }))),
    refuse('an unknown address', 403, 'forbidden', 'POST', '/auth/verify'),
    refuse('the address is checked before the route', 403, 'forbidden', 'GET', '/nothing', { address: '203.0.113.9', key: null, signature: null }),
  ),
  scenario('variables under their older names', { CHEVERETO_TENANTS_API_ALLOW_LIST: '192.0.2.7', CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'prefix', CHEVERETO_TENANT_ENFORCED: '[]' },
    verify('an address on the list', { address: '192.0.2.7' }),
    refuse('an address that is not on the list', 403, 'forbidden', 'POST', '/auth/verify', { address: '192.0.2.8' }),
  ),
  ...Object.entries({
    'an allow list of commas': { CHEVERETO_TENANTS_API_IP_ALLOW_LIST: ' , ' },
    'two different allow lists': { CHEVERETO_TENANTS_API_IP_ALLOW_LIST: '192.0.2.7', CHEVERETO_TENANTS_API_ALLOW_LIST: '192.0.2.8' },
    'a short secret': { CHEVERETO_TENANTS_API_REQUEST_SECRET: 'fifteen-bytes-x' },
    'one secret for keys and requests': { CHEVERETO_TENANTS_API_REQUEST_SECRET_PREVIOUS: SECRETS.CHEVERETO_TENANTS_API_KEY_SECRET },
  }).map(([name, config]) => scenario(`a configuration that is refused: ${name}`, config, refuse(name, 503, 'not_configured', 'POST', '/auth/verify', { address: '192.0.2.7' }))),
  scenario('the order of the checks', {},
    refuse('the route is checked before the key', 404, 'not_found', 'POST', '/nothing', { key: null, body: large }),
    refuse('the method is checked before the key', 405, 'method_not_allowed', 'PUT', '/tenants', { key: null, body: large, answer: { allow: 'GET, HEAD, POST' } }),
    refuse("the key's MAC is checked before the size", 401, 'unauthorized', 'POST', '/tenants', { key: KEYS.forged, body: large }),
    refuse('the size is checked before the signature', 413, 'payload_too_large', 'POST', '/tenants', { body: large, signature: null }),
    refuse("the size is checked before the key's row", 413, 'payload_too_large', 'POST', '/tenants', { body: large, key: KEYS.deleted }),
    refuse('the signature is checked before the content type', 401, 'unauthorized', 'POST', '/tenants', { body: '{', headers: text, signed: '' }),
    refuse('the signature is checked before an unexpected body', 401, 'unauthorized', 'POST', '/auth/verify', { body: '{}', signed: '' }),
    refuse("an unexpected body is refused before the key's row is checked", 400, 'body_unexpected', 'POST', '/auth/verify', { body: '{}', key: KEYS.deleted }),
    refuse('a missing body is reported before its content type', 400, 'body_required', 'POST', '/tenants', { headers: text }),
    refuse('the content encoding is checked before the content type', 415, 'unsupported_media_type', 'POST', '/tenants', { body: '{', headers: { ...text, 'content-encoding': 'gzip' }, answer: { 'accept-encoding': 'identity' } }),
    refuse('the content type is checked before the JSON', 415, 'unsupported_media_type', 'POST', '/tenants', { body: '{', headers: text }),
    refuse("the JSON is checked before the key's row", 400, 'malformed_json', 'POST', '/tenants', { body: '{', key: KEYS.unknown }),
    refuse("the fields are checked before the key's row", 422, 'invalid', 'POST', '/tenants', { body: {}, key: KEYS.deleted }, ['/id', '/hostname', '/is_enabled']),
    refuse('the fields are checked before the tenant is looked up', 422, 'invalid', 'PATCH', '/tenants/nobody', { body: {} }),
    refuse("the key's row is checked before the tenant is looked up", 401, 'unauthorized', 'GET', '/tenants/nobody', { key: KEYS.deleted }),
  ),
  scenario('nothing is configured', { CHEVERETO_TENANTS_API_KEY_SECRET: '', CHEVERETO_TENANTS_API_REQUEST_SECRET: '' },
    refuse('without the secrets a request is a 503', 503, 'not_configured', 'GET', '/tenants'),
    refuse('without a legacy key there are no legacy routes', 404, 'not_found', 'GET', '/tenants/a', { base: '/api/4/_' }),
  ),
  scenario('bodies', {},
    refuse('a body of 64 KiB is read', 400, 'malformed_json', 'POST', '/tenants-plans', { body: { repeat: ' ', times: BODY_LIMIT } }),
    refuse('a body of one byte more is refused', 413, 'payload_too_large', 'POST', '/auth/verify', { body: large }),
    ['application/json', 'Application/JSON; charset=utf-8', 'application/merge-patch+json'].map((type, i) => request(`the content type ${type} is accepted`, 201, 'POST', '/tenants-plans', { body: { id: `p${i}` }, headers: { 'content-type': type } })),
    ['text/plain', 'application/jsonx', 'application/xml'].map((type) => refuse(`the content type ${type} is refused`, 415, 'unsupported_media_type', 'POST', '/tenants-plans', { body: { id: 'x' }, headers: { 'content-type': type } })),
    ['gzip', 'br', 'identity, gzip'].map((coding) => refuse(`the content encoding ${coding} is refused`, 415, 'unsupported_media_type', 'POST', '/tenants-plans', { body: { id: 'x' }, headers: { 'content-encoding': coding }, answer: { 'accept-encoding': 'identity' } })),
    request('the content encoding identity is accepted', 201, 'POST', '/tenants-plans', { body: { id: 'plain' }, headers: { 'content-encoding': 'identity' } }),
    Object.entries({ 'POST /auth/verify': '/auth/verify', 'DELETE of a plan': '/tenants-plans/plain' }).map(([name, where]) => refuse(`${name} takes no body`, 400, 'body_unexpected', name.split(' ')[0], where, { body: {} })),
    Object.entries({
      'an open brace': '{', 'two values': '{}{}', 'a list': '[]', null: 'null', 'a byte order mark': '\ufeff{"id":"a"}', 'Latin-1': Buffer.from('{"env":{"A":"\u00fc"}}', 'latin1'),
      'a raw line end in a string': '{"env":{"A":"a\nb"}}', 'a nest of 30,000 lists': { repeat: '[', times: 30_000 }, 'an object with a repeated member': '{"id":"a","id":"a"}',
    }).map(([name, body]) => refuse(`${name} is not a JSON object`, 400, 'malformed_json', 'POST', '/tenants-plans', { body })),
    refuse('a lone surrogate escape is refused', 422, 'invalid', 'POST', '/tenants-plans', { body: '{"id":"a","env":{"A":"\\ud800"}}' }, ['/env/A']),
    refuse('a repeated variable is refused', 422, 'invalid', 'POST', '/tenants-plans', { body: '{"id":"a","limits":{"A":"1","A":"2"}}' }, ['/limits']),
  ),
]
