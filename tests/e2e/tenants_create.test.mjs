// POST /tenants (API.md §5).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CURRENT, NO_STATS, startApi, TIME, utc, vectors } from './harness.mjs'

const ROOT_HOST = 'root.example.com'
const api = await startApi({ vars: { CHEVERETO_INTERNAL_HOSTNAME: ROOT_HOST } })
const create = (fields) => api.call('POST', '/tenants', { body: { ...api.fresh(), ...fields } })
const invalid = (body, pointers) => api.refuse(422, 'invalid', 'POST', '/tenants', { body }, pointers)
const count = async () => (await api.sql('SELECT (SELECT count(*) FROM tenants) AS tenants, (SELECT count(*) FROM audit_log) AS entries'))[0]

test('the 422 names every wrong field, and nothing is written', async () => {
  const before = await count()
  await invalid({}, ['/id', '/hostname', '/is_enabled'])
  await invalid({ id: '', hostname: 'a b', is_enabled: 'yes', plan_id: 1, limits: ['A'], env: 'x', nope: 1 }, ['/id', '/hostname', '/is_enabled', '/plan_id', '/limits', '/env', '/nope'])
  await invalid({ id: null, hostname: null, is_enabled: null }, ['/id', '/hostname', '/is_enabled'])
  await invalid(
    { ...api.fresh(), limits: { a: '1', B: null, C: '1', 'a/b': '1' }, env: { D: {}, E: [], 'm~n': '', '': '' } },
    ['/limits/a', '/limits/B', '/limits/a~1b', '/env/D', '/env/E', '/env/m~0n', '/env/'])
  await invalid({ ...api.fresh(), 'a/b': 1, 'm~n': null, '': 0, ID: 'x', tenant_id: 'x', stats: {}, created_at: '', 'ü': 1 }, ['/a~1b', '/m~0n', '/', '/ID', '/tenant_id', '/stats', '/created_at', '/ü'])
  await invalid({ id: 'a.b', hostname: '10.0.0.1', is_enabled: true, plan_id: 'nobody' }, ['/id', '/hostname'])
  assert.deepEqual(await count(), before)
})

for (const { name, value, expect } of vectors('tenant_ids')) {
  test(`id: ${name} is ${expect === null ? 'a 422' : 'accepted'}`, async () => {
    const answer = await create({ id: value })
    if (expect === null) {
      assert.equal(answer.status, 422, answer.text)
      assert.deepEqual(answer.json.errors.map((e) => e.pointer), ['/id'])
    } else {
      assert.equal(answer.status, 201, answer.text)
      assert.equal(answer.json.id, expect)
      await api.expect(204, 'DELETE', `/tenants/${expect}`)
    }
  })
}

for (const { name, value, expect } of vectors('hostnames')) {
  test(`hostname: ${name} is ${expect === null ? 'a 422' : 'accepted'}`, async () => {
    const answer = await create({ hostname: value })
    if (expect === null) {
      assert.equal(answer.status, 422, answer.text)
      assert.deepEqual(answer.json.errors.map((e) => e.pointer), ['/hostname'])
    } else {
      assert.equal(answer.status, 201, answer.text)
      assert.equal(answer.json.hostname, expect)
      await api.expect(204, 'DELETE', `/tenants/${answer.json.id}`)
    }
  })
}

test('the refusal of a Unicode hostname mentions the xn-- form', async () => {
  const { json } = await invalid({ ...api.fresh(), hostname: 'bücher.example' }, ['/hostname'])
  assert.match(json.errors[0].detail, /xn--/)
})

test("the root's own hostname is refused in lower and upper case", async () => {
  await invalid({ ...api.fresh(), hostname: ROOT_HOST }, ['/hostname'])
  await invalid({ ...api.fresh(), hostname: ROOT_HOST.toUpperCase() }, ['/hostname'])
  assert.equal((await create({ hostname: `sub.${ROOT_HOST}` })).status, 201)
})

