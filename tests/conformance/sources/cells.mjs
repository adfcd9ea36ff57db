// Cells (API.md §15): what every host answers alike. A request waits for its cell as long as its host can, so those here do not wait.
import { KEYS, refuse, request, scenario, sql } from './source.mjs'

const onCell = (id, options) => request(`create the tenant ${id} on a cell`, 201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled: true, cell_id: 'EU' }, ...options })
const LEASE = '0123456789abcdef0123456789abcdef'
const admin = { username: 'Admin_1', email: 'admin@example.com', password: 'a password' }

/** The job of the answer, or of an entry of it, has these members. */
const accepted = (name, method, where, { prefer, applied, ...options }) => request(name, 202, method, where, {
  headers: prefer ? { prefer } : {}, answer: { location: '/_/api/4/jobs/<id>', 'preference-applied': applied ?? null }, ...options,
})
const install = (name, options) => accepted(name, 'POST', '/tenants/acme/install', { body: admin, ...options })
/** Gives the unfinished job an id and a lease that are known. */
const lease = (id) => [
  sql('UPDATE tenants SET site_job_id = ?1 WHERE site_job_id = (SELECT id FROM cell_work WHERE finished_at IS NULL)', id),
  sql('UPDATE kept_sites SET job_id = ?1 WHERE job_id IS NOT NULL', id),
  sql('UPDATE cell_work SET id = ?1, lease = ?2 WHERE finished_at IS NULL', id, LEASE),
]
const finish = (name, id, state) => request(name, 200, 'POST', `/jobs/${id}/finish`, { body: { lease: LEASE, state }, json: { id, state } })

