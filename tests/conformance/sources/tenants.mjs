// Tenants (API.md §4, §5): create, list, get, edit and delete them, and the refused requests.
import { refuse, request, scenario, sql, vectors } from './source.mjs'

const create = (name, body, options) => request(name, 201, 'POST', '/tenants', { body, ...options })
const get = (name, id, json) => request(name, 200, 'GET', `/tenants/${id}`, { json })
const invalid = (name, body, pointers) => refuse(name, 422, 'invalid', 'POST', '/tenants', { body }, pointers)
const fields = (id, more = {}) => ({ id, hostname: `${id.toLowerCase()}.example.com`, is_enabled: true, ...more })
const unicode = { Z: '', A: 'grüße', B: '世界', C: '🐘👩‍👩‍👧‍👦', D: 'e\u0301 and \u00e9', E: '\u0001\b\t\n\r\u001f\u007f\u0085\u2028\u2029\ufeff\uffff', F: '"\\/\'`${x}$1?1', G: '\u{10ffff}', K: "'; DROP TABLE tenants; --" }

export default [
  scenario('reserved hostnames', { TENANTS_RESERVED_HOSTNAMES: 'www.example.com, *.Internal.example.com' },
    ['www.example.com', 'WWW.example.com', 'a.internal.example.com', 'a.b.internal.example.com'].map((hostname) => invalid(`${hostname} is reserved`, fields('x', { hostname }), ['/hostname'])),
    ['internal.example.com', 'xinternal.example.com', 'a.www.example.com'].map((hostname, i) => create(`${hostname} is not reserved`, fields(`t${i}`, { hostname }))),
    refuse('edit a hostname to a reserved one', 422, 'invalid', 'PATCH', '/tenants/t0', { body: { hostname: 'www.example.com' } }, ['/hostname']),
  ),
  scenario('tenants, from creation to deletion', { CHEVERETO_INTERNAL_HOSTNAME: 'root.example.com' },
    request('list no tenants', 200, 'GET', '/tenants', { json: [] }),
    create('create a tenant with only the required fields', fields('a'), { answer: { location: '/_/api/4/tenants/a' }, json: { id: 'a', plan_id: null, limits: {}, env: {}, last_job_at: null } }),
    request('create a plan', 201, 'POST', '/tenants-plans', { body: { id: 'Gold_Plan', limits: { CHEVERETO_MAX_USERS: '2' } } }),
    create('create a tenant with every field', { id: 'Full', hostname: 'FULL.example.com', is_enabled: false, plan_id: 'gOLD_pLAN', limits: { CHEVERETO_MAX_USERS: 2, A: true }, env: { CUSTOM_VAR: 'value' } },
      { json: { id: 'Full', hostname: 'full.example.com', is_enabled: false, plan_id: 'Gold_Plan', limits: { A: 'true', CHEVERETO_MAX_USERS: '2' }, env: { CUSTOM_VAR: 'value' } } }),
    create('maps keep any Unicode text, and are sorted by name', fields('uni', { limits: unicode, env: unicode }), { json: { limits: unicode, env: unicode } }),
    create('maps keep integers beyond 2^53', `{"id":"big","hostname":"big.example.com","is_enabled":true,"limits":{"A":9007199254740993,"B":18446744073709551615,"C":-1,"D":1.5}}`,
      { json: { limits: { A: '9007199254740993', B: '18446744073709551615', C: '-1', D: '1.5' } } }),
    create('an empty list counts as an empty map', fields('php', { limits: [], env: [] }), { json: { limits: {}, env: {} } }),
    request('edit a tenant with empty lists', 204, 'PATCH', '/tenants/php', { body: { limits: [], env: [] } }),
    request('delete the tenant', 204, 'DELETE', '/tenants/php'),
    get('get a tenant by its id in another case: the response has the original id', 'fULL', { id: 'Full' }),
    request('HEAD has no body', 200, 'HEAD', '/tenants/a'),
    request('list the tenants', 200, 'GET', '/tenants', { json: [{ id: 'a' }, { id: 'big' }, { id: 'Full' }, { id: 'uni' }] }),
    refuse('create a tenant with a taken id', 409, 'conflict', 'POST', '/tenants', { body: fields('A', { hostname: 'other.example.com' }) }, ['/id']),
    refuse('create a tenant with a taken hostname', 409, 'conflict', 'POST', '/tenants', { body: fields('other', { hostname: 'A.EXAMPLE.com' }) }, ['/hostname']),
    refuse('create a tenant with a taken id and hostname', 409, 'conflict', 'POST', '/tenants', { body: fields('a', { hostname: 'full.example.com' }) }, ['/id', '/hostname']),
    invalid('an unknown plan', fields('x', { plan_id: 'nobody' }), ['/plan_id']),
    invalid("the root's own hostname", fields('x', { hostname: 'ROOT.example.com' }), ['/hostname']),
    invalid('every field is wrong', { id: '', hostname: 'a b', is_enabled: 'yes', plan_id: 1, limits: [{}], env: 'x', nope: 1 }, ['/id', '/hostname', '/is_enabled', '/plan_id', '/limits', '/env', '/nope']),
    invalid('invalid names and values of variables', fields('x', { limits: { a: '1', B: null, 'a/b': '1' }, env: { 'm~n': '', C: 'a\0b' } }), ['/limits/a', '/limits/B', '/limits/a~1b', '/env/m~0n', '/env/C']),
    invalid('a map with 257 entries', fields('x', { limits: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`V${i}`, ''])) }), ['/limits']),
    request('edit every field', 204, 'PATCH', '/tenants/full', { body: { hostname: 'moved.example.com', is_enabled: true, plan_id: '', limits: null, env: { E: 'e' } } }),
    get('get the edited tenant', 'full', { hostname: 'moved.example.com', is_enabled: true, plan_id: null, limits: {}, env: { E: 'e' } }),
    refuse('edit no field', 422, 'invalid', 'PATCH', '/tenants/full', { body: {} }),
    refuse('edit the id', 422, 'invalid', 'PATCH', '/tenants/full', { body: { id: 'other', is_enabled: 1 } }, ['/is_enabled', '/id']),
    refuse("edit the hostname to another tenant's", 409, 'conflict', 'PATCH', '/tenants/full', { body: { hostname: 'a.example.com' } }, ['/hostname']),
    refuse('edit the plan to an unknown one', 422, 'invalid', 'PATCH', '/tenants/full', { body: { plan_id: 'nobody' } }, ['/plan_id']),
    refuse('edit an unknown tenant', 404, 'not_found', 'PATCH', '/tenants/nobody', { body: { is_enabled: true } }),
    refuse('delete with an invalid body', 422, 'invalid', 'DELETE', '/tenants/full', { body: { drop_tables: 1, force: true } }, ['/drop_tables', '/force']),
    request('delete a tenant', 204, 'DELETE', '/tenants/FULL', { body: { drop_tables: true } }),
    refuse('delete the deleted tenant', 404, 'not_found', 'DELETE', '/tenants/FULL'),
    refuse('get the deleted tenant', 404, 'not_found', 'GET', '/tenants/full'),
    refuse('a malformed id', 404, 'not_found', 'GET', `/tenants/${'a'.repeat(17)}`),
    refuse('an id is not percent-decoded', 404, 'not_found', 'GET', '/tenants/%61'),
    refuse('a path with a trailing slash is unknown', 404, 'not_found', 'GET', '/tenants/'),
    refuse('an unknown method', 405, 'method_not_allowed', 'PROPFIND', '/tenants/a', { answer: { allow: 'GET, HEAD, PATCH, DELETE' } }),
  ),
  scenario('stored data is returned or refused', {},
    create('create the tenant a', fields('a', { env: { MINE: 'of a' } })),
    create('create the tenant b', fields('b', { env: { MINE: 'of b' } })),
    sql(`UPDATE tenants SET stats = '{"tags":1,"files":12,"pages":0,"users":2,"admins":1,"albums":0,"managers":0,"storages":0,"cron_time":0,"categories":0,"file_likes":0,"file_views":0,"album_likes":0,"album_views":0,"storage_used":9007199254740993,"login_providers":0}', last_job_at = '2026-11-01 00:00:00' WHERE id = 'a'`),
    get('get statistics with integers beyond 2^53', 'a', (got) => ({ ...got, last_job_at: '2026-11-01 00:00:00' })),
    sql("UPDATE tenants SET env = (SELECT env FROM tenants WHERE id = 'a') WHERE id = 'b'"),
    refuse('an env that was moved to another row cannot be decrypted', 500, 'internal', 'GET', '/tenants/b'),
    refuse('a list with such a row fails too', 500, 'internal', 'GET', '/tenants'),
    request('an edit of another field leaves the env as it is', 204, 'PATCH', '/tenants/b', { body: { is_enabled: false } }),
    request('an edit of the env replaces it', 204, 'PATCH', '/tenants/b', { body: { env: { NEW: '1' } } }),
    get('get the repaired tenant', 'b', { env: { NEW: '1' }, is_enabled: false }),
    sql("UPDATE tenants SET is_enabled = 1, hostname = 'b.example.com', limits = '[]' WHERE id = 'b'"),
    refuse('a stored map that is not an object', 500, 'internal', 'GET', '/tenants/b'),
  ),
  scenario('pages of a list', {},
    ['a', 'B', 'c', 'D', 'e'].map((id) => create(`create the tenant ${id}`, fields(id))),
    request('list the first page', 200, 'GET', '/tenants?limit=2', { json: [{ id: 'a' }, { id: 'B' }], answer: { link: '</_/api/4/tenants?limit=2&after=B>; rel="next"' } }),
    request('list the second page', 200, 'GET', '/tenants?limit=2&after=b', { json: [{ id: 'c' }, { id: 'D' }], answer: { link: '</_/api/4/tenants?limit=2&after=D>; rel="next"' } }),
    request('list the last page', 200, 'GET', '/tenants?limit=2&after=D', { json: [{ id: 'e' }], answer: { link: null } }),
    request('list with `after` but without `limit`', 200, 'GET', '/tenants?after=c', { json: [{ id: 'D' }, { id: 'e' }] }),
    refuse('both parameters are wrong', 422, 'invalid', 'GET', '/tenants?limit=0&after=.', {}, ['limit', 'after']),
  ),
  scenario('the ids, hostnames and variable names in the vectors', {},
    vectors('tenant_ids').map(({ name, value, expect }, i) => (expect === null
      ? invalid(`id: ${name}`, fields('x', { id: value }), ['/id'])
      : [create(`id: ${name}`, { id: value, hostname: `id${i}.example.org`, is_enabled: true }, { json: { id: expect } }), request(`id: ${name}, deleted`, 204, 'DELETE', `/tenants/${expect}`)])),
    vectors('hostnames').map(({ name, value, expect }) => (expect === null
      ? invalid(`hostname: ${name}`, fields('x', { hostname: value }), ['/hostname'])
      : [create(`hostname: ${name}`, fields('x', { hostname: value }), { json: { hostname: expect } }), request(`hostname: ${name}, deleted`, 204, 'DELETE', '/tenants/x')])),
    vectors('variable_names').map(({ name, value, expect }) => (expect === null
      ? invalid(`variable: ${name}`, fields('x', { limits: { [value]: 'x' } }), [`/limits/${value.replaceAll('~', '~0').replaceAll('/', '~1')}`])
      : [create(`variable: ${name}`, fields('x', { limits: { [value]: 'x' } }), { json: { limits: { [expect]: 'x' } } }), request(`variable: ${name}, deleted`, 204, 'DELETE', '/tenants/x')])),
  ),
]
