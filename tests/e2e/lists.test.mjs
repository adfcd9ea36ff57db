// GET /tenants and GET /tenants-plans: the order of the list, pages by `limit` and `after`, and the most filters.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { beforeEach, describe, test } from 'node:test'
import { CURRENT, startApi } from './harness.mjs'

const api = await startApi()
const kinds = {
  '/tenants': { longest: 16, make: (id) => api.tenant({ id, hostname: `h${Buffer.from(id).toString('hex')}.example.com` }) },
  '/tenants-plans': { longest: 64, make: (id) => api.plan({ id }) },
}

for (const [where, { longest, make }] of Object.entries(kinds)) {
  const ids = async (query = '') => (await api.expect(200, 'GET', where + query)).json.map((t) => t.id)
  const next = async (query) => (await api.expect(200, 'GET', where + query)).headers.link

  describe(`GET ${where}`, () => {
    beforeEach(async () => {
      await api.sql('DELETE FROM tenants')
      await api.sql('DELETE FROM tenants_plans')
    })

    test('an invalid limit is a 422', async () => {
      for (const limit of ['', '0', '-1', '10001', '99999999999999999999', '1.5', '1e3', 'all', '0x10', '+1', '1%20']) {
        await api.refuse(422, 'invalid', 'GET', `${where}?limit=${limit}`, {}, ['limit'])
      }
    })

    test('an `after` that is no valid id is a 422, and one response names both wrong parameters', async () => {
      for (const after of ['', '_a', '-a', 'a.b', 'a%20b', '%00', 'a'.repeat(longest + 1), '%C3%A9']) await api.refuse(422, 'invalid', 'GET', `${where}?limit=5&after=${after}`, {}, ['after'])
      await api.refuse(422, 'invalid', 'GET', `${where}?limit=x&after=.`, {}, ['limit', 'after'])
    })

    test('without rows the body is an empty array', async () => {
      const answer = await api.expect(200, 'GET', where)
      assert.equal(answer.text, '[]')
      assert.equal(answer.headers.link, undefined)
      assert.deepEqual(await ids('?limit=10'), [])
      assert.deepEqual(await ids('?limit=10&after=zzz'), [])
    })

    test('the list is sorted by id, ignoring case', async () => {
      for (const id of ['b', 'C', 'a', 'B1', 'a-1', 'A_1', '10', 'aa', '9', 'a0']) await make(id)
      assert.deepEqual(await ids(), ['10', '9', 'a', 'a-1', 'a0', 'A_1', 'aa', 'b', 'B1', 'C'])
    })

    test('the list shows every row in full', async () => {
      const made = [await make('x'), await make('y')]
      assert.deepEqual((await api.expect(200, 'GET', where)).json, made)
    })

    test('without a limit the list has every row and no Link header', async () => {
      const columns = where === '/tenants' ? ['tenants (id, hostname, is_enabled, created_at, updated_at)', "'t' || n, 't' || n || '.example.com', 1"] : ['tenants_plans (id, created_at, updated_at)', "'p' || n"]
      await api.sql(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1500) INSERT INTO ${columns[0]} SELECT ${columns[1]}, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM c`)
      const answer = await api.expect(200, 'GET', where)
      assert.equal(answer.json.length, 1500)
      assert.equal(answer.headers.link, undefined)
      assert.equal((await ids('?limit=10000')).length, 1500)
    })

    test('limit and after select a page, and Link names the next page if there is one', async () => {
      for (const id of ['a', 'B', 'c', 'D', 'e']) await make(id)
      assert.deepEqual(await ids('?limit=2'), ['a', 'B'])
      assert.deepEqual(await ids('?limit=2&after=b'), ['c', 'D'])
      assert.deepEqual(await ids('?after=c'), ['D', 'e'])
      assert.deepEqual(await ids('?after=bb&limit=2'), ['c', 'D'])
      assert.deepEqual(await ids('?after=e'), [])
      assert.equal(await next('?limit=2'), `<${CURRENT}${where}?limit=2&after=B>; rel="next"`)
      assert.equal(await next('?limit=2&after=b'), `<${CURRENT}${where}?limit=2&after=D>; rel="next"`)
      assert.equal(await next('?limit=4'), `<${CURRENT}${where}?limit=4&after=D>; rel="next"`)
      for (const last of ['?limit=5', '?limit=10000', '?limit=2&after=D', '?limit=2&after=c', '?after=a', '?limit=2&after=zz']) assert.equal(await next(last), undefined, last)
    })

    test('a client that follows Link sees every row exactly once', async () => {
      const all = Array.from({ length: 23 }, (_, i) => `${i % 2 ? 'P' : 'p'}${String(i).padStart(2, '0')}`)
      for (const id of all) await make(id)
      const seen = []
      for (let page = `${CURRENT}${where}?limit=5`; page;) {
        const { json, headers } = await api.expect(200, 'GET', page, { base: '' })
        assert.ok(json.length <= 5)
        seen.push(...json.map((t) => t.id))
        page = /^<([^>]+)>; rel="next"$/.exec(headers.link ?? '')?.[1]
      }
      assert.deepEqual(seen, all)
    })
  })
}

// D1 allows 100 parameters of a statement, 5 parts of a compound SELECT, and 50 bytes of a LIKE pattern.
test('all filters together, each as often and as long as the API takes it, are within the limits of D1', async () => {
  const labels = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`l${i}`, String(i)]))
  const hostname = `${'a'.repeat(63)}.${'b'.repeat(63)}.${'c'.repeat(63)}.example.com`
  await api.plan({ id: 'all', labels })
  await api.tenant({ id: 'all', hostname, plan_id: 'all', external_id: 'e', labels })
  const ids = [...Array.from({ length: 99 }, (_, i) => `t${i}`), 'all'].map((id) => `id=${id}`).join('&')
  const had = Object.entries(labels).map(([name, value]) => `label=${name}:${value}`).join('&')
  const since = '2026-01-01%2000:00:00'
  const all = `${ids}&${had}&plan_id=all&is_enabled=true&hostname=${hostname}&external_id=e&created_since=${since}&updated_since=${since}&q=${hostname}`
  for (const query of [ids, had, `q=${hostname}`, all, `${all}&sort=-hostname&after=z,zz&limit=1&count=true&fields=id`]) {
    const { json } = await api.expect(200, 'GET', `/tenants?${query}`)
    assert.deepEqual(json.map(({ id }) => id), ['all'], query)
  }
  assert.deepEqual((await api.expect(200, 'GET', `/tenants-plans?${had}`)).json.map(({ id }) => id), ['all'])
})

describe('a list of several slices', () => {
  const COUNT = 6000
  const request = (path, id) => http.get({ ...new URL(api.url), hostname: new URL(api.url).hostname, port: new URL(api.url).port, path: CURRENT + path, headers: { 'X-API-Key': api.key, 'X-Signature': api.sign(''), 'X-Request-Id': id } })
  const lineOf = async (id) => {
    const lines = await api.linesOf(id)
    assert.equal(lines.length, 1, JSON.stringify(lines))
    return lines[0]
  }

  beforeEach(async () => {
    await api.sql('DELETE FROM tenants')
    await api.sql(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${COUNT}) INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) SELECT 't' || n, 't' || n || '.example.com', n % 2, '2026-01-01 00:00:00', '2026-01-01 00:00:00' FROM c`)
  })

  test('arrives whole, and its request logs one line', async () => {
    const answer = await api.expect(200, 'GET', '/tenants', { headers: { 'X-Request-Id': 'slices-whole' } })
    const expected = Array.from({ length: COUNT }, (_, i) => `t${i + 1}`).sort()
    assert.deepEqual(answer.json.map((t) => t.id), expected)
    assert.equal(answer.headers['transfer-encoding'], 'chunked')
    assert.equal((await lineOf('slices-whole')).status, 200)
    const sorted = await api.expect(200, 'GET', '/tenants?sort=-hostname&count=true')
    assert.deepEqual(sorted.json.map((t) => t.id), expected.toReversed())
    assert.equal(sorted.headers['x-total-count'], String(COUNT))
    const head = await api.expect(200, 'HEAD', '/tenants')
    assert.equal(head.headers['content-type'], 'application/json')
  })

  test('breaks off if a slice fails, and the log says why', async () => {
    await api.sql("UPDATE tenants SET limits = 'x' WHERE id = 't999'")
    await assert.rejects(api.call('GET', '/tenants', { headers: { 'X-Request-Id': 'slices-broken' } }), { code: 'ECONNRESET' })
    const line = await lineOf('slices-broken')
    assert.equal(line.status, 500)
    assert.match(line.cause, /^the list broke off: .*tenants\/t999/)
    await api.expect(200, 'GET', '/tenants?limit=5')
  })

  test('harms no other if its client goes away', async () => {
    for (let i = 0; i < 5; i++) {
      const [response] = await once(request('/tenants', `slices-gone-${i}`), 'response')
      assert.equal(response.statusCode, 200)
      await once(response, 'data')
      response.destroy()
    }
    await api.expect(200, 'GET', '/tenants')
  })
})
