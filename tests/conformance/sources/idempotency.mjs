import { LEGACY, LEGACY_PUBLIC, refuse, request, scenario, sql } from './source.mjs'

const DAYS_AGO = '2026-01-02 03:04:05'

/** A write with a key, and the same write again: the same answer, and a header that says so. */
const twice = (name, status, method, where, key, options = {}) => [
  request(name, status, method, where, keyed(key, options, null)),
  request(`${name}, again`, status, method, where, keyed(key, options, 'true')),
]
const keyed = (key, options, replayed) => ({ ...options, headers: { ...options.headers, 'idempotency-key': key }, answer: { ...options.answer, 'idempotency-replayed': replayed } })

const tenant = { id: 'a', hostname: 'a.example.com', is_enabled: true, env: { A: '1' } }
const admin = { username: 'admin', email: 'a@b.example', password: 'secret-1' }
const reset = '/tenants/a/user-password-reset'

export default [
  scenario('Idempotency-Key: every write', { TENANTS_PASSWORD_MEMORY_KIB: '7168', TENANTS_PASSWORD_PASSES: '5' },
    twice('create a plan', 201, 'POST', '/tenants-plans', 'k-1', { body: { id: 'P' } }),
    twice('create a tenant', 201, 'POST', '/tenants', 'k-2', { body: { ...tenant, plan_id: 'p' } }),
    twice('edit a tenant', 204, 'PATCH', '/tenants/A', 'k-3', { body: { is_enabled: false } }),
    twice('edit a plan', 204, 'PATCH', '/tenants-plans/p', 'k-4', { body: { limits: { A: '1' } } }),
    twice('install', 201, 'POST', '/tenants/A/install', 'k-5', { body: admin }),
    twice('reset a password', 200, 'PATCH', reset, 'k-6', { body: { username: 'ADMIN', password: 'secret-2' } }),
    request('the tenant was created once', 200, 'GET', '/tenants?count=true', { answer: { 'x-total-count': '1' } }),
    twice('delete with tables', 204, 'DELETE', '/tenants/a', 'k-7', { body: { drop_tables: true } }),
    request('create the tenant again', 201, 'POST', '/tenants', { body: tenant }),
    request('a replay does not look at the present tenant', 204, 'PATCH', '/tenants/A', keyed('k-3', { body: { is_enabled: false } }, 'true')),
    request('which is as it was', 200, 'GET', '/tenants/a', { json: (got) => ({ ...got, is_enabled: true }) }),
    twice('delete a tenant', 204, 'DELETE', '/tenants/a', 'k-8'),
    twice('delete a plan', 204, 'DELETE', '/tenants-plans/p', 'k-9'),
    refuse('without a key the plan is gone', 404, 'not_found', 'DELETE', '/tenants-plans/p'),
    twice('make a cell', 201, 'PUT', '/cells/Eu', 'k-10', { body: { name: 'Europe' }, answer: { location: '/_/api/4/cells/Eu' } }),
    twice('change a cell', 200, 'PUT', '/cells/eu', 'k-11', { body: { service: { name: 'php-eu', port: 8080 } } }),
    twice('change nothing of a cell', 200, 'PUT', '/cells/eu', 'k-12', { body: { name: 'Europe' } }),
    twice('delete a cell', 204, 'DELETE', '/cells/eu', 'k-13'),
    twice('change a key', 204, 'PATCH', '/keys/3', 'k-14', { body: { name: 'older' } }),
    twice('delete a key', 204, 'DELETE', '/keys/3', 'k-15'),
  ),
  scenario('Idempotency-Key: a generated password is the same one', { TENANTS_PASSWORD_MEMORY_KIB: '7168', TENANTS_PASSWORD_PASSES: '5' },
    request('create', 201, 'POST', '/tenants', { body: tenant }),
    request('install', 201, 'POST', '/tenants/a/install', { body: admin }),
    ['', ', again'].map((again) => request(`reset${again}`, 200, 'PATCH', reset, { ...keyed('k', { body: { username: 'admin' } }, again ? 'true' : null), generated: true })),
  ),
  scenario('Idempotency-Key: another request', {},
    request('create', 201, 'POST', '/tenants', keyed('"k"', { body: tenant }, null)),
    refuse('another body', 422, 'idempotency_key_reused', 'POST', '/tenants', keyed('k', { body: { ...tenant, id: 'b' } }, null)),
    refuse('the same body with a space', 422, 'idempotency_key_reused', 'POST', '/tenants', keyed('k', { body: `${JSON.stringify(tenant)} ` }, null)),
    refuse('another path', 422, 'idempotency_key_reused', 'PATCH', '/tenants/a', keyed('k', { body: { is_enabled: false } }, null)),
    refuse('a path that no tenant can have', 422, 'idempotency_key_reused', 'DELETE', '/tenants/_', keyed('k', {}, null)),
    refuse('another query', 422, 'idempotency_key_reused', 'DELETE', '/tenants/a?', keyed('k', {}, null)),
    request('a read has no use for it', 200, 'GET', '/tenants/a', keyed('k', {}, null)),
    refuse('a deleted API key comes first', 401, 'unauthorized', 'POST', '/tenants', { ...keyed('k', { body: tenant }, null), key: null }),
  ),
  scenario('Idempotency-Key: refused requests are judged anew', {},
    refuse('edit', 404, 'not_found', 'PATCH', '/tenants/a', keyed('k', { body: { is_enabled: false } }, null)),
    request('create', 201, 'POST', '/tenants', { body: tenant }),
    refuse('create again', 409, 'conflict', 'POST', '/tenants', keyed('k', { body: tenant }, null), ['/id', '/hostname']),
    twice('edit', 204, 'PATCH', '/tenants/a', 'k', { body: { is_enabled: false } }),
    sql('UPDATE idempotency SET expires_at = ?1', DAYS_AGO),
    request('after it has expired', 204, 'DELETE', '/tenants/a', keyed('k', {}, null)),
  ),
  scenario('Idempotency-Key: the header', {},
    ['', ' ', '""', '"', '"a', 'a b', 'a, b', '"a", "b"', '"a";b=1', 'x'.repeat(256)].map((key) =>
      refuse(`malformed: ${key.slice(0, 20)}`, 400, 'malformed_header', 'POST', '/tenants', { body: tenant, headers: { 'idempotency-key': key } })),
    request('the longest', 201, 'POST', '/tenants', keyed('x'.repeat(255), { body: tenant }, null)),
    request('in quotes it is the same', 201, 'POST', '/tenants', keyed(`"${'x'.repeat(255)}"`, { body: tenant }, 'true')),
    request('every visible character', 204, 'DELETE', '/tenants/a', keyed('!#$%&\'()*+,-./09:;<=>?@AZ[]^_`az{|}~"\\', {}, null)),
  ),
  scenario('Idempotency-Key: the legacy dialect', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    twice('create a plan', 201, 'POST', '/tenants-plans', 'k-1', { base: LEGACY, body: { plan_id: 'p', name: 'P' } }),
    twice('create a tenant', 201, 'POST', '/tenants', 'k-2', { base: LEGACY, body: { tenant_id: 'a', hostname: 'a.example.com', is_enabled: 1 } }),
    twice('edit a tenant', 204, 'PATCH', '/tenants/a', 'k-3', { base: LEGACY, body: { is_enabled: 0 } }),
    twice('delete a tenant', 204, 'DELETE', '/tenants/a', 'k-4', { base: LEGACY }),
    refuse('malformed', 400, 'malformed_header', 'DELETE', '/tenants/a', keyed('a b', { base: LEGACY }, null)),
  ),
]
