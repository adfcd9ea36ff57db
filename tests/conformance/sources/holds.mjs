// Holds (API.md §16).
import { KEYS, LEGACY, LEGACY_PUBLIC, refuse, request, scenario } from './source.mjs'

const tenant = (id) => request(`create the tenant ${id}`, 201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled: true }, json: { served: true, holds: {} } })
const keyed = (key, options) => ({ ...options, headers: { 'idempotency-key': key } })
/** The tag of the tenant's version after the write with this number in the audit log. */
const tag = (number) => `"0123456789abcdef.${number}-1"`
const PAGE = 'https://status.example.com/?a=<b>&"c"'
const LATE = '9999-12-30 00:00:00'
const LATER = '9999-12-31 23:59:59'
const none = { message: null, until: null }

export default [
  scenario('holds', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    tenant('Acme'),
    request('hold it', 204, 'PUT', '/tenants/acme/holds/non_payment', { body: { reason: 'invoice 7', message: PAGE, until: '9999-12-31 23:59:59' }, answer: { etag: tag(2) } }),
    request('the same again writes nothing', 204, 'PUT', '/tenants/acme/holds/non_payment', { body: { until: '9999-12-31 23:59:59', message: PAGE, reason: 'invoice 7' }, answer: { etag: tag(2) } }),
    request('it is not served', 200, 'GET', '/tenants/acme', { json: { is_enabled: true, served: false, holds: { non_payment: { reason: 'invoice 7', message: PAGE, until: '9999-12-31 23:59:59' } } }, answer: { etag: tag(2) } }),
    request('another hold', 204, 'PUT', '/tenants/ACME/holds/abuse', keyed('k-1', { body: { reason: 'grüße 🐘', message: null }, answer: { etag: tag(3) } })),
    request('the same request again', 204, 'PUT', '/tenants/ACME/holds/abuse', keyed('k-1', { body: { reason: 'grüße 🐘', message: null }, answer: { etag: tag(3), 'idempotency-replayed': 'true' } })),
    request('try to lift one', 200, 'DELETE', '/tenants/acme/holds/non_payment?validate_only=true', { json: () => ({ valid: true }), answer: { etag: null } }),
    request('lift one', 204, 'DELETE', '/tenants/acme/holds/non_payment', { answer: { etag: tag(4) } }),
    request('the other one is left', 200, 'GET', '/tenants?fields=served,holds', { json: () => [{ served: false, holds: { abuse: { reason: 'grüße 🐘', ...none } } }] }),
    request('the legacy dialect does not show it', 200, 'GET', '/tenants/acme', { base: LEGACY, json: ({ served, holds, ...rest }) => ({ ...rest, is_enabled: 1 }) }),
    refuse('a hold that it does not have', 404, 'not_found', 'DELETE', '/tenants/acme/holds/non_payment'),
    refuse('a kind that there is not', 404, 'not_found', 'DELETE', '/tenants/acme/holds/spam'),
    refuse('a hold of an unknown kind', 422, 'invalid', 'PUT', '/tenants/acme/holds/spam', { body: { reason: 'r' } }, ['/kind']),
    refuse('a hold without a reason that ended', 422, 'invalid', 'PUT', '/tenants/acme/holds/admin', { body: { until: '2026-01-01 00:00:00', x: 1 } }, ['/reason', '/until', '/x']),
    refuse('a hold without a body', 400, 'body_required', 'PUT', '/tenants/acme/holds/admin'),
    refuse('a body of a DELETE', 400, 'body_unexpected', 'DELETE', '/tenants/acme/holds/abuse', { body: {} }),
    refuse('a hold of an unknown tenant', 404, 'not_found', 'PUT', '/tenants/gone/holds/admin', { body: { reason: 'r' } }),
    refuse('a wrong version', 412, 'precondition_failed', 'DELETE', '/tenants/acme/holds/abuse', { headers: { 'if-match': tag(2) } }),
    refuse('a deleted key', 401, 'unauthorized', 'DELETE', '/tenants/acme/holds/abuse', { key: KEYS.deleted }),
    refuse('another method', 405, 'method_not_allowed', 'GET', '/tenants/acme/holds/abuse', { answer: { allow: 'PUT, DELETE' } }),
    request('lift the last one', 204, 'DELETE', '/tenants/acme/holds/abuse', { headers: { 'if-match': tag(4) }, answer: { etag: tag(5) } }),
    request('it is served', 200, 'GET', '/tenants/acme', { json: { served: true, holds: {} }, answer: { etag: tag(5) } }),
  ),
  scenario('times and protection', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    request('create a tenant with its times', 201, 'POST', '/tenants', { body: { id: 'Acme', hostname: 'acme.example.com', is_enabled: true, suspend_at: LATE, delete_at: LATER, deletion_protection: true }, json: { served: true, suspend_at: LATE, delete_at: LATER, deletion_protection: true } }),
    request('a PUT without them keeps them', 200, 'PUT', '/tenants/acme', { body: { hostname: 'acme.example.com', is_enabled: false }, json: { served: false, suspend_at: LATE, delete_at: LATER, deletion_protection: true } }),
    request('remove one', 204, 'PATCH', '/tenants/acme', { body: { delete_at: null }, answer: { etag: tag(3) } }),
    request('the list shows them', 200, 'GET', '/tenants?fields=id,suspend_at,delete_at,deletion_protection', { json: () => [{ id: 'Acme', suspend_at: LATE, delete_at: null, deletion_protection: true }] }),
    request('the legacy dialect shows none', 200, 'GET', '/tenants/acme', { base: LEGACY, json: ({ suspend_at, delete_at, deletion_protection, ...rest }) => ({ ...rest, is_enabled: 0 }) }),
    refuse('times that are past or none', 422, 'invalid', 'PATCH', '/tenants/acme', { body: { suspend_at: '2026-01-01 00:00:00', delete_at: 'soon', deletion_protection: null } }, ['/suspend_at', '/delete_at', '/deletion_protection']),
    refuse('delete a protected tenant', 409, 'deletion_protected', 'DELETE', '/tenants/acme'),
    refuse('delete it with its tables', 409, 'deletion_protected', 'DELETE', '/tenants/acme', { body: { drop_tables: true } }),
    refuse('try to delete it', 409, 'deletion_protected', 'DELETE', '/tenants/acme?validate_only=true'),
    refuse('delete it in the legacy dialect', 409, 'deletion_protected', 'DELETE', '/tenants/acme', { base: LEGACY }),
    request('lift the protection', 204, 'PATCH', '/tenants/acme', { body: { deletion_protection: false }, answer: { etag: tag(4) } }),
    request('delete it', 204, 'DELETE', '/tenants/acme'),
  ),
  scenario('deleted tenants', {},
    request('create a tenant with everything', 201, 'POST', '/tenants', { body: { id: 'Acme', hostname: 'acme.example.com', is_enabled: true, external_id: 'C-1', labels: { tier: 'gold' }, env: { A: 'b' } } }),
    request('add a hostname', 201, 'PUT', '/tenants/acme/hostnames/b.example.com', { body: { kind: 'alias' } }),
    refuse('bring back a tenant that is there', 404, 'not_found', 'POST', '/tenants/acme/restore'),
    request('delete it', 204, 'DELETE', '/tenants/acme'),
    request('the list shows it', 200, 'GET', '/tenants?deleted=true&limit=1', { json: (all) => all.map((one) => ({ ...one, id: 'Acme', env: { A: 'b' } })) }),
    request('the other list does not', 200, 'GET', '/tenants', { json: () => [] }),
    refuse('a filter of deleted tenants', 422, 'invalid', 'GET', '/tenants?deleted=true&q=a'),
    request('another tenant takes a hostname', 201, 'POST', '/tenants', { body: { id: 'other', hostname: 'b.example.com', is_enabled: true } }),
    refuse('a conflict', 409, 'conflict', 'POST', '/tenants/acme/restore', {}, ['/hostname']),
    request('it goes', 204, 'DELETE', '/tenants/other', { body: { drop_tables: true } }),
    request('try to bring it back', 200, 'POST', '/tenants/acme/restore?validate_only=true', { json: () => ({ valid: true }) }),
    request('bring it back', 200, 'POST', '/tenants/acme/restore', keyed('k-1', { json: { id: 'Acme', external_id: 'C-1', labels: { tier: 'gold' }, env: { A: 'b' } } })),
    request('the same request again', 200, 'POST', '/tenants/acme/restore', keyed('k-1', { json: { id: 'Acme', env: { A: 'b' } }, answer: { 'idempotency-replayed': 'true' } })),
    refuse('a body', 400, 'body_unexpected', 'POST', '/tenants/acme/restore', { body: {} }),
    refuse('bring it back once more', 404, 'not_found', 'POST', '/tenants/acme/restore'),
  ),
]
