// Hostnames besides a tenant's own (API.md §18).
import { KEYS, LEGACY, LEGACY_PUBLIC, refuse, request, scenario, sql } from './source.mjs'

const tenant = (id) => request(`create the tenant ${id}`, 201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled: true } })
const keyed = (key, options) => ({ ...options, headers: { 'idempotency-key': key } })
/** The tag of the tenant's hostnames after the write with this number in the audit log. */
const tag = (number) => `"0123456789abcdef.${number}-1"`
const alias = { kind: 'alias' }
const members = { claimed_until: null, proof: null, proof_missing_since: null }
const named = (hostname, kind) => (answer) => ({ ...answer, hostname, kind, ...members })
const taken = (hostname, holder, method, path, options) =>
  request(`${method} ${path}: ${hostname} is taken`, 409, method, path, { ...options, json: { code: 'conflict', errors: [{ pointer: '/hostname', detail: `\`${hostname}\` is taken`, holder }] } })

export default [
  scenario('hostnames', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC, TENANTS_DEVELOPMENT: 'true' },
    tenant('Acme'), tenant('other'),
    request('none', 200, 'GET', '/tenants/acme/hostnames', { json: () => [], answer: { etag: tag(1) } }),
    request('an alias', 201, 'PUT', '/tenants/acme/hostnames/Photos.acme.example', { body: alias, json: named('photos.acme.example', 'alias'), answer: { etag: tag(3) } }),
    request('the same again writes nothing', 200, 'PUT', '/tenants/ACME/hostnames/photos.acme.example', { body: alias, json: named('photos.acme.example', 'alias'), answer: { etag: tag(3) } }),
    request('a redirect', 201, 'PUT', '/tenants/acme/hostnames/www.acme.example', keyed('k-1', { body: { kind: 'redirect' }, answer: { etag: tag(4) } })),
    request('the same request again', 201, 'PUT', '/tenants/acme/hostnames/www.acme.example', keyed('k-1', { body: { kind: 'redirect' }, answer: { etag: tag(4), 'idempotency-replayed': 'true' } })),
    request('the list', 200, 'GET', '/tenants/acme/hostnames', { json: ([one, two]) => [named('photos.acme.example', 'alias')(one), named('www.acme.example', 'redirect')(two)], answer: { etag: tag(4) } }),
    request('the list again', 304, 'GET', '/tenants/acme/hostnames', { headers: { 'if-none-match': tag(4) } }),
    request('its routes', 200, 'GET', '/config/traefik', { key: null, signature: null, address: '127.0.0.1' }),
    request('find the tenant by its alias', 200, 'GET', '/tenants?fields=id&hostname=photos.acme.example', { json: () => [{ id: 'Acme' }] }),
    taken('photos.acme.example', 'Acme', 'PUT', '/tenants/other/hostnames/photos.acme.example', { body: alias }),
    taken('other.example.com', 'other', 'PUT', '/tenants/acme/hostnames/other.example.com', { body: alias }),
    taken('www.acme.example', 'Acme', 'PATCH', '/tenants/other', { body: { hostname: 'www.acme.example' } }),
    taken('www.acme.example', 'Acme', 'PUT', '/tenants/other', { body: { hostname: 'www.acme.example', is_enabled: true } }),
    taken('www.acme.example', 'Acme', 'POST', '/tenants', { body: { id: 'new', hostname: 'www.acme.example', is_enabled: true } }),
    refuse('taken for the legacy dialect, too', 409, 'conflict', 'PATCH', '/tenants/other', { base: LEGACY, body: { hostname: 'www.acme.example' } }, ['/hostname']),
    request('try another kind', 200, 'PUT', '/tenants/acme/hostnames/www.acme.example?validate_only=true', { body: alias, json: () => ({ valid: true }), answer: { etag: null } }),
    request('another kind', 200, 'PUT', '/tenants/acme/hostnames/www.acme.example', { body: alias, headers: { 'if-match': tag(4) }, answer: { etag: tag(5) } }),
    refuse('a wrong version', 412, 'precondition_failed', 'DELETE', '/tenants/acme/hostnames/www.acme.example', { headers: { 'if-match': tag(4) } }),
    refuse('an unknown kind and no hostname', 422, 'invalid', 'PUT', '/tenants/acme/hostnames/a..b', { body: { kind: 'copy', x: 1 } }, ['/kind', '/hostname', '/x']),
    refuse('no hostname', 422, 'invalid', 'PUT', '/tenants/acme/hostnames/a..b', { body: alias }, ['/hostname']),
    refuse("the root's own", 422, 'invalid', 'PUT', '/tenants/acme/hostnames/localhost', { body: alias }, ['/hostname']),
    request('no proof is asked for', 200, 'POST', '/tenants/acme/hostnames/www.acme.example/verify', { json: named('www.acme.example', 'alias') }),
    refuse('verify what it does not have', 404, 'not_found', 'POST', '/tenants/other/hostnames/www.acme.example/verify'),
    sql("INSERT INTO tenant_hostnames (tenant_id, hostname, kind, created_at, updated_at, proof, claimed_until) VALUES ('other', 'claimed.example', 'alias', ?1, ?1, 'v1', ?2)", '2026-01-02 03:04:05', '2026-01-09 03:04:05'),
    refuse('verify a claim after its end', 404, 'not_found', 'POST', '/tenants/other/hostnames/claimed.example/verify'),
    refuse('a body of verify', 400, 'body_unexpected', 'POST', '/tenants/acme/hostnames/www.acme.example/verify', { body: {} }),
    refuse('an unknown tenant', 404, 'not_found', 'PUT', '/tenants/gone/hostnames/b.example', { body: alias }),
    refuse('a hostname that it does not have', 404, 'not_found', 'DELETE', '/tenants/acme/hostnames/b.example'),
    refuse('its own', 404, 'not_found', 'DELETE', '/tenants/acme/hostnames/acme.example.com'),
    refuse('a deleted key', 401, 'unauthorized', 'GET', '/tenants/acme/hostnames', { key: KEYS.deleted }),
    refuse('another method', 405, 'method_not_allowed', 'GET', '/tenants/acme/hostnames/www.acme.example', { answer: { allow: 'PUT, DELETE' } }),
    refuse('the legacy dialect does not have it', 404, 'not_found', 'GET', '/tenants/acme/hostnames', { base: LEGACY }),
    request('take one', 204, 'DELETE', '/tenants/acme/hostnames/photos.acme.example', { answer: { etag: tag(6) } }),
    request('make the other one its own', 204, 'PATCH', '/tenants/acme', { body: { hostname: 'www.acme.example' } }),
    request('none is left', 200, 'GET', '/tenants/acme/hostnames', { json: () => [] }),
  ),
]
