// The audit log has one entry for each successful write, added in the same transaction, and no other entries (API.md §3, DESIGN.md "Trust").
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi, TIME } from './harness.mjs'

const api = await startApi()
const other = await api.makeKey({ name: 'another' })
const lastId = async () => (await api.sql('SELECT coalesce(max(id), 0) AS id FROM audit_log'))[0].id
const since = (id) => api.sql('SELECT * FROM audit_log WHERE id > ? ORDER BY id', id)
let requests = 0

test('every write adds exactly one entry with the key, the action, the subject, the changed members and the request id', async () => {
  const body = api.fresh()
  const tenant = `Audited${body.id.slice(0, 5)}`
  const plan = 'AuditedPlan'
  const writes = [
    ['plan.create', plan, null, 201, 'POST', '/tenants-plans', { body: { id: plan, env: { S: 'plan secret' } } }],
    ['plan.update', plan, 'limits', 204, 'PATCH', `/tenants-plans/${plan.toUpperCase()}`, { body: { limits: {} } }],
    ['tenant.create', tenant, null, 201, 'POST', '/tenants', { body: { ...body, id: tenant, plan_id: plan, env: { S: 'tenant secret' } } }],
    ['tenant.update', tenant, 'is_enabled env', 204, 'PATCH', `/tenants/${tenant.toUpperCase()}`, { body: { is_enabled: false, plan_id: plan, env: { S: 'another' } } }],
    ['plan.delete', plan, null, 204, 'DELETE', `/tenants-plans/${plan.toLowerCase()}`],
    ['tenant.delete', tenant, null, 204, 'DELETE', `/tenants/${tenant.toLowerCase()}`],
  ]
  for (const [action, subject, changed, status, method, where, options] of writes) {
    const before = await lastId()
    const requestId = `audit.${requests++}`
    await api.expect(status, method, where, { ...options, key: other.key, headers: { 'X-Request-Id': requestId } })
    const entries = await since(before)
    assert.equal(entries.length, 1, action)
    const { created_at, token } = entries[0]
    assert.match(created_at, TIME)
    assert.match(token, /^[A-Za-z0-9_-]{22}$/)
    assert.deepEqual(entries[0], { id: before + 1, key_id: other.id, action, subject: subject.toLowerCase(), request_id: requestId, created_at, operator: null, detail: null, token, changed })
  }
})

test('an entry has the request id that the service generated', async () => {
  const before = await lastId()
  const { headers } = await api.expect(201, 'POST', '/tenants', { body: api.fresh() })
  assert.deepEqual((await since(before)).map((e) => e.request_id), [headers['x-request-id']])
})

test('reads and refused writes add no entry', async () => {
  const { id, hostname } = await api.tenant()
  const plan = await api.plan()
  const before = await lastId()
  const table = [
    [200, 'POST', '/auth/verify'], [200, 'GET', '/tenants'], [200, 'GET', `/tenants/${id}`], [200, 'GET', '/tenants-plans'], [200, 'HEAD', `/tenants-plans/${plan.id}`],
    [401, 'POST', '/tenants', { body: api.fresh(), key: null }], [401, 'DELETE', `/tenants/${id}`, { signature: null }], [400, 'POST', '/tenants', { body: '{' }], [413, 'POST', '/tenants', { body: 'x'.repeat(65_537) }],
    [415, 'POST', '/tenants', { body: '{}', headers: { 'Content-Type': 'text/plain' } }], [422, 'POST', '/tenants', { body: {} }], [422, 'POST', '/tenants', { body: { ...api.fresh(), plan_id: 'nobody' } }],
    [409, 'POST', '/tenants', { body: { ...api.fresh(), id } }], [409, 'POST', '/tenants', { body: { ...api.fresh(), hostname } }], [409, 'POST', '/tenants-plans', { body: { id: plan.id } }],
    [422, 'PATCH', `/tenants/${id}`, { body: {} }], [422, 'PATCH', `/tenants/${id}`, { body: { plan_id: 'nobody' } }], [404, 'PATCH', '/tenants/nobody', { body: { is_enabled: true } }],
    [404, 'DELETE', '/tenants/nobody'], [404, 'DELETE', '/tenants-plans/nobody'], [404, 'PATCH', '/tenants-plans/nobody', { body: { limits: {} } }], [422, 'PUT', `/tenants/${id}`, { body: {} }], [405, 'PUT', '/tenants'],
  ]
  for (const [status, ...request] of table) await api.expect(status, ...request)
  assert.deepEqual(await since(before), [])
})

