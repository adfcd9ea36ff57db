// Safe retries (API.md §12) apart from `Idempotency-Key`: PUT, `If-Match`, `If-None-Match`, `Prefer`, and trials.
import { KEYS, LEGACY, LEGACY_PUBLIC, refuse, request, scenario, sql } from './source.mjs'

/** The version of a resource whose last write has this number in the audit log. */
const tag = (number) => `"0123456789abcdef.${number}-1"`
const STALE = tag(999)

/** Options with a header more. */
const having = (header) => (value, options = {}) => ({ ...options, headers: { ...options.headers, [header]: value } })
const [match, noneMatch, prefer, keyed] = ['if-match', 'if-none-match', 'prefer', 'idempotency-key'].map(having)
/** A write that has an entry in the audit log, which shows the request's id. */
const entered = having('x-request-id')

const failed = (name, method, where, options) => refuse(name, 412, 'precondition_failed', method, where, options)
const malformed = (name, method, where, options) => refuse(name, 400, 'malformed_header', method, where, options)
/** Tries a write that would succeed. */
const valid = (method, where, options) => request(`${method} ${where} can be tried`, 200, method, `${where}?validate_only=true`, {
  ...options, json: () => ({ valid: true }), answer: { etag: null, location: null, 'preference-applied': null, 'idempotency-replayed': null } })
/** Reads a resource, which must have this version. */
const at = (name, where, version, json) => request(name, 200, 'GET', where, { json, answer: { etag: version } })
/** Reads the audit log, which must have these entries and no other. */
const log = (...entries) => request('each write has one entry in the audit log, and nothing else has', 200, 'GET', '/audit', { json: entries.map(([action, subject]) => ({ action, subject })) })

const bare = { hostname: 'a.example.com', is_enabled: true }
const full = { ...bare, plan_id: 'p', external_id: 'C-7', labels: { tier: 'gold' }, limits: { L: '1' }, env: { E: 'grüße' } }
const reset = { plan_id: null, external_id: null, labels: {}, limits: {}, env: {} }
const plan = { external_id: 'P-7', labels: { tier: 'gold' }, limits: { L: '1' }, env: { E: '1' } }
const admin = { username: 'admin', email: 'a@b.example', password: 'secret-1' }
const LEASE = '0123456789abcdef0123456789abcdef'
const off = { is_enabled: false }
const representation = 'return=representation'
const LEAN = { TENANTS_PASSWORD_MEMORY_KIB: '7168', TENANTS_PASSWORD_PASSES: '5' }

