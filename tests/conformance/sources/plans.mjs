// Plans (API.md §4, §6).
import { refuse, request, scenario, vectors } from './source.mjs'

const create = (name, body, options) => request(name, 201, 'POST', '/tenants-plans', { body, ...options })
const get = (name, id, json) => request(name, 200, 'GET', `/tenants-plans/${id}`, { json })

export default [
  scenario('plans, from nothing to nothing', {},
    request('no plan', 200, 'GET', '/tenants-plans', { json: [] }),
    create('the smallest: what was never set is null', { id: 'Smallest' }, { json: { id: 'Smallest', limits: null, env: null }, answer: { location: '/_/api/4/tenants-plans/Smallest' } }),
    create('empty is not null', { id: 'empty', limits: {}, env: {} }, { json: { limits: {}, env: {} } }),
    create('full', { id: 'full', limits: { B: 1, A: '2' }, env: { E: 'grüße' } }, { json: { limits: { A: '2', B: '1' }, env: { E: 'grüße' } } }),
    get('in any case', 'sMALLEST', { id: 'Smallest' }),
    request('HEAD has no body', 200, 'HEAD', '/tenants-plans'),
    request('the list', 200, 'GET', '/tenants-plans', { json: [{ id: 'empty' }, { id: 'full' }, { id: 'Smallest' }] }),
    request('a page of it', 200, 'GET', '/tenants-plans?limit=1&after=empty', { json: [{ id: 'full' }], answer: { link: '</_/api/4/tenants-plans?limit=1&after=full>; rel="next"' } }),
    refuse('an id that is taken', 409, 'conflict', 'POST', '/tenants-plans', { body: { id: 'FULL' } }, ['/id']),
    refuse('everything wrong at once', 422, 'invalid', 'POST', '/tenants-plans', { body: { id: 'a b', limits: [], env: '', hostname: 'x' } }, ['/id', '/limits', '/env', '/hostname']),
    request('edited', 204, 'PATCH', '/tenants-plans/full', { body: { limits: null, env: {} } }),
    get('null is null and {} is {}', 'full', { limits: null, env: {} }),
    refuse('edited: nothing', 422, 'invalid', 'PATCH', '/tenants-plans/full', { body: {} }),
    refuse('edited: nobody', 404, 'not_found', 'PATCH', '/tenants-plans/nobody', { body: { limits: {} } }),
    request('a tenant that has it', 201, 'POST', '/tenants', { body: { id: 'a', hostname: 'a.example.com', is_enabled: true, plan_id: 'FULL' }, json: { plan_id: 'full' } }),
    request('deleted, whatever its body', 204, 'DELETE', '/tenants-plans/full', { body: '{' }),
    request('its tenants stay, with no plan', 200, 'GET', '/tenants/a', { json: { plan_id: null } }),
    refuse('gone', 404, 'not_found', 'GET', '/tenants-plans/full'),
    refuse('deleted: again', 404, 'not_found', 'DELETE', '/tenants-plans/full'),
    refuse('another method', 405, 'method_not_allowed', 'POST', '/tenants-plans/empty', { body: {}, answer: { allow: 'GET, HEAD, PATCH, DELETE' } }),
  ),
  scenario('identifiers of plans, of the vectors', {},
    vectors('plan_ids').map(({ name, value, expect }) => (expect === null
      ? refuse(`id: ${name}`, 422, 'invalid', 'POST', '/tenants-plans', { body: { id: value } }, ['/id'])
      : [create(`id: ${name}`, { id: value }, { json: { id: expect } }), request(`id: ${name}, away`, 204, 'DELETE', `/tenants-plans/${expect}`)])),
  ),
]