test('if the audit entry cannot be written, the request fails with a 503 and changes nothing', async () => {
  const tenant = await api.tenant({ env: { A: '1' } })
  const plan = await api.plan({ limits: { A: '1' } })
  const unborn = api.fresh()
  const before = await lastId()
  await api.sql("CREATE TRIGGER broken BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
  try {
    for (const [method, where, body] of [
      ['POST', '/tenants', unborn], ['PATCH', `/tenants/${tenant.id}`, { env: { B: '2' }, is_enabled: false }], ['DELETE', `/tenants/${tenant.id}`],
      ['POST', '/tenants-plans', { id: unborn.id }], ['PATCH', `/tenants-plans/${plan.id}`, { limits: {} }], ['DELETE', `/tenants-plans/${plan.id}`],
    ]) {
      const { text } = await api.refuse(503, 'unavailable', method, where, { body })
      assert.ok(!text.includes('disk is full'), text)
    }
    await api.expect(404, 'GET', `/tenants/${unborn.id}`)
    await api.expect(404, 'GET', `/tenants-plans/${unborn.id}`)
    assert.deepEqual((await api.expect(200, 'GET', `/tenants/${tenant.id}`)).json, tenant)
    assert.deepEqual((await api.expect(200, 'GET', `/tenants-plans/${plan.id}`)).json, plan)
  } finally {
    await api.sql('DROP TRIGGER broken')
  }
  await api.logged('the disk is full')
  assert.deepEqual(await since(before), [])
  await api.expect(201, 'POST', '/tenants', { body: unborn })
})

test('GET /audit shows what was written, with filters and pages, to keys with the scope audit', async () => {
  const { id } = await api.tenant()
  await api.expect(204, 'PATCH', `/tenants/${id}`, { body: { is_enabled: false, env: { A: '1' } }, key: other.key })
  await api.expect(204, 'DELETE', `/tenants/${id}`)
  const { json: all } = await api.expect(200, 'GET', `/audit?subject_type=tenant&subject=${id.toUpperCase()}`)
  assert.deepEqual(all.map(({ action, key_id, changed }) => [action, key_id === other.id, changed]), [['tenant.create', false, []], ['tenant.update', true, ['is_enabled', 'env']], ['tenant.delete', false, []]])
  const { json: [edit] } = await api.expect(200, 'GET', `/audit?key_id=${other.id}&since=${encodeURIComponent(all[1].created_at)}&after=${all[0].id}&limit=1`)
  assert.deepEqual(edit, all[1])
  await api.sql("INSERT INTO audit_log (action, subject, request_id, created_at, operator) VALUES ('api_key.delete', '77', 'cli-1', '2026-01-01 00:00:00', 'me')")
  const { json: typed } = await api.expect(200, 'GET', '/audit?key_id=&action=api_key.delete')
  assert.deepEqual(typed.map(({ id, ...entry }) => entry), [{ created_at: '2026-01-01 00:00:00', key_id: null, action: 'api_key.delete', subject_type: 'api_key', subject: '77', changed: [], request_id: 'cli-1', session_id: null }])
  const { headers } = await api.expect(200, 'GET', '/audit?limit=1')
  assert.match(headers.link, /^<\/_\/api\/4\/audit\?limit=1&after=1>; rel="next"$/)
  await api.refuse(422, 'invalid', 'GET', '/audit?subjects=a', {}, ['subjects'])
  const { json: key } = await api.expect(201, 'POST', '/keys', { body: { scopes: ['tenants:read'] } })
  const { json: [made] } = await api.expect(200, 'GET', `/audit?subject_type=api_key&subject=${key.id}`)
  assert.deepEqual([made.action, made.subject], ['api_key.create', String(key.id)])
  await api.refuse(403, 'insufficient_scope', 'GET', '/audit', { key: key.api_key })
})

test('an entry contains nothing from a request body', async () => {
  const text = JSON.stringify(await api.sql('SELECT * FROM audit_log'))
  for (const value of ['plan secret', 'tenant secret', 'example.com']) assert.ok(!text.includes(value))
})
