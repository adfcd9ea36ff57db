// A tenant's own site (API.md §8): install it, reset a user's password, and keep or drop its tables.
import { KEYS, refuse, request, scenario, sql } from './source.mjs'

const admin = { username: 'Admin_1', email: 'admin@example.com', password: 'päss 🐘 "word"' }
const tenant = (id, { name = `create the tenant ${id}`, status = 201, ...options } = {}) => request(name, status, 'POST', '/tenants', {
  body: { id, hostname: `${id.toLowerCase().replace('_', '-')}.example.com`, is_enabled: true }, ...options,
})
const install = (name, status, id, body, options) => request(name, status, 'POST', `/tenants/${id}/install`, { body, ...options })
const reset = (name, status, id, body, options) => request(name, status, 'PATCH', `/tenants/${id}/user-password-reset`, { body, ...options })

export default [
  // Use the cheapest hash that is allowed: the set tests responses, not hashes.
  scenario('a site', { TENANTS_PASSWORD_MEMORY_KIB: '7168', TENANTS_PASSWORD_PASSES: '5' },
    tenant('Acme'), tenant('acme_b'),
    reset('reset a password before the install', 404, 'Acme', { username: 'admin_1' }, { code: 'not_found' }),
    install('install the site of an unknown tenant', 404, 'nobody', admin, { code: 'not_found' }),
    install('install a site with a deleted key', 401, 'Acme', admin, { code: 'unauthorized', key: KEYS.deleted }),
    reset('reset a password with a deleted key', 401, 'Acme', { username: 'admin_1' }, { code: 'unauthorized', key: KEYS.deleted }),
    install('every field is wrong', 422, 'acme', { username: 'a b', email: 'a', password: 'short', name: 'x' }, { code: 'invalid', pointers: ['/username', '/email', '/password', '/name'] }),
    install('every field is missing', 422, 'acme', {}, { code: 'invalid', pointers: ['/username', '/email', '/password'] }),
    install('install a site', 201, 'Acme', admin, { json: { id: 'Acme', username: 'Admin_1', email: 'admin@example.com' }, answer: { location: '/_/api/4/tenants/Acme' } }),
    install('install the site a second time', 409, 'ACME', { ...admin, username: 'other' }, { code: 'conflict' }),
    reset('reset a password to a given one', 200, 'acme', { username: 'ADMIN_1', password: 'another one' }, { json: { username: 'Admin_1', password: 'another one' } }),
    reset('reset a password to a generated one', 200, 'acme', { username: 'admin_1' }, { generated: true }),
    reset('reset the password of an unknown user', 404, 'acme', { username: 'nobody' }, { code: 'not_found' }),
    reset("reset the password of another tenant's user", 404, 'acme_b', { username: 'admin_1' }, { code: 'not_found' }),
    reset('reset a password without a username', 422, 'acme', { password: 'x' }, { code: 'invalid' }),
    refuse('an unsupported method', 405, 'method_not_allowed', 'GET', '/tenants/acme/install', { answer: { allow: 'POST' } }),
    install("install a second tenant's site", 201, 'acme_b', admin),
    request('delete the tenant and keep its tables', 204, 'DELETE', '/tenants/acme'),
    tenant('acme', { name: 'create the tenant acme, which takes over the kept tables', json: { site: { state: 'installed', job_id: null, adopted: true } } }),
    install('an install finds the kept tables', 409, 'acme', admin, { code: 'conflict' }),
    request('delete the tenant and its tables', 204, 'DELETE', '/tenants/acme', { body: { drop_tables: true } }),
    tenant('acme'),
    reset('the tables are gone', 404, 'acme', { username: 'admin_1' }, { code: 'not_found' }),
    reset("the second tenant's tables are still there", 200, 'acme_b', { username: 'admin_1', password: 'still there' }, { json: { username: 'Admin_1', password: 'still there' } }),
  ),
  scenario('kept tables, if they are not for a new tenant', { TENANTS_REUSED_ID: 'refuse' },
    sql('CREATE TABLE chv_left_users (id INTEGER PRIMARY KEY)'),
    tenant('Left', { status: 409, code: 'site_exists', pointers: ['/id'] }),
    request('the tenant was not created', 404, 'GET', '/tenants/left', { code: 'not_found' }),
    tenant('free'),
  ),
]