export default [
  scenario('PUT of a tenant', { ...LEAN, CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    request('create a plan', 201, 'POST', '/tenants-plans', entered('r-1', { body: { id: 'p' } })),
    request('a new tenant', 201, 'PUT', '/tenants/Acme', entered('r-2', { body: full, json: { id: 'Acme', ...full }, answer: { location: '/_/api/4/tenants/Acme', etag: null } })),
    request('the same again', 200, 'PUT', '/tenants/Acme', { body: full, json: { id: 'Acme', ...full }, answer: { location: null, etag: null } }),
    request('the same in other words', 200, 'PUT', '/tenants/ACME', { body: { ...full, hostname: 'A.Example.com', plan_id: 'P', limits: { L: 1 } }, json: { id: 'Acme', ...full } }),
    at('it still has the version of its creation', '/tenants/acme', tag(2)),
    request('what is left out is reset', 200, 'PUT', '/tenants/acme', entered('r-3', { body: { ...bare, ...off }, json: { id: 'Acme', ...off, ...reset }, answer: { location: null, etag: null } })),
    request('empty values for what is empty', 200, 'PUT', '/tenants/acme', { body: { ...bare, ...off, plan_id: '', external_id: null, labels: null, limits: [], env: null }, json: reset }),
    at('it has the version of its change', '/tenants/acme', tag(3), off),
    log(['plan.create', 'p'], ['tenant.create', 'acme'], ['tenant.update', 'acme']),
    request('create another tenant', 201, 'POST', '/tenants', { body: { id: 'b', hostname: 'b.example.com', is_enabled: true, external_id: 'C-7' } }),
    refuse('a hostname and an external id that are taken', 409, 'conflict', 'PUT', '/tenants/acme', { body: { ...full, hostname: 'b.example.com' } }, ['/hostname', '/external_id']),
    refuse('a new tenant with a hostname that is taken', 409, 'conflict', 'PUT', '/tenants/new', { body: { ...bare, hostname: 'b.example.com' } }, ['/hostname']),
    refuse('an unknown plan', 422, 'invalid', 'PUT', '/tenants/acme', { body: { ...bare, plan_id: 'nobody' } }, ['/plan_id']),
    refuse('an id in the body', 422, 'invalid', 'PUT', '/tenants/acme', { body: { ...bare, id: 'acme' } }, ['/id']),
    refuse('an impossible id in the path', 422, 'invalid', 'PUT', '/tenants/_', { body: { ...bare, is_enabled: 1, x: 1 } }, ['/id', '/is_enabled', '/x']),
    refuse('without the required fields', 422, 'invalid', 'PUT', '/tenants/acme', { body: {} }, ['/hostname', '/is_enabled']),
    refuse('without a body', 400, 'body_required', 'PUT', '/tenants/acme'),
    refuse('with a deleted key', 401, 'unauthorized', 'PUT', '/tenants/acme', { body: full, key: KEYS.deleted }),
    refuse('the legacy dialect does not have it', 405, 'method_not_allowed', 'PUT', '/tenants/acme', { base: LEGACY, body: full, answer: { allow: 'GET, HEAD, PATCH, DELETE' } }),
    at('no refusal has changed it', '/tenants/acme', tag(3)),
    request('install its site', 201, 'POST', '/tenants/acme/install', { body: admin }),
    request('the site stays', 200, 'PUT', '/tenants/acme', { body: bare, json: { ...bare, ...reset, site: { state: 'installed', job_id: null } } }),
    sql("UPDATE tenants SET env = 'not sealed' WHERE id = 'Acme'"),
    refuse('an env that cannot be decrypted', 500, 'internal', 'GET', '/tenants/acme'),
    request('is replaced', 200, 'PUT', '/tenants/acme', { body: { ...bare, env: { E: '2' } }, json: { env: { E: '2' } } }),
  ),
  scenario('PUT of a plan', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    request('a new plan', 201, 'PUT', '/tenants-plans/Gold', entered('r-1', { body: plan, json: { id: 'Gold', ...plan }, answer: { location: '/_/api/4/tenants-plans/Gold', etag: null } })),
    request('the same again', 200, 'PUT', '/tenants-plans/gOLD', { body: plan, json: { id: 'Gold', ...plan }, answer: { location: null, etag: null } }),
    at('it still has the version of its creation', '/tenants-plans/gold', tag(1)),
    request('what is left out is reset', 200, 'PUT', '/tenants-plans/gold', entered('r-2', { body: {}, json: { id: 'Gold', external_id: null, labels: {}, limits: null, env: null } })),
    request('an empty map is not null', 200, 'PUT', '/tenants-plans/gold', entered('r-3', { body: { limits: {}, env: [] }, json: { limits: {}, env: {} } })),
    at('it has the version of its change', '/tenants-plans/gold', tag(3)),
    log(['plan.create', 'gold'], ['plan.update', 'gold'], ['plan.update', 'gold']),
    request('name it in the legacy dialect', 204, 'PATCH', '/tenants-plans/gold', { base: LEGACY, body: { name: 'Golden', description: 'kept' } }),
    request('a PUT does not know the name', 200, 'PUT', '/tenants-plans/gold', { body: { limits: { L: '2' } } }),
    request('which stays', 200, 'GET', '/tenants-plans/gold', { base: LEGACY, json: { name: 'Golden', description: 'kept', limits: { L: '2' } } }),
    request('create another plan', 201, 'POST', '/tenants-plans', { body: { id: 'b', external_id: 'P-7' } }),
    refuse('an external id that is taken', 409, 'conflict', 'PUT', '/tenants-plans/gold', { body: plan }, ['/external_id']),
    refuse('an id and a name in the body', 422, 'invalid', 'PUT', '/tenants-plans/gold', { body: { id: 'gold', name: 'x' } }, ['/id', '/name']),
    refuse('an impossible id in the path', 422, 'invalid', 'PUT', '/tenants-plans/a%20b', { body: {} }, ['/id']),
    refuse('with a deleted key', 401, 'unauthorized', 'PUT', '/tenants-plans/gold', { body: {}, key: KEYS.deleted }),
    refuse('the legacy dialect does not have it', 405, 'method_not_allowed', 'PUT', '/tenants-plans/gold', { base: LEGACY, body: {} }),
  ),
  scenario('PUT with an Idempotency-Key', {},
    ['', ', again'].map((again) => {
      const answer = { 'idempotency-replayed': again ? 'true' : null }
      return [
        request(`a new plan${again}`, 201, 'PUT', '/tenants-plans/p', keyed('k-1', { body: plan, answer: { ...answer, location: '/_/api/4/tenants-plans/p' } })),
        request(`a plan as it is${again}`, 200, 'PUT', '/tenants-plans/p', keyed('k-2', { body: plan, answer })),
        request(`a new tenant${again}`, 201, 'PUT', '/tenants/a', keyed('k-3', { body: full, answer: { ...answer, location: '/_/api/4/tenants/a' } })),
        request(`another hostname${again}`, 200, 'PUT', '/tenants/a', keyed('k-4', { body: { ...full, hostname: 'other.example.com' }, answer, json: { hostname: 'other.example.com' } })),
        request(`a tenant as it is${again}`, 200, 'PUT', '/tenants/a', keyed('k-5', { body: { ...full, hostname: 'other.example.com' }, answer })),
      ]
    }),
    at('the tenant was changed once', '/tenants/a', tag(3)),
    refuse('another body', 422, 'idempotency_key_reused', 'PUT', '/tenants/a', keyed('k-5', { body: bare })),
    refuse('the key of another resource', 422, 'idempotency_key_reused', 'PUT', '/tenants-plans/p', keyed('k-5', { body: plan })),
    request('delete the tenant', 204, 'DELETE', '/tenants/a'),
    request('the first answer does not look at the present tenant', 200, 'PUT', '/tenants/a', keyed('k-5', match(STALE, { body: { ...full, hostname: 'other.example.com' }, answer: { 'idempotency-replayed': 'true' } }))),
    refuse('which is gone', 404, 'not_found', 'GET', '/tenants/a'),
  ),
  scenario('If-Match', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    request('create a plan', 201, 'POST', '/tenants-plans', { body: { id: 'p' }, answer: { etag: tag(1) } }),
    request('create a tenant', 201, 'POST', '/tenants', { body: { id: 'a', ...bare }, answer: { etag: tag(2) } }),
    [['/tenants/a', off, bare, tag(2)], ['/tenants-plans/p', { limits: null }, {}, tag(1)]].map(([where, change, whole, own]) => [
      [['an older version', STALE], ['a weak version', `W/${own}`], ['a version without its second part', `${own.split('-')[0]}"`]].map(([name, value]) => [
        failed(`PATCH of ${where}: ${name}`, 'PATCH', where, match(value, { body: change })),
        failed(`PUT of ${where}: ${name}`, 'PUT', where, match(value, { body: whole })),
        failed(`DELETE of ${where}: ${name}`, 'DELETE', where, match(value)),
        failed(`GET of ${where}: ${name}`, 'GET', where, match(value)),
      ]),
      failed(`PATCH in the legacy dialect of ${where}`, 'PATCH', where, match(STALE, { base: LEGACY, body: where === '/tenants/a' ? { is_enabled: 0 } : { name: 'N' } })),
      at(`${where} is as it was`, where, own),
      request(`a PUT of ${where} as it is`, 200, 'PUT', where, match(own, { body: whole })),
    ]),
    request('the version that the tenant has', 204, 'PATCH', '/tenants/a', match(tag(2), { body: off, answer: { etag: tag(3) } })),
    failed('the next writer with the same version', 'PATCH', '/tenants/a', match(tag(2), { body: { is_enabled: true } })),
    request('one of several', 204, 'PATCH', '/tenants/a', match(`"x", ${tag(3)} , W/"y"`, { body: { is_enabled: true }, answer: { etag: tag(4) } })),
    request('the statistics are not compared', 204, 'PATCH', '/tenants/a', match('"0123456789abcdef.4-0.abc"', { body: off, answer: { etag: tag(5) } })),
    request('any version', 204, 'PATCH', '/tenants/a', match('*', { body: { is_enabled: true }, answer: { etag: tag(6) } })),
    request('a PUT with the version', 200, 'PUT', '/tenants/a', match(tag(6), { body: { ...bare, ...off }, answer: { etag: null } })),
    request('in the legacy dialect', 204, 'PATCH', '/tenants/a', match(tag(7), { base: LEGACY, body: { is_enabled: 1 }, answer: { etag: tag(8) } })),
    request('a read', 200, 'GET', '/tenants/a', match(tag(8))),
    request('the change of a plan is not one of its tenants', 204, 'PATCH', '/tenants/a', match(tag(8), { body: { plan_id: 'p' }, answer: { etag: tag(9) } })),
    request('change the plan', 204, 'PATCH', '/tenants-plans/p', match(tag(1), { body: { limits: { L: '1' } }, answer: { etag: tag(10) } })),
    at('the tenant has its version', '/tenants/a', tag(9)),
    request('delete the plan', 204, 'DELETE', '/tenants-plans/p', match(tag(10))),
    failed('the deletion of its plan is a change of the tenant', 'DELETE', '/tenants/a', match(tag(9))),
    at('and gives it a version', '/tenants/a', tag(11), { plan_id: null }),
    request('delete the tenant', 204, 'DELETE', '/tenants/a', match(tag(11))),
    ['*', STALE].map((value) => [
      refuse(`PATCH where nothing is: ${value}`, 404, 'not_found', 'PATCH', '/tenants/a', match(value, { body: off })),
      refuse(`DELETE where nothing is: ${value}`, 404, 'not_found', 'DELETE', '/tenants-plans/p', match(value)),
      failed(`PUT where no tenant is: ${value}`, 'PUT', '/tenants/a', match(value, { body: bare })),
      failed(`PUT where no plan is: ${value}`, 'PUT', '/tenants-plans/p', match(value, { body: {} })),
      failed(`a route without versions: ${value}`, 'POST', '/tenants', match(value, { body: { id: 'new', ...bare } })),
      failed(`a list: ${value}`, 'GET', '/tenants', match(value)),
      failed(`a key: ${value}`, 'DELETE', '/keys/3', match(value)),
      failed(`a cell: ${value}`, 'PUT', '/cells/eu', match(value, { body: {} })),
    ]),
    request('none of this has written anything', 200, 'GET', '/tenants?count=true', { json: [], answer: { 'x-total-count': '0' } }),
    request('the key is there', 200, 'GET', '/keys/3', { json: { id: 3 } }),
    refuse('the cell is not', 404, 'not_found', 'GET', '/cells/eu'),
    [',', 'x', '"', '*, *', '"a" "b"'].map((value) => malformed(`malformed: ${value}`, 'PATCH', '/tenants/a', match(value, { body: off }))),
  ),
  scenario('If-Match: the order of judging', {},
    request('create a tenant', 201, 'POST', '/tenants', { body: { id: 'a', ...bare } }),
    request('create another tenant', 201, 'POST', '/tenants', { body: { id: 'b', hostname: 'b.example.com', is_enabled: true } }),
    refuse('the key comes first', 401, 'unauthorized', 'PATCH', '/tenants/a', match(STALE, { body: off, key: KEYS.deleted })),
    refuse("so do the body's own rules", 422, 'invalid', 'PATCH', '/tenants/a', match(STALE, { body: {} })),
    failed('an unknown plan comes later', 'PATCH', '/tenants/a', match(STALE, { body: { plan_id: 'nobody' } })),
    failed('so does a taken hostname', 'PATCH', '/tenants/a', match(STALE, { body: { hostname: 'b.example.com' } })),
    refuse('which is refused with the version', 409, 'conflict', 'PATCH', '/tenants/a', match(tag(1), { body: { hostname: 'b.example.com' } }), ['/hostname']),
    request('a write with a key', 204, 'PATCH', '/tenants/a', keyed('k', match(tag(1), { body: off, answer: { 'idempotency-replayed': null, etag: tag(3) } }))),
    request('a replay does not compare again', 204, 'PATCH', '/tenants/a', keyed('k', match(tag(1), { body: off, answer: { 'idempotency-replayed': 'true', etag: tag(3) } }))),
    failed('a refusal is not remembered', 'PATCH', '/tenants/a', keyed('k-2', match(tag(1), { body: { is_enabled: true } }))),
    request('so the same key may write', 204, 'PATCH', '/tenants/a', keyed('k-2', match(tag(3), { body: { is_enabled: true }, answer: { 'idempotency-replayed': null } }))),
  ),
  scenario('If-None-Match', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    [['/tenants/a', bare, { ...bare, ...off }, 1], ['/tenants-plans/p', {}, { limits: {} }, 2]].map(([where, body, other, number]) => [
      request(`create ${where} only`, 201, 'PUT', where, noneMatch('*', { body })),
      failed(`${where} is there`, 'PUT', where, noneMatch('*', { body: other })),
      failed(`${where} is so already`, 'PUT', where, noneMatch('*', { body })),
      failed(`${where} has this version`, 'PUT', where, noneMatch(tag(number), { body: other })),
      request(`${where} has another version`, 200, 'PUT', where, noneMatch(STALE, { body })),
      malformed(`malformed at ${where}`, 'PUT', where, noneMatch('x', { body })),
      ['*', tag(number), `W/${tag(number)}`, `"x", ${tag(number)}`].map((value) => [
        request(`a read of ${where}: ${value}`, 304, 'GET', where, noneMatch(value, { answer: { etag: tag(number) } })),
        request(`its head: ${value}`, 304, 'HEAD', where, noneMatch(value)),
        request(`in the legacy dialect: ${value}`, 304, 'GET', where, noneMatch(value, { base: LEGACY })),
      ]),
      request(`a read of ${where}: another version`, 200, 'GET', where, noneMatch(STALE, { answer: { etag: tag(number) } })),
      malformed(`a malformed read of ${where}`, 'GET', where, noneMatch('x')),
    ]),
    refuse('a read where nothing is', 404, 'not_found', 'GET', '/tenants/b', noneMatch('*')),
    request('lists ignore it', 200, 'GET', '/tenants', noneMatch('*', { json: [{ id: 'a' }] })),
    request('so does a POST', 201, 'POST', '/tenants-plans', noneMatch('*', { body: { id: 'q' } })),
  ),
  scenario('Prefer: return=representation', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    request('create a plan', 201, 'PUT', '/tenants-plans/p', prefer(representation, { body: plan, answer: { 'preference-applied': null } })),
    request('create a tenant', 201, 'POST', '/tenants', prefer(representation, { body: { id: 'a', ...full }, answer: { 'preference-applied': null } })),
    request('a change of a tenant shows it', 200, 'PATCH', '/tenants/A', prefer(representation, { body: off, json: { id: 'a', ...full, ...off }, answer: { 'preference-applied': representation, etag: tag(3), location: null } })),
    request('a change of a plan shows it', 200, 'PATCH', '/tenants-plans/P', prefer('wait=3, Return="representation"', { body: { env: null }, json: { id: 'p', ...plan, env: null }, answer: { 'preference-applied': representation, etag: tag(4) } })),
    request('in the legacy dialect', 200, 'PATCH', '/tenants/a', prefer(representation, { base: LEGACY, body: { is_enabled: 1 }, json: { tenant_id: 'a', is_enabled: 1 }, answer: { 'preference-applied': representation } })),
    ['return=minimal', 'return=minimal, return=representation', 'x'].map((value) =>
      request(`another preference: ${value}`, 204, 'PATCH', '/tenants/a', prefer(value, { body: off, answer: { 'preference-applied': null } }))),
    [['the resource', representation, 200], ['nothing', null, 204]].map(([name, value, status]) => ['', ', again'].map((again) =>
      request(`the first answer again: ${name}${again}`, status, 'PATCH', '/tenants/a', keyed(`k-${status}`, prefer(value, { body: { limits: { L: '3' } }, answer: { 'preference-applied': value, 'idempotency-replayed': again ? 'true' : null } }))))),
    refuse('a refused change', 404, 'not_found', 'PATCH', '/tenants/b', prefer(representation, { body: off, answer: { 'preference-applied': null } })),
    request('a deletion has nothing to show', 204, 'DELETE', '/tenants/a', prefer(representation, { answer: { 'preference-applied': null } })),
  ),
  scenario('trials: validate_only', LEAN,
    [
      ['PUT', '/cells/eu', {}], ['PUT', '/cells/us', {}], ['POST', '/tenants-plans', { id: 'p' }], ['POST', '/tenants', { id: 'a', ...bare }],
      ['POST', '/tenants', { id: 'new', hostname: 'new.example.com', is_enabled: true }], ['POST', '/tenants', { id: 'on-eu', hostname: 'eu.example.com', ...off, cell_id: 'eu' }],
      ['POST', '/tenants/a/install', admin],
    ].map(([method, where, body]) => request(`${method} ${where}`, 201, method, where, { body })),
    sql(`INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, lease, lease_until, created_at, expires_at, wipe_at) VALUES
      ('waiting', 'gone', 'eu', 'drop', 'waiting', NULL, NULL, '2026-01-02 03:04:05', '9999-01-01 00:00:00', '9999-01-01 00:00:00'),
      ('running', 'busy', 'eu', 'password_reset', 'running', '${LEASE}', '9999-01-01 00:00:00', '2026-01-02 03:04:05', '9999-01-01 00:00:00', '9999-01-01 00:00:00')`),
    sql('DELETE FROM audit_log'),
    [
      ['POST', '/tenants', { id: 'b', hostname: 'b.example.com', is_enabled: true }], ['PUT', '/tenants/b', { hostname: 'b.example.com', is_enabled: true }],
      ['PUT', '/tenants/a', { ...bare, ...off }], ['PATCH', '/tenants/a', off], ['DELETE', '/tenants/a'], ['DELETE', '/tenants/a', { drop_tables: true }],
      ['POST', '/tenants/new/install', admin], ['PATCH', '/tenants/a/user-password-reset', { username: 'admin' }],
      ['POST', '/tenants/on-eu/install', admin], ['POST', '/tenants/on-eu/move', { cell_id: 'us' }],
      ['POST', '/tenants-plans', { id: 'q' }], ['PUT', '/tenants-plans/q', {}], ['PUT', '/tenants-plans/p', { env: { E: '1' } }],
      ['PATCH', '/tenants-plans/p', { limits: {} }], ['DELETE', '/tenants-plans/p'],
      ['POST', '/keys', { scopes: ['*'], expires_at: '9999-01-01 00:00:00', bound: true }], ['PATCH', '/keys/3', { name: 'older' }], ['DELETE', '/keys/3'], ['POST', '/keys/1/rotate', { overlap_seconds: 60 }],
      ['PUT', '/cells/new', {}], ['PUT', '/cells/eu', { name: 'Europe' }], ['DELETE', '/cells/us'],
      ['POST', '/cells/eu/jobs/lease', { max: 1, seconds: 60 }], ['POST', '/cells/eu/stats', { tenants: [] }], ['POST', '/jobs/waiting/cancel'],
      ['POST', '/jobs/running/renew', { lease: LEASE, seconds: 60 }], ['POST', '/jobs/running/finish', { lease: LEASE, state: 'done' }],
    ].map(([method, where, body]) => valid(method, where, { body })),
    request('each of them left the tenants as they were', 200, 'GET', '/tenants', { json: [{ id: 'a', ...bare }, { id: 'new', site: { state: 'none', job_id: null } }, { id: 'on-eu', cell_id: 'eu' }] }),
    request('the plans', 200, 'GET', '/tenants-plans', { json: [{ id: 'p', limits: null, env: null }] }),
    // Not their list: when the caller's own key was used last depends on what the host keeps in memory.
    request('the key that is not the caller', 200, 'GET', '/keys/3', { json: { name: 'expired', last_used_at: null } }),
    refuse('the key that is not made', 404, 'not_found', 'GET', '/keys/4'),
    request('the cells', 200, 'GET', '/cells', { json: [{ id: 'eu', name: null, jobs_waiting: 1 }, { id: 'us' }] }),
    request('the jobs', 200, 'GET', '/jobs', { json: [{ id: 'running', state: 'running' }, { id: 'waiting', state: 'waiting' }] }),
    request('and the audit log', 200, 'GET', '/audit', { json: [] }),
    [
      [409, 'conflict', 'POST', '/tenants', { id: 'A', ...bare }, ['/id', '/hostname']], [409, 'conflict', 'PUT', '/tenants/new', bare, ['/hostname']],
      [409, 'conflict', 'PATCH', '/tenants/new', { hostname: 'a.example.com' }, ['/hostname']], [422, 'invalid', 'PATCH', '/tenants/a', { plan_id: 'nobody' }, ['/plan_id']],
      [404, 'not_found', 'PATCH', '/tenants/nobody', off], [404, 'not_found', 'DELETE', '/tenants/nobody'],
      [409, 'conflict', 'POST', '/tenants/a/install', admin], [404, 'not_found', 'PATCH', '/tenants/a/user-password-reset', { username: 'nobody' }],
      [409, 'conflict', 'POST', '/tenants-plans', { id: 'P' }, ['/id']], [404, 'not_found', 'DELETE', '/tenants-plans/q'],
      [404, 'not_found', 'DELETE', '/keys/99'], [409, 'cell_in_use', 'DELETE', '/cells/eu'], [409, 'job_not_waiting', 'POST', '/jobs/running/cancel'],
    ].map(([status, code, method, where, body, pointers]) => [['a trial', '?validate_only=true'], ['the write', '']].map(([name, query]) =>
      refuse(`${name}: ${method} ${where}`, status, code, method, `${where}${query}`, { body }, pointers))),
    refuse('a deleted key', 401, 'unauthorized', 'DELETE', '/tenants/a?validate_only=true', { key: KEYS.deleted }),
    request('validate_only=false is the real thing', 204, 'PATCH', '/tenants/new?validate_only=false', keyed('k', { body: { limits: { L: '1' } }, answer: { 'idempotency-replayed': null } })),
    valid('PATCH', '/tenants/new', keyed('k', { body: off })),
    valid('PATCH', '/tenants/new', keyed('not read: malformed', { body: off })),
    request('the key has its request still', 204, 'PATCH', '/tenants/new?validate_only=false', keyed('k', { body: { limits: { L: '1' } }, answer: { 'idempotency-replayed': 'true' } })),
    valid('PATCH', '/tenants/new', prefer(representation, { body: off })),
    valid('DELETE', '/tenants/new', match('*')),
    failed('a trial compares versions', 'DELETE', '/tenants/new?validate_only=true', match(STALE)),
    ['validate_only', 'validate_only=1', 'validate_only=TRUE', 'validate_only=true&validate_only=true', 'validate-only=true', 'limit=1'].map((query) =>
      refuse(`a write with ${query}`, 422, 'invalid', 'DELETE', `/tenants/a?${query}`, {}, [query.split('=')[0]])),
    refuse('a list is no write', 422, 'invalid', 'GET', '/tenants?validate_only=true', {}, ['validate_only']),
    request('the tenant is there after all', 200, 'GET', '/tenants/a', { json: { id: 'a', ...bare } }),
  ),
]
