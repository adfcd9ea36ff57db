// Cells (API.md §15): what every host answers alike. Requests that wait for a cell do so as long as the host can, so none is here.
import { KEYS, refuse, request, scenario } from './source.mjs'

const onCell = (id, options) => request(`create the tenant ${id} on a cell`, 201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled: true, cell_id: 'EU' }, ...options })
const LEASE = '0123456789abcdef0123456789abcdef'

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
    request('delete the cell', 204, 'DELETE', '/cells/eu'),
  ),
]
