// /tenants-plans (API.md §4, §6).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CURRENT, startApi, TIME, utc, vectors } from './harness.mjs'

const api = await startApi()
const get = async (id) => (await api.expect(200, 'GET', `/tenants-plans/${id}`)).json
const invalid = (body, pointers) => api.refuse(422, 'invalid', 'POST', '/tenants-plans', { body }, pointers)
const fresh = () => api.fresh().id
const maps = { limits: { CHEVERETO_MAX_USERS: '2' }, env: { CUSTOM_VAR: 'value' } }

test('an unknown plan is a 404 for every method', async () => {
  await api.plan({ id: 'p' })
  for (const id of ['nobody', 'p_', 'pp']) {
    await api.refuse(404, 'not_found', 'GET', `/tenants-plans/${id}`)
    await api.refuse(404, 'not_found', 'PATCH', `/tenants-plans/${id}`, { body: { limits: {} } })
    await api.refuse(404, 'not_found', 'DELETE', `/tenants-plans/${id}`)
  }
})

test('the 422 of a new plan names every wrong field, and nothing is written', async () => {
  const before = await api.sql('SELECT count(*) AS n FROM audit_log')
  await invalid({}, ['/id'])
  await invalid({ id: 'a b', limits: ['A'], env: '', nope: 1, 'a/b': 1 }, ['/id', '/limits', '/env', '/nope', '/a~1b'])
  await invalid({ id: fresh(), hostname: 'a.example.com', is_enabled: true }, ['/hostname', '/is_enabled'])
  await invalid({ id: fresh(), limits: { a: '1', 'a/b': '1', A: null }, env: { 'm~n': '', B: [], C: '\0' } }, ['/limits/a', '/limits/a~1b', '/limits/A', '/env/m~0n', '/env/B', '/env/C'])
  assert.deepEqual(await api.sql('SELECT count(*) AS n FROM audit_log'), before)
})

for (const { name, value, expect } of vectors('plan_ids')) {
  test(`id: ${name} is ${expect === null ? 'a 422' : 'accepted'}`, async () => {
    const answer = await api.call('POST', '/tenants-plans', { body: { id: value } })
    assert.equal(answer.status, expect === null ? 422 : 201, answer.text)
    if (expect === null) return assert.deepEqual(answer.json.errors.map((e) => e.pointer), ['/id'])
    assert.equal(answer.json.id, expect)
    await api.expect(204, 'DELETE', `/tenants-plans/${expect}`)
  })
}

for (const map of ['limits', 'env']) {
  test(`${map}: names, numbers of entries and kinds of values have the bounds of a tenant's`, async () => {
    const entries = (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`V${i}`, 'x']))
    assert.deepEqual((await api.plan({ [map]: entries(256) }))[map], entries(256))
    await invalid({ id: fresh(), [map]: entries(257) }, [`/${map}`])
    assert.deepEqual((await api.plan({ [map]: { A: 1, B: false, C: 'é🐘' } }))[map], { A: '1', B: 'false', C: 'é🐘' })
    for (const { value, expect } of vectors('variable_names')) {
      const { status, text } = await api.call('POST', '/tenants-plans', { body: { id: fresh(), [map]: { [value]: 'x' } } })
      assert.equal(status, expect === null ? 422 : 201, text)
    }
  })
}

test('an id that is taken is 409, in any case', async () => {
  await api.plan({ id: 'Taken', limits: { A: '1' } })
  for (const id of ['Taken', 'tAKEN']) await api.refuse(409, 'conflict', 'POST', '/tenants-plans', { body: { id, limits: { A: '2' } } }, ['/id'])
  assert.deepEqual((await get('taken')).limits, { A: '1' })
})

test('a plan may have the id of a tenant', async () => {
  const { id } = await api.tenant()
  await api.plan({ id })
})

test('a new plan is returned in full, with null for fields that were never set', async () => {
  const from = utc(new Date())
  const id = 'Smallest'
  const { headers, json } = await api.expect(201, 'POST', '/tenants-plans', { body: { id } })
  assert.equal(headers.location, `${CURRENT}/tenants-plans/${id}`)
  assert.match(json.created_at, TIME)
  assert.ok(json.created_at >= from && json.created_at <= utc(new Date()), `${json.created_at} is now, in UTC`)
  assert.deepEqual(json, { id, external_id: null, labels: {}, limits: null, env: null, created_at: json.created_at, updated_at: json.created_at })
  assert.deepEqual(await get('sMALLEST'), json)
})

