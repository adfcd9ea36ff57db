// A client that repeats each write until it has an answer, through connections that break at random: between the built Worker and its D1, before and
// after the commit, and between the client and the Worker. Every write happens once, with one audit entry, and its answer is the one that it had (API.md §12).
import assert from 'node:assert/strict'
import net from 'node:net'
import { after, test } from 'node:test'
import { CUT_D1 } from './cut_d1.mjs'
import { startApi } from './harness.mjs'

// The calls of D1's own client, which the test breaks off as a header says.
const front = `
    import worker from './shim.mjs'
    ${CUT_D1}
    export default {
      fetch(request, env, ctx) {
        const cuts = request.headers.get('x-test-d1')?.split(',')
        return worker.fetch(request, cuts ? { ...env, DB: cutD1(env, cuts) } : env, ctx)
      },
    }`

/** Passes TCP connections on, and breaks them off as a header of a request says: before the request arrives, or before its response does. */
async function startProxy(to) {
  const { hostname, port } = new URL(to)
  const sockets = new Set()
  const server = net.createServer((client) => {
    const upstream = net.connect(port, hostname)
    let isCut = false
    const end = () => (client.destroy(), upstream.destroy())
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', () => (sockets.delete(socket), end()))
    }
    client.on('data', (chunk) => {
      const text = chunk.toString('latin1').toLowerCase()
      if (text.includes('x-test-client: request')) return end()
      isCut ||= text.includes('x-test-client: response')
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => (isCut ? end() : client.write(chunk)))
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => (sockets.forEach((socket) => socket.destroy()), server.close()))
  return `http://127.0.0.1:${server.address().port}`
}

const vars = { TENANTS_JOB_WAIT_SECONDS: '0' }
const [broken, whole] = await Promise.all([startApi({ front, vars }), startApi({ vars })])
const origin = await startProxy(broken.url)

/** Repeatable numbers below `n`: xorshift32 (Marsaglia 2003). */
let seed = 0x2f6e2b1
const dice = (n) => {
  seed ^= seed << 13
  seed ^= seed >>> 17
  seed ^= seed << 5
  return (seed >>> 0) % n
}

/** The writes of one tenant's life, of its plan's, and now and then of a key's, and of a cell's with its jobs. Each is sent the answer of the one before it. */
function* life(n) {
  yield [201, 'POST', '/tenants-plans', { id: `p${n}`, limits: { A: '1' } }]
  yield [201, 'POST', '/tenants', { id: `T${n}`, hostname: `t${n}.example.com`, is_enabled: true, plan_id: `P${n}`, env: { A: 'x' } }]
  yield [204, 'PATCH', `/tenants/t${n}`, { is_enabled: false, env: { B: 'y' } }]
  yield [204, 'PATCH', `/tenants-plans/p${n}`, { labels: { tier: 'gold' } }]
  yield [204, 'PATCH', `/tenants/t${n}`, { labels: { a: 'b' }, plan_id: null }]
  if (n % 10 === 0) {
    yield [201, 'POST', `/tenants/t${n}/install`, { username: 'admin', email: 'a@b.example', password: 'secret one' }]
    yield [200, 'PATCH', `/tenants/t${n}/user-password-reset`, { username: 'admin' }]
    yield [204, 'DELETE', `/tenants/t${n}`, { drop_tables: true }]
  } else yield [204, 'DELETE', `/tenants/t${n}`]
  yield [204, 'DELETE', `/tenants-plans/p${n}`]
  if (n % 3 === 0) {
    const { json: { id } } = yield [201, 'POST', '/keys', { name: `k${n}`, scopes: ['audit'] }]
    yield [204, 'PATCH', `/keys/${id}`, { name: `K${n}` }]
    yield [200, 'POST', `/keys/${id}/rotate`, { overlap_seconds: 60 }]
    yield [204, 'DELETE', `/keys/${id}`]
  }
  if (n % 4 === 0) {
    yield [201, 'PUT', `/cells/c${n}`, { name: 'new' }]
    yield [200, 'PUT', `/cells/c${n}`, { name: 'changed', accepting: true }]
    yield [201, 'POST', '/tenants', { id: `C${n}`, hostname: `c${n}.example.com`, is_enabled: true, cell_id: `C${n}` }]
    const { json: job } = yield [202, 'POST', `/tenants/c${n}/install`, { username: 'admin', email: 'a@b.example', password: 'secret one' }]
    yield [200, 'POST', `/jobs/${job.id}/cancel`]
    yield [204, 'PATCH', `/tenants/c${n}`, { cell_id: null }]
    yield [204, 'DELETE', `/tenants/c${n}`]
    yield [204, 'DELETE', `/cells/c${n}`]
  }
}

const lastId = async (api) => (await api.sql('SELECT coalesce(max(id), 0) AS id FROM audit_log'))[0].id
const timeless = (value) => JSON.parse(JSON.stringify(value, (name, v) => (/_at$|^password$|^api_key$|^job_id$/.test(name) || (v?.attempts !== undefined) ? undefined : v)) ?? 'null')

/** What both registries can show, apart from what is random, and times. */
async function state(api) {
  const shown = {}
  for (const path of ['/tenants', '/tenants-plans', '/keys', '/cells', '/jobs']) shown[path] = timeless((await api.expect(200, 'GET', path)).json)
  const tables = await api.sql("SELECT name FROM sqlite_master WHERE name LIKE 'chv\\_%' ESCAPE '\\' ORDER BY name")
  const log = await api.sql("SELECT action, iif(action LIKE 'job.%', '', subject) AS subject, changed, request_id FROM audit_log ORDER BY id")
  return { shown, tables, log }
}

test('a thousand writes through connections that break at random happen once each, and have the answer that they had', async () => {
  const counts = { writes: 0, requests: 0, lost: 0, unavailable: 0, replayed: 0 }
  for (let n = 0; counts.writes < 1000; n++) {
    const [ofBroken, ofWhole] = [life(n), life(n)]
    let [heard, told] = [undefined, undefined]
    for (;;) {
      const { value: write, done } = ofBroken.next(heard)
      const { value: sameWrite } = ofWhole.next(told)
      if (done) break
      const [status, method, where, body] = write
      const name = `w${counts.writes++}`
      const headers = { 'Idempotency-Key': name, 'X-Request-Id': name }
      told = await whole.expect(...sameWrite.slice(0, 3), { body, headers })
      const before = await lastId(broken)
      heard = undefined
      for (;;) {
        const cuts = Array.from({ length: 8 }, () => ['before', 'after', 'whole', 'whole'][dice(4)])
        const client = ['request', 'response', 'whole', 'whole'][dice(4)]
        counts.requests++
        let got
        try {
          got = await broken.call(method, where, { body, origin, headers: { ...headers, 'X-Test-D1': cuts.join(), 'X-Test-Client': client } })
        } catch (error) {
          assert.notEqual(client, 'whole', error)
          counts.lost++
          continue
        }
        if (got.status >= 500) {
          assert.ok(cuts.some((cut) => cut !== 'whole'), got.text)
          counts.unavailable++
          continue
        }
        assert.equal(got.status, status, `${method} ${where}: ${got.text}`)
        assert.deepEqual(timeless(got.json), timeless(told.json))
        if (status === 201) assert.equal(got.headers.location, told.headers.location)
        assert.equal(got.headers.etag?.replace(/^"[^.]*/, ''), told.headers.etag?.replace(/^"[^.]*/, ''))
        if (got.headers['idempotency-replayed']) counts.replayed++
        // Now and then the client asks again, and hears the same.
        if (heard) assert.deepEqual([got.text, got.headers.etag], [heard.text, heard.headers.etag])
        if (heard || dice(4) > 0) {
          heard = got
          break
        }
        heard = got
      }
      assert.equal(await lastId(broken), before + 1, `${method} ${where}: one entry`)
    }
  }
  assert.deepEqual(await state(broken), await state(whole))
  console.log(JSON.stringify(counts))
  assert.ok(counts.lost > 200 && counts.unavailable > 100 && counts.replayed > 100, JSON.stringify(counts))
})

test('two requests at once with one key: one writes, and both have its answer', async () => {
  for (let n = 0; n < 50; n++) {
    const before = await lastId(broken)
    const body = { id: `both${n}`, hostname: `both${n}.example.com`, is_enabled: true }
    const both = await Promise.all([1, 2].map(() => broken.expect(201, 'POST', '/tenants', { body, headers: { 'Idempotency-Key': `both-${n}` } })))
    assert.equal(both[0].text, both[1].text)
    assert.deepEqual(both.map(({ headers }) => headers['idempotency-replayed'] ?? '').sort(), ['', 'true'])
    assert.equal(await lastId(broken), before + 1)
  }
})

test('keys that are created at once get ids of their own', async () => {
  const made = await Promise.all(Array.from({ length: 8 }, (_, i) => broken.expect(201, 'POST', '/keys', { body: { name: `k${i}`, scopes: ['audit'] } })))
  assert.equal(new Set(made.map(({ json }) => json.id)).size, made.length)
  for (const { json } of made) await broken.expect(200, 'POST', '/auth/verify', { key: json.api_key })
})
