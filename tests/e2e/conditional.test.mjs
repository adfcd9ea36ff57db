// Safe retries on the built Worker with D1 (API.md §12): PUT, If-Match, Prefer and trials, one by one and many at once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from './harness.mjs'

const api = await startApi()
const entries = async () => (await api.sql('SELECT count(*) AS n FROM audit_log'))[0].n
const at = (id) => `/tenants/${id}`
const many = (count, call) => Promise.all(Array.from({ length: count }, (_, i) => call(i)))

test('a PUT creates, changes what differs, and writes nothing the second time', async () => {
  const { id, ...body } = api.fresh()
  const full = { ...body, limits: { L: '1' }, env: { E: 'é' }, labels: { l: '1' } }
  const created = await api.expect(201, 'PUT', at(id), { body: full })
  assert.equal(created.headers.location, `/_/api/4/tenants/${id}`)
  assert.equal(created.headers.etag, undefined)
  const read = await api.expect(200, 'GET', at(id))
  assert.deepEqual(created.json, read.json)
  const before = await entries()
  for (const key of [undefined, 'again', 'again']) {
    const headers = key && { 'Idempotency-Key': key }
    const again = await api.expect(200, 'PUT', at(id.toUpperCase()), { body: full, headers })
    assert.deepEqual(again.json, read.json)
  }
  assert.equal(await entries(), before)
  assert.equal((await api.expect(200, 'GET', at(id))).headers.etag, read.headers.etag)
  const changed = await api.expect(200, 'PUT', at(id), { body })
  assert.deepEqual([changed.json.limits, changed.json.env, changed.json.labels], [{}, {}, {}])
  assert.equal(await entries(), before + 1)
  await api.refuse(412, 'precondition_failed', 'PUT', at(id), { body, headers: { 'If-None-Match': '*' } })
})

test('of many PUTs at once one creates, and the others find it so', async () => {
  const { id, ...body } = api.fresh()
  const before = await entries()
  const answers = await many(8, () => api.call('PUT', at(id), { body: { ...body, env: { A: '1' } } }))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 200, 200, 200, 200, 201])
  assert.equal(await entries(), before + 1)
})

test('of many writers with the same tag one writes', async () => {
  const { id } = await api.tenant()
  const { headers: { etag } } = await api.expect(200, 'GET', at(id))
  const answers = await many(8, (i) => api.call('PATCH', at(id), { body: { limits: { N: `${i}` } }, headers: { 'If-Match': etag } }))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 412, 412, 412, 412, 412, 412, 412])
  await api.refuse(412, 'precondition_failed', 'DELETE', at(id), { headers: { 'If-Match': etag } })
  await api.refuse(412, 'precondition_failed', 'DELETE', at(id), { body: { drop_tables: true }, headers: { 'If-Match': etag } })
  for (const tag of ['x', '"a b"', '*, *']) await api.refuse(400, 'malformed_header', 'DELETE', at(id), { headers: { 'If-Match': tag } })
  const present = await api.expect(200, 'GET', at(id))
  await api.refuse(412, 'precondition_failed', 'GET', at(id), { headers: { 'If-Match': etag } })
  await api.refuse(412, 'precondition_failed', 'GET', '/tenants', { headers: { 'If-Match': '*' } })
  await api.expect(204, 'DELETE', at(id), { headers: { 'If-Match': present.headers.etag } })
})

test('a PATCH answers with the resource if the caller prefers that, again when it is replayed', async () => {
  const { id } = await api.tenant({ env: { A: 'secret' } })
  const options = { body: { labels: { l: '1' } }, headers: { Prefer: 'foo, return=representation', 'Idempotency-Key': 'prefer' } }
  const first = await api.expect(200, 'PATCH', at(id), options)
  assert.equal(first.headers['preference-applied'], 'return=representation')
  assert.deepEqual(first.json.env, { A: 'secret' })
  const read = await api.expect(200, 'GET', at(id))
  assert.deepEqual([first.json, first.headers.etag], [read.json, read.headers.etag])
  await api.expect(204, 'DELETE', at(id))
  const again = await api.expect(200, 'PATCH', at(id), options)
  assert.equal(again.headers['idempotency-replayed'], 'true')
  assert.deepEqual([again.json, again.headers.etag], [first.json, first.headers.etag])
})

test('a trial says what the write would, and leaves the database as it was', async () => {
  const { id, hostname } = await api.tenant()
  const plan = await api.plan()
  const fresh = api.fresh()
  const tables = ['tenants', 'tenants_plans', 'api_keys', 'audit_log', 'idempotency', 'cells', 'cell_work']
  const dump = () => Promise.all(tables.map((table) => api.sql(`SELECT * FROM ${table}`)))
  const before = await dump()
  const trial = { valid: true }
  for (const [method, where, body] of [
    ['POST', '/tenants', fresh], ['PUT', at('new'), { hostname: 'trial.example.com', is_enabled: true }], ['PATCH', at(id), { is_enabled: false }],
    ['DELETE', at(id)], ['DELETE', at(id), { drop_tables: true }], ['POST', `${at(id)}/install`, { username: 'admin', email: 'a@b.example', password: 'correct horse' }],
    ['POST', '/tenants-plans', { id: 'trial' }], ['PUT', `/tenants-plans/${plan.id}`, {}], ['DELETE', `/tenants-plans/${plan.id}`],
    ['POST', '/keys', { scopes: ['tenants:read'] }], ['PUT', '/cells/trial', {}],
  ]) {
    const answer = await api.expect(200, method, `${where}?validate_only=true`, { body })
    assert.deepEqual(answer.json, trial, `${method} ${where}`)
  }
  await api.refuse(409, 'conflict', 'POST', '/tenants?validate_only=true', { body: { ...fresh, hostname } }, ['/hostname'])
  await api.refuse(404, 'not_found', 'DELETE', '/tenants/nobody?validate_only=true')
  for (const query of ['validate_only=yes', 'validate-only=true', 'x']) await api.refuse(422, 'invalid', 'DELETE', `${at(id)}?${query}`, {}, [query.split('=')[0]])
  assert.deepEqual(await dump(), before)
})
