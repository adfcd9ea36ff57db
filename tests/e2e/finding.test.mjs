// The filters and orders of GET /tenants among 100,000 tenants in D1: what they answer, and how many rows D1 says that it read.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { startApi } from './harness.mjs'
import { COUNTING } from './rows_read.mjs'

const TENANTS = 100_000

const api = await startApi({ front: COUNTING })

before(async () => {
  await api.sql(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10)
    INSERT INTO tenants_plans (id, created_at, updated_at) SELECT 'plan' || n, '', '' FROM c`)
  // The env of every tenant cannot be decrypted.
  await api.sql(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?)
    INSERT INTO tenants (id, hostname, is_enabled, plan_id, external_id, labels, env, created_at, updated_at)
    SELECT 't' || n, 'h' || n || '.example.com', n % 2, 'plan' || (n % 10 + 1), 'e-' || n,
      json_object('tier', 'x' || (n % 1000), 'rare', iif(n = 50000, 'yes', 'no')), '1.00000000.broken',
      datetime(1700000000 + n, 'unixepoch'), datetime(1700000000 + 2 * n, 'unixepoch') FROM c`, TENANTS)
})

const time = (n) => encodeURIComponent(new Date((1_700_000_000 + n) * 1000).toISOString().slice(0, 19).replace('T', ' '))

/** Asks for the ids of a list. `fields` leaves out env, which no tenant here could show. */
async function found(query) {
  const { json, headers } = await api.expect(200, 'GET', `/tenants?fields=id&${query}`)
  return { ids: json.map((t) => t.id), read: Number(headers['x-test-rows-read']), total: headers['x-total-count'] }
}

test('each filter and each order reads about as many rows as it answers', async () => {
  for (const [query, shown] of [
    ['id=t7&id=T99999&id=none', 2],
    ['external_id=e-50000', 1],
    ['hostname=h50000.example.com', 1],
    ['label=rare:yes', 1],
    ['label=tier:x7&limit=10', 10],
    ['label=tier:x7&limit=10&after=t5', 10],
    ['q=t5000', 11],
    ['q=H5000', 11],
    ['plan_id=plan3&limit=10', 10],
    ['plan_id=plan3&limit=10&after=t5', 10],
    ['plan_id=&limit=10', 0],
    ['is_enabled=false&limit=10', 10],
    ['is_enabled=false&limit=10&after=t5', 10],
    [`created_since=${time(99_995)}&limit=10`, 6],
    [`updated_since=${time(199_990)}&limit=10`, 6],
    [`updated_since=${time(1000)}&sort=updated_at&limit=10`, 10],
    ['sort=-updated_at&limit=10', 10],
    ['sort=created_at&limit=10', 10],
    [`sort=-created_at&limit=10&after=${time(50_000)},t50000`, 10],
    ['sort=hostname&limit=10&after=h5,t5', 10],
    ['external_id=e-7&label=tier:x7&is_enabled=true&plan_id=plan8&q=t', 1],
    ['limit=10', 10],
  ]) {
    const { ids, read } = await found(query)
    assert.equal(ids.length, shown, query)
    assert.ok(read > 0 && read < 100, `${query}: ${read} rows read`)
  }
})

test('a count reads the rows that it counts, and is right', async () => {
  for (const [query, total] of [['limit=1', TENANTS], ['limit=1&plan_id=plan3', TENANTS / 10], ['limit=1&label=tier:x7&is_enabled=true', 100], ['limit=1&after=t99&q=t9', 11_111]]) {
    const { read, total: counted } = await found(`count=true&${query}`)
    assert.equal(Number(counted), total, query)
    // A walk through all tenants shows, so the test above measures what it says.
    assert.ok(read >= total && read < 6 * total + 300, `${query}: ${read} rows read`)
  }
})

test('without env no tenant is decrypted, and with it one that cannot be fails the list', async () => {
  assert.deepEqual((await found('id=t7')).ids, ['t7'])
  const answer = await api.call('GET', '/tenants?id=t7')
  assert.equal(answer.status, 500, answer.text)
})
