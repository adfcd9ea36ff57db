// Plans (API.md §4, §6).
import { refuse, request, scenario, vectors } from './source.mjs'

const create = (name, body, options) => request(name, 201, 'POST', '/tenants-plans', { body, ...options })
const get = (name, id, json) => request(name, 200, 'GET', `/tenants-plans/${id}`, { json })

export default [
  scenario('plans, from creation to deletion', {},
    request('list no plans', 200, 'GET', '/tenants-plans', { json: [] }),
    create('create a plan with only an id: the other fields are null', { id: 'Smallest' }, { json: { id: 'Smallest', limits: null, env: null }, answer: { location: '/_/api/4/tenants-plans/Smallest' } }),
    create('create a plan with empty maps: they are not null', { id: 'empty', limits: {}, env: {} }, { json: { limits: {}, env: {} } }),
    create('create a plan with every field', { id: 'full', limits: { B: 1, A: '2' }, env: { E: 'grüße' } }, { json: { limits: { A: '2', B: '1' }, env: { E: 'grüße' } } }),
    create('an empty list counts as an empty map', { id: 'php', limits: [], env: [] }, { json: { limits: {}, env: {} } }),
    request('edit a plan with empty lists', 204, 'PATCH', '/tenants-plans/php', { body: { limits: [], env: [] } }),
    get('the empty lists are empty maps', 'php', { limits: {}, env: {} }),
    request('delete the plan', 204, 'DELETE', '/tenants-plans/php'),
    get('get a plan by its id in another case', 'sMALLEST', { id: 'Smallest' }),
    request('HEAD has no body', 200, 'HEAD', '/tenants-plans'),
    request('list the plans', 200, 'GET', '/tenants-plans', { json: [{ id: 'empty' }, { id: 'full' }, { id: 'Smallest' }] }),
    request('list a page of plans', 200, 'GET', '/tenants-plans?limit=1&after=empty', { json: [{ id: 'full' }], answer: { link: '</_/api/4/tenants-plans?limit=1&after=full>; rel="next"' } }),
    refuse('create a plan with a taken id', 409, 'conflict', 'POST', '/tenants-plans', { body: { id: 'FULL' } }, ['/id']),
    refuse('every field is wrong', 422, 'invalid', 'POST', '/tenants-plans', { body: { id: 'a b', limits: ['A'], env: '', hostname: 'x' } }, ['/id', '/limits', '/env', '/hostname']),
    request('edit a plan', 204, 'PATCH', '/tenants-plans/full', { body: { limits: null, env: {} } }),
    get('get the edited plan: null is stored as null, and {} as {}', 'full', { limits: null, env: {} }),
    refuse('edit no field', 422, 'invalid', 'PATCH', '/tenants-plans/full', { body: {} }),
    refuse('edit an unknown plan', 404, 'not_found', 'PATCH', '/tenants-plans/nobody', { body: { limits: {} } }),
    request('create a tenant with the plan', 201, 'POST', '/tenants', { body: { id: 'a', hostname: 'a.example.com', is_enabled: true, plan_id: 'FULL' }, json: { plan_id: 'full' } }),
    refuse('delete the plan with a body', 400, 'body_unexpected', 'DELETE', '/tenants-plans/full', { body: '{' }),
    request('delete the plan of a tenant', 204, 'DELETE', '/tenants-plans/full'),
    request('the tenant of the deleted plan stays, without a plan', 200, 'GET', '/tenants/a', { json: { plan_id: null } }),
    refuse('get the deleted plan', 404, 'not_found', 'GET', '/tenants-plans/full'),
    refuse('delete the deleted plan', 404, 'not_found', 'DELETE', '/tenants-plans/full'),
    refuse('an unsupported method', 405, 'method_not_allowed', 'POST', '/tenants-plans/empty', { body: {}, answer: { allow: 'GET, HEAD, PATCH, DELETE' } }),
  ),
  scenario('the ids of plans in the vectors', {},
    vectors('plan_ids').map(({ name, value, expect }) => (expect === null
      ? refuse(`id: ${name}`, 422, 'invalid', 'POST', '/tenants-plans', { body: { id: value } }, ['/id'])
      : [create(`id: ${name}`, { id: value }, { json: { id: expect } }), request(`id: ${name}, deleted`, 204, 'DELETE', `/tenants-plans/${expect}`)])),
  ),
]