export default [
  scenario('cells', {},
    request('make a cell', 201, 'PUT', '/cells/Eu', { body: { name: 'Europe', service: { name: 'php-eu', port: 8080 } }, answer: { location: '/_/api/4/cells/Eu' } }),
    request('change a cell', 200, 'PUT', '/cells/eu', { body: { accepting: true, service: null } }),
    refuse('a wrong service', 422, 'invalid', 'PUT', '/cells/eu', { body: { service: { name: 'a b', port: 0 } }, pointers: ['/service/name', '/service/port'] }),
    request('list the cells', 200, 'GET', '/cells'),
    refuse('an unknown cell', 404, 'not_found', 'GET', '/cells/us'),
    onCell('acme', { json: { cell_id: 'Eu', site: { state: 'none', job_id: null } } }),
    refuse('a tenant on an unknown cell', 422, 'invalid', 'POST', '/tenants', { body: { id: 'b', hostname: 'b.example.com', is_enabled: true, cell_id: 'us' }, pointers: ['/cell_id'] }),
    request('the tenants of the cell', 200, 'GET', '/cells/eu/tenants', { json: { more: false, jobs_waiting: false, gone: [] } }),
    sql("INSERT INTO tenant_hostnames (tenant_id, hostname, kind, created_at, updated_at) SELECT t.id, j.value, 'alias', t.created_at, t.created_at FROM tenants AS t, json_each(?1) AS j", '["localhost", "www.example"]'),
    request("the root's own name is none of a tenant's hostnames", 200, 'GET', '/cells/eu/tenants', { json: (got) => ({ ...got, tenants: [{ ...got.tenants[0], hostname: 'acme.example.com', hostnames: ['acme.example.com', 'www.example'] }] }) }),
    refuse('a cursor of another epoch', 410, 'cursor_gone', 'GET', '/cells/eu/tenants?after=0000000000000000.1.acme'),
    refuse('a malformed cursor', 422, 'invalid', 'GET', '/cells/eu/tenants?after=x'),
    refuse('the tenants of an unknown cell', 404, 'not_found', 'GET', '/cells/us/tenants'),
    refuse('the tenants of a cell with a deleted key', 401, 'unauthorized', 'GET', '/cells/eu/tenants', { key: KEYS.deleted }),
    request('no job to lease', 200, 'POST', '/cells/eu/jobs/lease', { body: { max: 1, seconds: 60 }, json: { jobs: [] } }),
    refuse('too many jobs to lease', 422, 'invalid', 'POST', '/cells/eu/jobs/lease', { body: { max: 21, seconds: 60 }, pointers: ['/max'] }),
    request('no job', 200, 'GET', '/jobs'),
    refuse('an unknown job', 404, 'not_found', 'GET', '/jobs/none'),
    refuse('the end of an unknown job', 404, 'not_found', 'POST', '/jobs/none/finish', { body: { lease: LEASE, state: 'done' } }),
    refuse('a move of an enabled tenant', 409, 'cell_conflict', 'POST', '/tenants/acme/move', { body: { cell_id: 'eu' } }),
    refuse('delete a cell in use', 409, 'cell_in_use', 'DELETE', '/cells/eu'),
    request('delete the tenant', 204, 'DELETE', '/tenants/acme'),
    refuse('delete the cell of a deleted tenant', 409, 'cell_in_use', 'DELETE', '/cells/eu'),
    sql("UPDATE deleted_tenants SET deleted_at = '2026-01-01 00:00:00'"),
    request('delete the cell', 204, 'DELETE', '/cells/eu'),
  ),  // The 202 of a host that waits no longer, which is that of one that cannot wait.
  scenario('jobs of a cell', { TENANTS_JOB_WAIT_SECONDS: '0' },
    request('make the cell', 201, 'PUT', '/cells/eu', { body: {} }),
    onCell('acme'),
    install('an installation', { json: { tenant_id: 'acme', cell_id: 'eu', kind: 'install', state: 'waiting', attempts: 0, error: null, result: null } }),
    install('the same again, and respond-async', { prefer: 'respond-async', applied: 'respond-async', json: { kind: 'install', state: 'waiting' } }),
    install('the same again, and wait=0', { prefer: 'wait=0', applied: 'wait=0', json: { kind: 'install', state: 'waiting' } }),
    install('the same again, and both', { prefer: 'wait=0, respond-async', applied: 'respond-async, wait=0' }),
    install('a malformed preference is none', { prefer: 'wait=soon' }),
    refuse('another installation', 409, 'cell_conflict', 'POST', '/tenants/acme/install', { body: { ...admin, username: 'other' } }),
    request('one job for all of them', 200, 'GET', '/jobs?tenant=acme&state=waiting', { json: (got) => [{ ...got[0], kind: 'install' }] }),
    request('the site is under way', 200, 'GET', '/tenants/acme', { json: (got) => ({ ...got, site: { state: 'installing', job_id: got.site.job_id } }) }),
    request('a job to lease', 200, 'POST', '/cells/eu/jobs/lease', { body: { max: 20, seconds: 60 }, json: (got) => ({ jobs: [{ ...got.jobs[0], tenant_id: 'acme', kind: 'install', attempt: 1, input: admin }] }) }),
    lease('job-1'),
    refuse('the end with another token', 409, 'lease_lost', 'POST', '/jobs/job-1/finish', { body: { lease: LEASE.replace('0', '1'), state: 'done' } }),
    request('a longer lease', 204, 'POST', '/jobs/job-1/renew', { body: { lease: LEASE, seconds: 60 } }),
    refuse('a running job is not cancelled', 409, 'job_not_waiting', 'POST', '/jobs/job-1/cancel'),
    finish('the site is installed', 'job-1', 'done'),
    finish('the same end again', 'job-1', 'done'),
    request('the site of the tenant', 200, 'GET', '/tenants/acme', { json: { site: { state: 'installed', job_id: 'job-1' } } }),
    refuse('a second installation', 409, 'conflict', 'POST', '/tenants/acme/install', { body: admin, headers: { prefer: 'respond-async' } }),
    refuse('another cell without a move', 409, 'cell_conflict', 'PATCH', '/tenants/acme', { body: { cell_id: null } }),
    accepted('a password reset', 'PATCH', '/tenants/acme/user-password-reset', { body: { username: 'Admin_1' }, prefer: 'respond-async', applied: 'respond-async', json: { kind: 'password_reset', state: 'waiting', result: null } }),
    lease('job-2'),
    request('cancel the job', 200, 'POST', '/jobs/job-2/cancel', { json: { id: 'job-2', state: 'cancelled' } }),
    refuse('cancel it again', 409, 'job_not_waiting', 'POST', '/jobs/job-2/cancel'),
    accepted('a deletion with its tables', 'DELETE', '/tenants/acme', { body: { drop_tables: true }, prefer: 'wait=0', applied: 'wait=0', json: { tenant_id: 'acme', kind: 'drop', state: 'waiting' } }),
    request('the tenant is gone at once', 404, 'GET', '/tenants/acme', { code: 'not_found' }),
    refuse('its id is taken until the tables are gone', 409, 'site_exists', 'POST', '/tenants', { body: { id: 'acme', hostname: 'b.example.com', is_enabled: true } }, ['/id']),
    refuse('the cell is in use', 409, 'cell_in_use', 'DELETE', '/cells/eu'),
    lease('job-3'),
    finish('the tables are gone', 'job-3', 'done'),
    request('the id is free', 201, 'POST', '/tenants', { body: { id: 'acme', hostname: 'b.example.com', is_enabled: true }, json: { cell_id: null, site: { state: 'none', job_id: null } } }),
    request('the three jobs, the newest first', 200, 'GET', '/jobs', { json: (got) => got.map((job, i) => ({ ...job, id: `job-${3 - i}` })) }),
    request('delete the cell', 204, 'DELETE', '/cells/eu'),
  ),
]
