// Many callers at once: what one of them may have, exactly one gets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from './harness.mjs'

const api = await startApi()
const N = 40
const many = (n, make) => Promise.all(Array.from({ length: n }, (_, i) => make(i)))
const tally = (answers) => Object.fromEntries(Object.entries(Object.groupBy(answers, (a) => a.status)).map(([status, list]) => [status, list.length]))
const entries = async (action) => (await api.sql('SELECT count(*) AS n FROM audit_log WHERE action = ?', action))[0].n

for (const [what, fields] of [
  ['id', (i) => ({ id: i % 2 ? 'SAME' : 'same', hostname: `id-${i}.example.com` })],
  ['hostname', (i) => ({ id: `h${i}`, hostname: i % 2 ? 'SAME.example.com' : 'same.example.com' })],
]) {
  test(`of ${N} parallel creations of one ${what} exactly one is 201, and it is the one that stands`, async () => {
    const before = await entries('tenant.create')
    const answers = await many(N, (i) => api.call('POST', '/tenants', { body: { ...fields(i), is_enabled: true, env: { WINNER: String(i) } } }))
    assert.deepEqual(tally(answers), { 201: 1, 409: N - 1 })
    const winner = answers.find((a) => a.status === 201).json
    for (const { json } of answers.filter((a) => a.status === 409)) assert.deepEqual([json.code, json.errors.map((e) => e.pointer)], ['conflict', [`/${what}`]])
    assert.deepEqual((await api.expect(200, 'GET', `/tenants/${winner.id}`)).json, winner)
    assert.equal((await api.sql(`SELECT count(*) AS n FROM tenants WHERE ${what} = ? COLLATE NOCASE`, winner[what]))[0].n, 1)
    assert.equal(await entries('tenant.create'), before + 1)
  })
}

test(`of ${N} parallel creations of one plan exactly one is 201`, async () => {
  const answers = await many(N, (i) => api.call('POST', '/tenants-plans', { body: { id: 'same', limits: { WINNER: i } } }))
  assert.deepEqual(tally(answers), { 201: 1, 409: N - 1 })
  assert.deepEqual((await api.expect(200, 'GET', '/tenants-plans/same')).json, answers.find((a) => a.status === 201).json)
  assert.equal(await entries('plan.create'), 1)
})

test('of parallel PATCHes to one hostname exactly one is 204', async () => {
  const tenants = await many(12, () => api.tenant())
  const answers = await many(12, (i) => api.call('PATCH', `/tenants/${tenants[i].id}`, { body: { hostname: 'wanted.example.com' } }))
  assert.deepEqual(tally(answers), { 204: 1, 409: 11 })
  assert.deepEqual(await api.sql("SELECT id FROM tenants WHERE hostname = 'wanted.example.com'"), [{ id: tenants[answers.findIndex((a) => a.status === 204)].id }])
})

test('of parallel DELETEs of one tenant exactly one is 204', async () => {
  const { id } = await api.tenant()
  const before = await entries('tenant.delete')
  assert.deepEqual(tally(await many(N, () => api.call('DELETE', `/tenants/${id}`))), { 204: 1, 404: N - 1 })
  assert.equal(await entries('tenant.delete'), before + 1)
})

test('a plan deleted while tenants are given it: each is 204 or 422, and nobody keeps a plan that is gone', async () => {
  const plan = await api.plan()
  const tenants = await many(20, () => api.tenant())
  const answers = await Promise.all([
    ...tenants.slice(0, 10).map(({ id }) => api.call('PATCH', `/tenants/${id}`, { body: { plan_id: plan.id } })),
    api.call('DELETE', `/tenants-plans/${plan.id}`),
    ...tenants.slice(10).map(({ id }) => api.call('PATCH', `/tenants/${id}`, { body: { plan_id: plan.id } })),
  ])
  assert.equal(answers[10].status, 204)
  for (const { status, text } of answers) assert.ok(status === 204 || status === 422, text)
  assert.deepEqual(await api.sql('SELECT id FROM tenants WHERE plan_id = ?', plan.id), [])
})

test('answers at once do not mix: each has its own headers, and none of another one', async () => {
  const tenants = await many(3, () => api.tenant())
  const asked = [
    ['GET', '/tenants?limit=1', 200, ['link']], ['GET', '/tenants', 200, []], ['GET', `/tenants/${tenants[0].id}`, 200, ['etag']], ['HEAD', `/tenants/${tenants[1].id}`, 200, ['etag']],
    ['GET', '/tenants/nobody', 404, []], ['PUT', '/tenants', 405, ['allow']], ['GET', '/tenants', 401, ['www-authenticate'], { key: 'none' }], ['DELETE', `/tenants/${tenants[2].id}`, 204, []],
    ['POST', '/tenants', 201, ['etag', 'location']], ['POST', '/tenants', 201, ['etag', 'location']],
  ]
  const bodies = Array.from({ length: 100 }, (_, i) => (asked[i % 10][0] === 'POST' ? api.fresh() : undefined))
  const answers = await many(100, (i) => {
    const [method, where, , , options] = asked[i % 10]
    return api.call(method, where, { body: bodies[i], ...options, headers: { 'X-Request-Id': `h${i}` } })
  })
  const constant = ['cache-control', 'x-content-type-options', 'x-request-id']
  answers.forEach(({ status, headers }, i) => {
    const [method, where, expected, further] = asked[i % 10]
    // One DELETE alone finds its tenant, whichever comes first.
    assert.equal(method === 'DELETE' && status === 404 ? expected : status, expected, `${method} ${where}`)
    const own = Object.keys(headers).filter((name) => !['content-length', 'content-type', 'connection', 'date', 'keep-alive', 'transfer-encoding'].includes(name))
    assert.deepEqual(own.sort(), [...constant, ...further].sort(), `${method} ${where}`)
    assert.equal(headers['x-request-id'], `h${i}`)
    if (method === 'POST') assert.match(headers.location, new RegExp(`/tenants/${bodies[i].id}$`))
  })
})

test('requests at once do not mix: every answer is to its own request', async () => {
  const tenants = await many(10, (i) => api.tenant({ env: { MINE: String(i) } }))
  const answers = await many(60, (i) => api.call('GET', `/tenants/${tenants[i % 10].id}`, { headers: { 'X-Request-Id': `r${i}` } }))
  answers.forEach(({ json, headers }, i) => {
    assert.deepEqual(json, tenants[i % 10])
    assert.equal(headers['x-request-id'], `r${i}`)
  })
})
