// A database for each tenant's site (API.md §8): the built Worker with D1 and real Durable Objects in workerd.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { CUT_D1 } from './cut_d1.mjs'
import { startApi } from './harness.mjs'

// Runs statements on a site for the test, and breaks off the calls of sites as a header says.
const front = `
    import worker from './shim.mjs'
    export { TenantDatabase } from './shim.mjs'
    ${CUT_D1}
    export default {
      async fetch(request, env, ctx) {
        const id = request.headers.get('x-test-site')
        const site = (name) => env.SITES.get(env.SITES.idFromName(name))
        if (id) return site(id).fetch('https://site', { method: 'POST', body: await request.text() })
        // The wasm's own check of what it is handed panics at this method.
        if (request.headers.has('x-test-panic')) return worker.fetch({ method: 'GET\\nHEAD', url: request.url, headers: request.headers }, env, ctx)
        const cuts = request.headers.get('x-test-cuts')?.split(',')
        if (!cuts) return worker.fetch(request, env, ctx)
        const SITES = {
          idFromName: (name) => name,
          get: (name) => ({
            async fetch(...args) {
              const cut = cuts.shift()
              if (cut === 'before') lost()
              const response = await site(name).fetch(...args)
              if (cut === 'after') await response.text().then(lost)
              return response
            },
          }),
        }
        // The calls of D1's own client, too.
        const DB = cutD1(env, request.headers.get('x-test-d1')?.split(',') ?? [])
        return worker.fetch(request, { ...env, SITES, DB }, ctx)
      },
      scheduled: worker.scheduled,
    }`

const vars = { CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'database', TENANTS_STATS_MIN_AGE: '0' }
const api = await startApi({ vars, front, sites: true })
const admin = { username: 'Admin_1', email: 'admin@example.com', password: 'a password' }
const TABLES = ['albums', 'categories', 'connections', 'files', 'jobs', 'likes', 'login_providers', 'pages', 'settings', 'storages', 'tagged', 'tags', 'users'].map((name) => `chv_${name}`)

/** Runs one statement on a site, and returns its rows, or the response of one that failed. */
async function site(id, sql, ...params) {
  const response = await fetch(api.url, { method: 'POST', headers: { 'x-test-site': id }, body: [sql, JSON.stringify(params), ''].join('\n') })
  const text = await response.text()
  return response.ok ? JSON.parse(text) : { status: response.status, text }
}
const tables = async (id) => (await site(id, "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'chv%' ORDER BY name")).flat()
const users = (id) => site(id, 'SELECT username, password_hash FROM chv_users')
const rows = () => api.sql('SELECT * FROM site_databases WHERE state IN (1, 2)')
const install = (id, options) => ['POST', `/tenants/${id}/install`, { body: admin, ...options }]

/** Lets the cron trigger find what was cut off. */
async function later() {
  for (const { tenant_id: id } of await rows()) {
    await api.sql('UPDATE site_databases SET number = number - 1000 WHERE tenant_id = ?', id)
    await site(id, 'UPDATE site_mark SET number = number - 1000')
  }
  return api.cron()
}

