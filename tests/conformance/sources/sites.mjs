// A tenant's own site (API.md §8): install, a user's password, and what becomes of the tables.
import { refuse, request, scenario } from './source.mjs'

const admin = { username: 'Admin_1', email: 'admin@example.com', password: 'päss 🐘 "word"' }
const tenant = (id) => request(`the tenant ${id}`, 201, 'POST', '/tenants', { body: { id, hostname: `${id.toLowerCase().replace('_', '-')}.example.com`, is_enabled: true } })
const install = (name, status, id, body, options) => request(name, status, 'POST', `/tenants/${id}/install`, { body, ...options })
const reset = (name, status, id, body, options) => request(name, status, 'PATCH', `/tenants/${id}/user-password-reset`, { body, ...options })

export default [
  // The cheapest hash that is allowed: the set is about answers.
  scenario('a site', { TENANTS_PASSWORD_MEMORY_KIB: '7168', TENANTS_PASSWORD_PASSES: '5' },
    tenant('Acme'), tenant('acme_b'),
    reset('nothing is installed', 404, 'Acme', { username: 'admin_1' }, { code: 'not_found' }),
    install('of nobody', 404, 'nobody', admin, { code: 'not_found' }),
    install('everything wrong at once', 422, 'acme', { username: 'a b', email: 'a', password: 'short', name: 'x' }, { code: 'invalid', pointers: ['/username', '/email', '/password', '/name'] }),
    install('nothing given', 422, 'acme', {}, { code: 'invalid', pointers: ['/username', '/email', '/password'] }),
    install('installed', 201, 'Acme', admin, { json: { id: 'Acme', username: 'Admin_1', email: 'admin@example.com' }, answer: { location: '/_/api/4/tenants/Acme' } }),
    install('once', 409, 'ACME', { ...admin, username: 'other' }, { code: 'conflict' }),
    reset('a password that is given', 200, 'acme', { username: 'ADMIN_1', password: 'another one' }, { json: { username: 'Admin_1', password: 'another one' } }),
    reset('a password that is made up', 200, 'acme', { username: 'admin_1' }, { generated: true }),
    reset('of nobody', 404, 'acme', { username: 'nobody' }, { code: 'not_found' }),
    reset("of another tenant's", 404, 'acme_b', { username: 'admin_1' }, { code: 'not_found' }),
    reset('without a name', 422, 'acme', { password: 'x' }, { code: 'invalid' }),
    refuse('another method', 405, 'method_not_allowed', 'GET', '/tenants/acme/install', { answer: { allow: 'POST' } }),
    install("a neighbour's", 201, 'acme_b', admin),
    request('deleted, and its tables stay', 204, 'DELETE', '/tenants/acme'),
    tenant('acme'),
    install('they are found again', 409, 'acme', admin, { code: 'conflict' }),
    request('deleted with its tables', 204, 'DELETE', '/tenants/acme', { body: { drop_tables: true } }),
    tenant('acme'),
    reset('they are gone', 404, 'acme', { username: 'admin_1' }, { code: 'not_found' }),
    reset("the neighbour's are not", 200, 'acme_b', { username: 'admin_1', password: 'still there' }, { json: { username: 'Admin_1', password: 'still there' } }),
  ),
]