test('is_enabled must be a JSON boolean', async () => {
  for (const is_enabled of [1, 0, 'true', '', null, [], {}]) await invalid({ ...api.fresh(), is_enabled }, ['/is_enabled'])
  for (const is_enabled of [true, false]) assert.equal((await create({ is_enabled })).json.is_enabled, is_enabled)
})

for (const map of ['limits', 'env']) {
  for (const { name, value, expect } of vectors('variable_names')) {
    test(`${map}: the name with ${name} is ${expect === null ? 'a 422' : 'accepted'}`, async () => {
      const answer = await create({ [map]: { [value]: 'x' } })
      assert.equal(answer.status, expect === null ? 422 : 201, answer.text)
      if (expect !== null) assert.deepEqual(answer.json[map], { [expect]: 'x' })
      else assert.deepEqual(answer.json.errors.map((e) => e.pointer), [`/${map}/${value.replaceAll('~', '~0').replaceAll('/', '~1')}`])
    })
  }

  test(`${map} must be an object; an empty list counts as one, as PHP sends it`, async () => {
    const { status, json, text } = await create({ [map]: [] })
    assert.equal(status, 201, text)
    assert.deepEqual(json[map], {})
    for (const value of [['A'], [{}], '', 'A=1', 1, true, false]) await invalid({ ...api.fresh(), [map]: value }, [`/${map}`])
  })

  test(`${map}: 256 entries are accepted, and 257 are a 422`, async () => {
    const entries = (n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`V${String(i).padStart(3, '0')}`, String(i)]))
    const { status, json, text } = await create({ [map]: entries(256) })
    assert.equal(status, 201, text)
    assert.deepEqual(json[map], entries(256))
    await invalid({ ...api.fresh(), [map]: entries(257) }, [`/${map}`])
  })

  test(`${map}: a number or boolean is stored as its text; null, an array or an object is a 422`, async () => {
    const { json } = await api.expect(201, 'POST', '/tenants', {
      body: JSON.stringify({ ...api.fresh(), [map]: 0 }).replace(/0}$/, '{"A":2,"B":true,"C":false,"D":-1,"E":1.5,"F":9007199254740993,"G":0,"H":18446744073709551615}}'),
    })
    assert.deepEqual(json[map], { A: '2', B: 'true', C: 'false', D: '-1', E: '1.5', F: '9007199254740993', G: '0', H: '18446744073709551615' })
    await invalid({ ...api.fresh(), [map]: { A: null, B: [], C: {}, D: ['x'] } }, [`/${map}/A`, `/${map}/B`, `/${map}/C`, `/${map}/D`])
  })

  test(`${map} is returned unchanged with any Unicode text, sorted by name`, async () => {
    const value = {
      Z: '', A: 'grüße', B: '世界', C: '🐘👩‍👩‍👧‍👦', D: 'e\u0301 and \u00e9', E: '\u0001\b\t\n\r\u001f\u007f\u0085\u2028\u2029\ufeff\ufffe\uffff', F: '"\\/\'`${x}$1?1', G: '\u{10ffff}', H: ' x ', I: '\u202eabc', J: '<script>&amp;', K: "'; DROP TABLE tenants; --",
    }
    const made = (await create({ [map]: value })).json
    assert.deepEqual(made[map], value)
    assert.deepEqual(Object.keys(made[map]), Object.keys(value).sort())
    assert.deepEqual((await api.expect(200, 'GET', `/tenants/${made.id}`)).json, made)
  })

  test(`${map}: U+0000 in a value is a 422`, async () => {
    await invalid({ ...api.fresh(), [map]: { A: 'a\0b', B: 'ok', C: '\0' } }, [`/${map}/A`, `/${map}/C`])
  })
}