test('a creation stores null as null and {} as {}', async () => {
  const table = [[{}, [null, null]], [{ limits: null, env: null }, [null, null]], [{ limits: {}, env: {} }, [{}, {}]], [{ limits: {} }, [{}, null]], [{ limits: [], env: [] }, [{}, {}]], [maps, [maps.limits, maps.env]]]
  for (const [fields, expected] of table) {
    const made = await api.plan(fields)
    assert.deepEqual([made.limits, made.env], expected)
    assert.deepEqual(await get(made.id), made)
  }
})

test('a PATCH changes only the fields it names: a map replaces the whole map, null is stored as null, {} as {}', async () => {
  const table = [
    [{ limits: { X: 1 } }, { limits: { X: '1' } }], [{ env: { Y: 'é' } }, { env: { Y: 'é' } }], [{ limits: null }, { limits: null }], [{ env: null }, { env: null }],
    [{ limits: {} }, { limits: {} }], [{ env: {} }, { env: {} }], [{ limits: null, env: {} }, { limits: null, env: {} }],
  ]
  for (const [body, expected] of table) {
    const before = await api.plan(maps)
    await api.expect(204, 'PATCH', `/tenants-plans/${before.id}`, { body })
    const after = await get(before.id)
    assert.deepEqual(after, { ...before, ...expected, updated_at: after.updated_at }, JSON.stringify(body))
  }
})

test('a PATCH with no field, a wrong field or an unknown field is a 422 and changes nothing', async () => {
  const before = await api.plan(maps)
  const where = `/tenants-plans/${before.id}`
  assert.equal((await api.expect(422, 'PATCH', where, { body: {} })).json.code, 'invalid')
  await api.refuse(422, 'invalid', 'PATCH', where, { body: { limits: 1, env: [{}], id: 'other', nope: 1 } }, ['/limits', '/env', '/id', '/nope'])
  await api.refuse(422, 'invalid', 'PATCH', where, { body: { limits: { A: '1' }, env: { a: '1' } } }, ['/env/a'])
  assert.deepEqual(await get(before.id), before)
})

test("a PATCH changes a plan's updated_at, and never its created_at", async () => {
  const { id } = await api.plan(maps)
  const past = '2001-02-03 04:05:06'
  await api.sql('UPDATE tenants_plans SET created_at = ?1, updated_at = ?1 WHERE id = ?2', past, id)
  await api.expect(422, 'PATCH', `/tenants-plans/${id}`, { body: { limits: 1 } })
  assert.equal((await get(id)).updated_at, past)
  await api.expect(204, 'PATCH', `/tenants-plans/${id.toUpperCase()}`, { body: { limits: {} } })
  const after = await get(id)
  assert.ok(after.updated_at > '2026', after.updated_at)
  assert.equal(after.created_at, past)
})

test('after a plan is deleted, its tenants remain, without a plan', async () => {
  const plan = await api.plan({ id: 'Doomed', ...maps })
  const kept = await api.plan()
  const tenants = [await api.tenant({ plan_id: 'Doomed', limits: { A: '1' } }), await api.tenant({ plan_id: 'doomed', env: { B: '2' } })]
  const bystander = await api.tenant({ plan_id: kept.id })
  await api.expect(204, 'DELETE', '/tenants-plans/dOOMED')
  await api.expect(404, 'GET', `/tenants-plans/${plan.id}`)
  await api.expect(404, 'DELETE', `/tenants-plans/${plan.id}`)
  for (const before of tenants) {
    const after = (await api.expect(200, 'GET', `/tenants/${before.id}`)).json
    assert.deepEqual(after, { ...before, plan_id: null, updated_at: after.updated_at })
  }
  assert.deepEqual((await api.expect(200, 'GET', `/tenants/${bystander.id}`)).json, bystander)
  await api.plan({ id: 'Doomed' })
  assert.equal((await api.expect(200, 'GET', `/tenants/${tenants[0].id}`)).json.plan_id, null, 'a new plan with the same id is not assigned to the old tenants')
})
