// The legacy dialect (API.md §1): its field names, its Ed25519 signatures, and the data that it shares with the current dialect.
import { KEYS, LEGACY, LEGACY_PUBLIC, refuse, request, scenario } from './source.mjs'

const DEPRECATION = { deprecation: '@1765238400' }
const old = (name, status, method, where, options = {}) => request(name, status, method, where, { base: LEGACY, ...options, answer: { ...DEPRECATION, ...options.answer } })

export default [
  scenario('the legacy dialect', { CHEVERETO_TENANTS_PUBLIC_KEY: LEGACY_PUBLIC },
    old('create a plan', 201, 'POST', '/tenants-plans', { body: { plan_id: 'basic', name: 'Basic', description: 'kept', limits: { CHEVERETO_MAX_USERS: '2' } }, json: { plan_id: 'basic', name: 'Basic' } }),
    old('list the plans', 200, 'GET', '/tenants-plans', { json: [{ plan_id: 'basic' }] }),
    old('a plan without a name', 422, 'POST', '/tenants-plans', { body: { plan_id: 'x' }, code: 'invalid', pointers: ['/name'] }),
    old('create a tenant with an unknown field', 201, 'POST', '/tenants', { body: { tenant_id: 'old', hostname: 'old.example.com', is_enabled: 1, plan_id: 'basic', unknown: 1, env: { A: 'b' } }, json: { tenant_id: 'old', is_enabled: 1 } }),
    old('get the tenant', 200, 'GET', '/tenants/OLD', { json: { tenant_id: 'old', env: { A: 'b' } } }),
    request('get the tenant in the current dialect', 200, 'GET', '/tenants/old', { json: { id: 'old', is_enabled: true } }),
    old('create a tenant with a taken id', 409, 'POST', '/tenants', { body: { tenant_id: 'OLD', hostname: 'other.example.com', is_enabled: 0 }, code: 'conflict', pointers: ['/tenant_id'] }),
    old('create a tenant under the name of the current dialect', 201, 'POST', '/tenants', { body: { id: 'plain', hostname: 'plain.example.com', is_enabled: 1, limits: [], env: [] }, json: { tenant_id: 'plain', limits: {}, env: {} } }),
    old('the two names have different values', 422, 'POST', '/tenants', { body: { id: 'x', tenant_id: 'y', hostname: 'x.example.com', is_enabled: 1 }, code: 'invalid', pointers: ['/tenant_id'] }),
    old('the two names have the same value', 201, 'POST', '/tenants-plans', { body: { id: 'both', plan_id: 'both', name: 'Both' }, json: { plan_id: 'both' } }),
    old('a list of variables', 422, 'PATCH', '/tenants/plain', { body: { limits: ['A'], env: [{}] }, code: 'invalid', pointers: ['/limits', '/env'] }),
    old('every field is wrong', 422, 'POST', '/tenants', { body: { hostname: 'a b', is_enabled: 'yes' }, code: 'invalid', pointers: ['/tenant_id', '/hostname', '/is_enabled'] }),
    old('edit the tenant', 204, 'PATCH', '/tenants/old', { body: { is_enabled: 0 } }),
    old('get the edited tenant', 200, 'GET', '/tenants/old', { json: { is_enabled: 0 } }),
    old('edit the plan', 204, 'PATCH', '/tenants-plans/basic', { body: { name: 'Better' } }),
    old('get the edited plan', 200, 'GET', '/tenants-plans/basic', { json: { plan_id: 'basic', name: 'Better' } }),
    old("a signature of the current dialect", 401, 'GET', '/tenants/old', { signature: '0'.repeat(64), code: 'unauthorized' }),
    old('a signature of another body', 401, 'PATCH', '/tenants/old', { body: { is_enabled: 1 }, signed: 'another', code: 'unauthorized' }),
    old('no signature', 401, 'GET', '/tenants/old', { signature: null, code: 'unauthorized' }),
    old('a deleted key', 401, 'GET', '/tenants/old', { key: KEYS.deleted, code: 'unauthorized' }),
    request('a legacy signature on a route of the current dialect', 401, 'GET', '/tenants/old', { signature: 'A'.repeat(86) + '==', code: 'unauthorized' }),
    old('the dialect has no list of tenants', 405, 'GET', '/tenants', { code: 'method_not_allowed' }),
    old('delete the tenant with a body', 400, 'DELETE', '/tenants/old', { body: { drop_tables: true }, code: 'body_unexpected' }),
    old('delete the tenant', 204, 'DELETE', '/tenants/old'),
    old('get the deleted tenant', 404, 'GET', '/tenants/old', { code: 'not_found' }),
    old('delete the plan with a body', 400, 'DELETE', '/tenants-plans/basic', { body: {}, code: 'body_unexpected' }),
    old('delete the plan', 204, 'DELETE', '/tenants-plans/basic'),
  ),
  scenario('no legacy dialect', {}, refuse('a legacy route is a 404', 404, 'not_found', 'GET', '/tenants/old', { base: LEGACY, answer: { deprecation: null } })),
]
