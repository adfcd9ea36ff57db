// GET, PATCH and DELETE /tenants/{id} (API.md §4, §5).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi, TIME, vectors } from './harness.mjs'

const api = await startApi({ vars: { CHEVERETO_INTERNAL_HOSTNAME: 'root.example.com' } })
await api.plan({ id: 'Basic' })
await api.plan({ id: 'Premium' })
const get = async (id) => (await api.expect(200, 'GET', `/tenants/${id}`)).json
const patch = (id, body) => api.expect(204, 'PATCH', `/tenants/${id}`, { body })
const row = async (id) => (await api.sql('SELECT * FROM tenants WHERE id = ?', id))[0]
const full = () => api.tenant({ plan_id: 'Basic', limits: { A: '1', B: '2' }, env: { C: '3', D: '4' } })

test('an unknown tenant is a 404 for every method', async () => {
  await api.tenant({ id: 'a' })
  for (const id of ['nobody', 'a_', 'aa', '0']) {
    await api.refuse(404, 'not_found', 'GET', `/tenants/${id}`)
    await api.refuse(404, 'not_found', 'PATCH', `/tenants/${id}`, { body: { is_enabled: true } })
    await api.refuse(404, 'not_found', 'DELETE', `/tenants/${id}`)
    await api.refuse(404, 'not_found', 'DELETE', `/tenants/${id}`, { body: { drop_tables: true } })
  }
})

test('ids match ignoring case, and responses show the id as it was created', async () => {
  const made = await api.tenant({ id: 'CamelCase' })
  assert.deepEqual(await get('cAMELcASE'), made)
  await patch('CAMELCASE', { is_enabled: false })
  assert.deepEqual([(await get('camelcase')).id, (await get('camelcase')).is_enabled], ['CamelCase', false])
  await api.expect(204, 'DELETE', '/tenants/camelcase')
  await api.expect(404, 'GET', '/tenants/CamelCase')
})

test('a PATCH with no field is a 422', async () => {
  const { id } = await full()
  const answer = await api.expect(422, 'PATCH', `/tenants/${id}`, { body: {} })
  assert.equal(answer.json.code, 'invalid')
})

test('the 422 of a PATCH names every wrong field, and nothing is changed', async () => {
  const { id } = await full()
  const before = await row(id)
  const invalid = (body, pointers) => api.refuse(422, 'invalid', 'PATCH', `/tenants/${id}`, { body }, pointers)
  await invalid({ hostname: 'a b', is_enabled: 1, plan_id: 1, limits: [{}], env: 'x', nope: 1 }, ['/hostname', '/is_enabled', '/plan_id', '/limits', '/env', '/nope'])
  await invalid({ hostname: null, is_enabled: null }, ['/hostname', '/is_enabled'])
  await invalid({ hostname: '', plan_id: 'a b' }, ['/hostname', '/plan_id'])
  await invalid({ id: 'other', is_enabled: false }, ['/id'])
  await invalid({ id }, ['/id'])
  await invalid({ limits: { a: '1', A: null, 'a/b': '1' }, env: { 'm~n': '', B: 'a\0' } }, ['/limits/a', '/limits/A', '/limits/a~1b', '/env/m~0n', '/env/B'])
  await invalid({ is_enabled: false, plan_id: 'nobody' }, ['/plan_id'])
  await invalid({ is_enabled: false, created_at: '2026-01-01 00:00:00', stats: {} }, ['/created_at', '/stats'])
  await invalid({ hostname: 'ROOT.example.com' }, ['/hostname'])
  for (const { value } of vectors('hostnames').filter((v) => v.expect === null)) await invalid({ hostname: value }, ['/hostname'])
  assert.deepEqual(await row(id), before)
})

test("another tenant's hostname is a 409; the tenant's own is accepted", async () => {
  const other = await api.tenant()
  const { id, hostname } = await full()
  const before = await row(id)
  await api.refuse(409, 'conflict', 'PATCH', `/tenants/${id}`, { body: { hostname: other.hostname, is_enabled: false } }, ['/hostname'])
  await api.refuse(409, 'conflict', 'PATCH', `/tenants/${id}`, { body: { hostname: other.hostname.toUpperCase(), is_enabled: false } }, ['/hostname'])
  assert.deepEqual(await row(id), before)
  await patch(id, { hostname: hostname.toUpperCase() })
  assert.equal((await get(id)).hostname, hostname)
})

test('a PATCH of one field leaves every other field unchanged', async () => {
  const changes = [
    [{ hostname: 'Moved.example.com' }, { hostname: 'moved.example.com' }], [{ is_enabled: false }, { is_enabled: false, served: false }], [{ plan_id: 'pREMIUM' }, { plan_id: 'Premium' }],
    [{ limits: { X: 5 } }, { limits: { X: '5' } }], [{ env: { Y: 'grüße 🐘' } }, { env: { Y: 'grüße 🐘' } }],
  ]
  for (const [body, expected] of changes) {
    const before = await full()
    await patch(before.id, body)
    const { updated_at, ...after } = await get(before.id)
    assert.match(updated_at, TIME)
    const { updated_at: _, ...rest } = before
    assert.deepEqual(after, { ...rest, ...expected })
  }
})

test('one PATCH can change all fields', async () => {
  const before = await full()
  const change = { hostname: 'all.example.com', is_enabled: false, plan_id: 'Premium', limits: { L: 'l' }, env: { E: 'e' } }
  await patch(before.id, change)
  const after = await get(before.id)
  assert.deepEqual(after, { ...before, ...change, served: false, updated_at: after.updated_at })
})