test('install, reset, count and drop a site', async () => {
  const { id } = await api.tenant({ id: 'Ab-c_1', hostname: 'ab-c-1.example.com' })
  assert.deepEqual(await tables('ab-c_1'), [])
  const { json } = await api.expect(201, ...install('aB-C_1'))
  assert.deepEqual(json, { id, username: 'Admin_1', email: 'admin@example.com' })
  assert.deepEqual(await tables('ab-c_1'), TABLES)
  assert.deepEqual(await api.sql("SELECT name FROM sqlite_master WHERE name LIKE 'chv%'"), [], 'the registry has none')
  await api.refuse(409, 'conflict', ...install(id))
  assert.equal((await api.expect(200, 'GET', `/tenants/${id}`)).json.site.state, 'installed')

  const [[, before]] = await users('ab-c_1')
  const reset = await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin_1' } })
  assert.deepEqual([reset.json.username, reset.json.password.length], ['Admin_1', 20])
  assert.notEqual((await users('ab-c_1'))[0][1], before)
  await api.refuse(404, 'not_found', 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'nobody' } })
  await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset?validate_only=true`, { body: { username: 'admin_1' } })

  await site('ab-c_1', 'INSERT INTO chv_tags (name) VALUES (?1), (?2)', 'one', 'grüße 🐘')
  const line = await api.cron()
  assert.deepEqual([line.counted, line.failed], [1, 0])
  assert.equal((await api.expect(200, 'GET', `/tenants/${id}`)).json.stats.tags, 2)

  await api.expect(204, 'DELETE', `/tenants/${id}`)
  assert.equal((await api.expect(201, 'POST', '/tenants', { body: { id, hostname: 'b.example.com', is_enabled: true } })).json.site.adopted, true)
  await api.expect(204, 'DELETE', `/tenants/${id}`, { body: { drop_tables: true } })
  assert.deepEqual(await tables('ab-c_1'), [])
  await api.tenant({ id, hostname: 'ab-c-1.example.com' })
  await api.expect(201, ...install(id))
  assert.deepEqual(await rows(), [])
})

test('a statement that fails changes nothing of its batch, and the caller of the object has the message', async () => {
  await api.tenant({ id: 'whole', hostname: 'whole.example.com' })
  await api.expect(201, ...install('whole'))
  const body = [['DELETE FROM chv_users', '[]', ''], ['SELECT * FROM missing', '[]', '']].map((lines) => lines.join('\n')).join('\n')
  const response = await fetch(api.url, { method: 'POST', headers: { 'x-test-site': 'whole' }, body })
  assert.equal(response.status, 500)
  assert.match(await response.text(), /no such table: missing/)
  assert.equal((await users('whole')).length, 1)
})

test('a site is served by a wasm that has started anew', async () => {
  const { id } = await api.tenant()
  await api.expect(201, ...install(id))
  for (let n = 0; n < 3; n++) {
    await api.refuse(500, 'internal', 'GET', '/tenants', { headers: { 'X-Test-Panic': '1' } })
    await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin_1' } })
  }
})

test('two sites know nothing of each other', async () => {
  for (const id of ['one', 'one_b']) {
    await api.tenant({ id, hostname: `${id.replace('_', '-')}.example.com` })
    await api.expect(201, ...install(id))
  }
  await api.expect(204, 'DELETE', '/tenants/one', { body: { drop_tables: true } })
  assert.deepEqual(await tables('one'), [])
  assert.equal((await users('one_b')).length, 1)
})

test('a call of a site that breaks off once is made again, and the caller sees nothing of it', async () => {
  for (const cut of ['before', 'after']) {
    const { id } = await api.tenant()
    const headers = { 'X-Test-Cuts': cut }
    await api.expect(201, ...install(id, { headers }))
    await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin_1' }, headers })
    assert.equal((await users(id)).length, 1)
    // A drop is left to the cron trigger, which has the id free again.
    const { headers: answered } = await api.expect(204, 'DELETE', `/tenants/${id}`, { body: { drop_tables: true }, headers })
    const [line] = await api.linesOf(answered['x-request-id'])
    assert.match(line.cause, /the cron trigger will drop the site: .*Network connection lost/)
    await api.refuse(409, 'site_exists', 'POST', '/tenants', { body: { ...api.fresh(), id } }, ['/id'])
    const ran = await later()
    assert.equal(ran.failed, 0)
    assert.deepEqual([await tables(id), await rows()], [[], []])
    await api.tenant({ id })
  }
})

test('a call of a site that breaks off twice is a 503, and the same request again completes it', async () => {
  for (const cut of ['before,before', 'after,before', 'after,after']) {
    const { id } = await api.tenant()
    const headers = { 'X-Test-Cuts': cut, 'Idempotency-Key': `k-${cut}` }
    await api.refuse(503, 'unavailable', ...install(id, { headers }))
    assert.equal((await api.expect(200, 'GET', `/tenants/${id}`)).json.site.state, 'installing')
    const again = { headers: { 'Idempotency-Key': `k-${cut}` } }
    await api.expect(201, ...install(id, again))
    const { headers: replayed } = await api.expect(201, ...install(id, again))
    assert.equal(replayed['idempotency-replayed'], 'true')
    assert.equal((await users(id)).length, 1)
    assert.equal((await api.sql('SELECT count(*) AS n FROM audit_log WHERE action = ? AND subject = ?', 'tenant.install', id))[0].n, 1)
  }
})

test('writes through calls that break off at random, of D1 and of the site, happen once each', async () => {
  /** Repeatable numbers below `n`: xorshift32 (Marsaglia 2003). */
  let seed = 0x2f6e2b1
  const dice = (n) => {
    seed ^= seed << 13
    seed ^= seed >>> 17
    seed ^= seed << 5
    return (seed >>> 0) % n
  }
  let unavailable = 0
  /** Sends a request until it has an answer. */
  const until = async (status, key, method, where, body) => {
    for (;;) {
      const cuts = () => Array.from({ length: 6 }, () => ['before', 'after', 'whole', 'whole'][dice(4)]).join()
      const answer = await api.call(method, where, { body, headers: { 'Idempotency-Key': key, 'X-Test-Cuts': cuts(), 'X-Test-D1': cuts() } })
      if (answer.status !== 503) {
        assert.equal(answer.status, status, `${method} ${where}: ${answer.text}`)
        return answer
      }
      unavailable++
    }
  }
  for (let n = 0; n < 20; n++) {
    const { id } = await api.tenant()
    const log = async () => (await api.sql('SELECT action FROM audit_log WHERE subject = ? ORDER BY id', id)).map(({ action }) => action)
    await until(201, `install-${n}`, 'POST', `/tenants/${id}/install`, admin)
    assert.equal((await users(id)).length, 1)
    const reset = await until(200, `reset-${n}`, 'PATCH', `/tenants/${id}/user-password-reset`, { username: 'admin_1' })
    // The same request again hears the same, and the password that it heard is in force: its own site has it.
    const [[, hash]] = await users(id)
    const again = await until(200, `reset-${n}`, 'PATCH', `/tenants/${id}/user-password-reset`, { username: 'admin_1' })
    assert.deepEqual([again.text, (await users(id))[0][1]], [reset.text, hash])
    assert.deepEqual(await log(), ['tenant.create', 'tenant.install', 'tenant.user_password_reset'])
    await until(204, `delete-${n}`, 'DELETE', `/tenants/${id}`, { drop_tables: true })
    assert.deepEqual((await log()).at(-1), 'tenant.delete')
    await later()
    assert.deepEqual([await tables(id), await rows()], [[], []])
  }
  assert.ok(unavailable > 5, `${unavailable} answers were a 503`)
})

test('an installation that nobody completes is undone by the cron trigger', async () => {
  const { id } = await api.tenant()
  await api.refuse(503, 'unavailable', ...install(id, { headers: { 'X-Test-Cuts': 'after,after' } }))
  assert.deepEqual(await tables(id), TABLES)
  await later()
  assert.deepEqual([await tables(id), await rows()], [[], []])
  assert.equal((await api.expect(200, 'GET', `/tenants/${id}`)).json.site.state, 'none')
  await api.expect(201, ...install(id))
})

test('of two concurrent installs one gets a 201, and there is one administrator', async () => {
  for (let n = 0; n < 5; n++) {
    const { id } = await api.tenant()
    const answers = await Promise.all(['first', 'second'].map((username) => api.call('POST', `/tenants/${id}/install`, { body: { ...admin, username } })))
    const statuses = answers.map((a) => a.status).sort()
    assert.ok(statuses[0] === 201 && [409, 503].includes(statuses[1]), statuses.join())
    assert.deepEqual((await users(id)).map(([username]) => username), [answers.find((a) => a.status === 201).json.username])
  }
})

test('without databases of sites the mode is refused', async () => {
  const without = await startApi({ vars, sites: false })
  after(() => without.stop())
  const { headers } = await without.refuse(503, 'not_configured', 'GET', '/tenants')
  const [line] = await without.linesOf(headers['x-request-id'])
  assert.match(line.cause, /CHEVERETO_TENANTS_DB_ISOLATION_MODE: `database` is not served by this host/)
})