test('an unknown or malformed plan_id is a 422', async () => {
  for (const plan_id of ['nobody', 'a b', 'a'.repeat(65), '_', 1, true, [], {}]) await invalid({ ...api.fresh(), plan_id }, ['/plan_id'])
})

test('the 409 of a taken id or hostname names it, ignoring case, and names both if both are taken', async () => {
  const { id, hostname } = await api.tenant({ id: 'Taken', hostname: 'Taken.example.com' })
  const conflict = (body, pointers) => api.refuse(409, 'conflict', 'POST', '/tenants', { body: { ...api.fresh(), ...body } }, pointers)
  const before = await count()
  await conflict({ id }, ['/id'])
  await conflict({ id: 'tAKEN' }, ['/id'])
  await conflict({ hostname }, ['/hostname'])
  await conflict({ hostname: 'TAKEN.EXAMPLE.COM' }, ['/hostname'])
  await conflict({ id: 'TAKEN', hostname }, ['/id', '/hostname'])
  await api.tenant({ id: 'other', hostname: 'other.example.com' })
  await conflict({ id: 'other', hostname }, ['/id', '/hostname'])
  const { tenants, entries } = await count()
  assert.deepEqual([tenants, entries], [before.tenants + 1, before.entries + 1], 'only the successful creation is stored')
})

test('a creation with only the required fields returns the whole tenant', async () => {
  const from = utc(new Date())
  const { id, hostname } = api.fresh()
  const { headers, json } = await api.expect(201, 'POST', '/tenants', { body: { id, hostname, is_enabled: true } })
  assert.equal(headers.location, `${CURRENT}/tenants/${id}`)
  assert.match(json.created_at, TIME)
  assert.ok(json.created_at >= from && json.created_at <= utc(new Date()), `${json.created_at} is now, in UTC`)
  const { created_at } = json
  assert.deepEqual(json, { id, hostname, is_enabled: true, created_at, updated_at: created_at, plan_id: null, external_id: null, labels: {}, limits: {}, env: {}, stats: NO_STATS, last_job_at: null, cell_id: null, site: { state: 'none', job_id: null }, served: true, holds: {}, suspend_at: null, delete_at: null, deletion_protection: false })
})

test('a creation with every field returns every field', async () => {
  await api.plan({ id: 'Gold_Plan' })
  const { id } = api.fresh()
  const { json } = await api.expect(201, 'POST', '/tenants', {
    body: {
      id, hostname: 'FULL.example.com', is_enabled: false, plan_id: 'gOLD_pLAN', external_id: 'C-7', labels: { tier: 'gold' },
      limits: { CHEVERETO_MAX_USERS: '2' }, env: { CUSTOM_VAR: 'value' },
    },
  })
  const { created_at, updated_at } = json
  assert.deepEqual(json, {
    id, hostname: 'full.example.com', is_enabled: false, created_at, updated_at, plan_id: 'Gold_Plan', external_id: 'C-7', labels: { tier: 'gold' },
    limits: { CHEVERETO_MAX_USERS: '2' }, env: { CUSTOM_VAR: 'value' }, stats: NO_STATS, last_job_at: null, cell_id: null, site: { state: 'none', job_id: null }, served: false, holds: {}, suspend_at: null, delete_at: null, deletion_protection: false,
  })
  assert.deepEqual((await api.expect(200, 'GET', `/tenants/${id}`)).json, json)
})

test('null for plan_id, limits or env, and "" for plan_id, mean that the field is absent', async () => {
  for (const fields of [{ plan_id: null, limits: null, env: null }, { plan_id: '' }, { limits: {}, env: {} }]) {
    const { status, json, text } = await create(fields)
    assert.equal(status, 201, text)
    assert.deepEqual([json.plan_id, json.limits, json.env], [null, {}, {}])
  }
})

test('an id keeps its case', async () => {
  const { json } = await create({ id: 'MixedCase', hostname: 'mixed.example.com' })
  assert.equal(json.id, 'MixedCase')
})