test('an absent field stays, null and "" remove the value, and an object replaces the whole map', async () => {
  const table = [
    [{ plan_id: '' }, { plan_id: null }], [{ plan_id: null }, { plan_id: null }],
    [{ limits: null }, { limits: {} }], [{ limits: {} }, { limits: {} }], [{ limits: { B: '9' } }, { limits: { B: '9' } }],
    [{ env: null }, { env: {} }], [{ env: {} }, { env: {} }], [{ env: { D: '' } }, { env: { D: '' } }],
  ]
  for (const [body, expected] of table) {
    const before = await full()
    await patch(before.id, body)
    const after = await get(before.id)
    assert.deepEqual(after, { ...before, ...expected, updated_at: after.updated_at }, JSON.stringify(body))
  }
})

test('updated_at changes with every successful PATCH and with no failed one; created_at never changes', async () => {
  const { id } = await full()
  const past = '2001-02-03 04:05:06'
  await api.sql('UPDATE tenants SET created_at = ?1, updated_at = ?1 WHERE id = ?2', past, id)
  await api.expect(422, 'PATCH', `/tenants/${id}`, { body: { is_enabled: 'no' } })
  await api.expect(422, 'PATCH', `/tenants/${id}`, { body: { plan_id: 'nobody' } })
  const { hostname } = await api.tenant()
  await api.expect(409, 'PATCH', `/tenants/${id}`, { body: { hostname } })
  assert.equal((await get(id)).updated_at, past)
  for (const body of [{ is_enabled: true }, { is_enabled: true }, { limits: { A: '1', B: '2' } }, { plan_id: 'Basic' }]) {
    await api.sql('UPDATE tenants SET updated_at = ? WHERE id = ?', past, id)
    await patch(id, body)
    const after = await get(id)
    assert.ok(after.updated_at > '2026', `${JSON.stringify(body)}: ${after.updated_at}`)
    assert.equal(after.created_at, past)
  }
})

test('a PATCH enforces the limits on the size and the names of the maps', async () => {
  const { id } = await full()
  const entries = (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`V${i}`, 'x']))
  for (const map of ['limits', 'env']) {
    await patch(id, { [map]: entries(256) })
    assert.deepEqual((await get(id))[map], entries(256))
    await api.refuse(422, 'invalid', 'PATCH', `/tenants/${id}`, { body: { [map]: entries(257) } }, [`/${map}`])
    for (const { value, expect } of vectors('variable_names')) {
      const { status, text } = await api.call('PATCH', `/tenants/${id}`, { body: { [map]: { [value]: 'x' } } })
      assert.equal(status, expect === null ? 422 : 204, text)
    }
  }
})

test('DELETE accepts no body, an empty object, or drop_tables as a boolean', async () => {
  for (const options of [{}, { headers: { 'Content-Type': 'application/json' } }, { body: '', headers: { 'Content-Type': null } }, { body: {} }, { body: { drop_tables: false } }, { body: { drop_tables: true } }]) {
    const { id } = await full()
    await api.expect(204, 'DELETE', `/tenants/${id}`, options)
    await api.expect(404, 'GET', `/tenants/${id}`)
    await api.expect(404, 'DELETE', `/tenants/${id}`, options)
  }
})

test('DELETE with anything else in its body is a 422 and deletes nothing', async () => {
  const { id } = await full()
  for (const drop_tables of [1, 0, 'true', '', null, [], {}]) await api.refuse(422, 'invalid', 'DELETE', `/tenants/${id}`, { body: { drop_tables } }, ['/drop_tables'])
  await api.refuse(422, 'invalid', 'DELETE', `/tenants/${id}`, { body: { drop_tables: true, force: true } }, ['/force'])
  await api.refuse(422, 'invalid', 'DELETE', `/tenants/${id}`, { body: { drop_tables: 1, 'a/b': true } }, ['/drop_tables', '/a~1b'])
  await api.expect(200, 'GET', `/tenants/${id}`)
})

test('a deleted tenant’s id and hostname can be used again', async () => {
  const { id, hostname } = await full()
  await api.expect(204, 'DELETE', `/tenants/${id}`)
  const again = (await api.expect(201, 'POST', '/tenants', { body: { id: id.toUpperCase(), hostname, is_enabled: true } })).json
  assert.deepEqual([again.id, again.env, again.limits, again.plan_id], [id.toUpperCase(), {}, {}, null])
})

test('DELETE deletes only the named tenant', async () => {
  for (const id of ['del', 'del_', 'del_1', 'del-1', 'dell']) await api.tenant({ id })
  await api.expect(204, 'DELETE', '/tenants/del')
  await api.expect(204, 'DELETE', '/tenants/del_')
  for (const id of ['del_1', 'del-1', 'dell']) await api.expect(200, 'GET', `/tenants/${id}`)
})

test('stored statistics are returned unchanged, including integers beyond 2^53', async () => {
  const { id, stats } = await full()
  const text = JSON.stringify({ ...stats, files: 12, storage_used: 0 }).replace('"storage_used":0', '"storage_used":9007199254740993')
  await api.sql("UPDATE tenants SET stats = ?, last_job_at = '2026-11-01 00:00:00' WHERE id = ?", text, id)
  const answer = await api.expect(200, 'GET', `/tenants/${id}`)
  assert.match(answer.text, /"storage_used": ?9007199254740993[,}]/)
  assert.deepEqual([answer.json.stats.files, answer.json.stats.tags, answer.json.last_job_at], [12, 0, '2026-11-01 00:00:00'])
})

test('without CHEVERETO_INTERNAL_HOSTNAME the root is localhost, and no tenant can use that hostname', async () => {
  const plain = await startApi()
  await plain.refuse(422, 'invalid', 'POST', '/tenants', { body: { id: 'a', hostname: 'LocalHost', is_enabled: true } }, ['/hostname'])
  await plain.expect(201, 'POST', '/tenants', { body: { id: 'a', hostname: 'root.example.com', is_enabled: true } })
})
