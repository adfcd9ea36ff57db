// `tenants database:move` (API.md §19): from tables in D1 to a Durable Object and back, with the built Worker, which is killed in the middle.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { expectTenants } from './cli.mjs'
import { freshSecrets, ROOT, startApi } from './harness.mjs'

// wrangler stores the state of `--persist-to DIR` in DIR/v3; Miniflare stores it in the given folder itself.
const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const persist = path.join(folder, 'v3')
const secrets = freshSecrets()
const apart = { ...secrets, CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'database' }
const ID = 'Mover'
const FILES = 40_000
const TABLES = ['albums', 'categories', 'connections', 'files', 'jobs', 'likes', 'login_providers', 'pages', 'settings', 'storages', 'tagged', 'tags', 'users']

// Runs statements on a site for the test.
const front = `
    import worker from './shim.mjs'
    export { TenantDatabase } from './shim.mjs'
    export default {
      async fetch(request, env, ctx) {
        const id = request.headers.get('x-test-site')
        if (!id) return worker.fetch(request, env, ctx)
        return env.SITES.get(env.SITES.idFromName(id)).fetch('https://site', { method: 'POST', body: await request.text() })
      },
      scheduled: worker.scheduled,
    }`
const start = (vars, schema = false) => startApi({ persist, vars, schema, ...(vars === apart && { front, sites: true }) })

async function inSite(api, sql) {
  const response = await fetch(api.url, { method: 'POST', headers: { 'x-test-site': 'mover' }, body: [sql, '[]', ''].join('\n') })
  assert.equal(response.status, 200, await response.clone().text())
  return response.json()
}

const columnsOf = { files: 'id, name, size_bytes, created_at', users: 'id, username, password_hash', tags: 'id, name' }
async function digest(read, start) {
  const found = {}
  for (const table of TABLES) found[table] = await read(`SELECT count(*) AS n FROM "${start}${table}"`)
  for (const [table, columns] of Object.entries(columnsOf)) {
    // Sums of products say whether a row was lost, doubled or changed, and fit into one value.
    found[`${table}'s rows`] = await read(`SELECT sum(id * id) AS ids, sum(length(json_array(${columns}))) AS length, max(json_array(${columns})) AS last FROM "${start}${table}"`)
  }
  return found
}
const inTables = (api) => digest(async (sql) => Object.values((await api.sql(sql))[0]), 'chv_mover_')
const inDatabase = (api) => digest(async (sql) => (await inSite(api, sql))[0], 'chv_')
const state = async (api) => (await api.sql('SELECT max(state) AS state FROM site_databases'))[0].state
const own = async (api) => (await api.sql("SELECT count(*) AS n FROM sqlite_master WHERE name LIKE 'chv_mover%'"))[0].n

const move = (...more) => expectTenants(0, ['database:move', '--id', ID, '--persist-to', folder, ...more], { vars: { CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'database' } })

/** Lets a Worker run its cron trigger, and kills it and its workerd after some time. */
async function killed(ms) {
  const child = spawn(process.execPath, [path.join(ROOT, 'tests', 'e2e', 'site_moves.mjs'), persist, JSON.stringify(apart)], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const isReady = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)])
  assert.ok(isReady, 'the Worker does not start')
  await sleep(ms)
  process.kill(-child.pid, 'SIGKILL')
  await ended
}

/** Runs the cron trigger until a site has a state. */
async function until(api, wanted) {
  for (let runs = 0; (await state(api)) !== wanted; runs++) {
    assert.ok(runs < 30, `the move has no end: ${await state(api)}`)
    const line = await api.cron()
    assert.equal(line.failed, 0, JSON.stringify(line))
  }
}

test('a site moves into a database of its own and back, whatever kills the Worker meanwhile', async (t) => {
  const first = await start(secrets, true)
  await first.tenant({ id: ID })
  await first.expect(201, 'POST', `/tenants/${ID}/install`, { body: { username: 'admin', email: 'admin@example.com', password: 'a password' } })
  await first.sql(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${FILES})
    INSERT INTO chv_mover_files (id, name, media_type, size_bytes, created_at) SELECT i * 3, 'grüße-' || i || '.png', 'image/png', i, '2026-01-01 00:00:00' FROM n`)
  await first.sql("INSERT INTO chv_mover_tags (name) VALUES ('a \"quoted\" one'), ('b')")
  const before = await inTables(first)
  assert.deepEqual(before.files, [FILES])
  await first.stop()

  assert.match((await move()).output, /^the cron trigger moves the site of tenant `Mover` into a database of its own\n$/)
  for (const ms of [20, 150, 400]) await killed(ms)
  const apartApi = await start(apart)
  if ((await state(apartApi)) === 4) {
    assert.deepEqual(await inTables(apartApi), before, 'the tables are in force')
    const key = await apartApi.makeKey()
    const refused = await apartApi.refuse(503, 'unavailable', 'PATCH', `/tenants/${ID}/user-password-reset`, { body: { username: 'admin' }, key: key.key })
    assert.ok(refused.headers['retry-after'])
  } else t.diagnostic('the move was over before the last kill')
  await until(apartApi, 3)
  assert.deepEqual(await inDatabase(apartApi), before)
  assert.equal(await own(apartApi), 0)
  await apartApi.stop()
  assert.match((await move()).output, /is in a database of its own/)

  assert.deepEqual(JSON.parse((await move('--to', 'tables', '--format', 'json')).output), { tenant: ID, place: 'to_tables' })
  for (const ms of [20, 150, 400]) await killed(ms)
  const back = await start(apart)
  if ((await state(back)) === 5) assert.deepEqual(await inDatabase(back), before, 'the database is in force')
  await until(back, 0)
  assert.deepEqual(await inTables(back), before)
  assert.deepEqual(await inSite(back, "SELECT name FROM sqlite_master WHERE name LIKE 'chv%'"), [])
  const { key } = await back.makeKey()
  await back.expect(200, 'PATCH', `/tenants/${ID}/user-password-reset`, { body: { username: 'admin' }, key })
  await back.stop()
  assert.match((await move('--to', 'tables')).output, /is in tables of the registry/)

  // In the other mode it works as ever.
  const last = await start(secrets)
  const { key: lastKey } = await last.makeKey()
  await last.expect(200, 'PATCH', `/tenants/${ID}/user-password-reset`, { body: { username: 'admin' }, key: lastKey })
})

test('a site does not move if sites have no databases in this configuration', async () => {
  const { errors } = await expectTenants(4, ['database:move', '--id', ID, '--persist-to', folder])
  assert.match(errors, /CHEVERETO_TENANTS_DB_ISOLATION_MODE/)
})
