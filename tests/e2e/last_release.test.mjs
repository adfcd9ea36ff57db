// Migrations expand, then contract (CONTRIBUTING.md, "Add a migration"). The Worker of the last release works on the current schema, as it
// must between a migration and the upload, and after a rollback. tests/e2e/last_release/ has that Worker.
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { freshSecrets, LEGACY, migrations, NO_STATS, record, ROOT, startApi, statements, TIME } from './harness.mjs'
import { schemaOfTexts } from './schema.mjs'

const folder = path.join(ROOT, 'tests/e2e/last_release')
const release = JSON.parse(readFileSync(path.join(folder, 'release.json'), 'utf8'))
const modules = Object.fromEntries(readdirSync(folder).filter((name) => name.endsWith('.gz')).map((file) => {
  const name = path.basename(file, '.gz')
  const contents = gunzipSync(readFileSync(path.join(folder, file)))
  return [name, name.endsWith('.wasm') ? { type: 'wasm', contents: new Uint8Array(contents) } : { type: 'esm', contents: contents.toString() }]
}))
/** The Worker of the last release, as an option of `startApi`. */
const LAST = { worker: { manifest: { mainModule: 'worker.js', modules }, compatibilityDate: release.compatibility_date } }

const newer = migrations().filter((file) => !release.migrations.includes(path.basename(file)))
const noneNewer = newer.length === 0 && 'there is no migration since the last release'
const releasedSchema = [...statements(path.join(folder, 'schema.sql')), ...record(release.migrations)]

/** Applies the migrations that the last release does not have. */
async function migrate(api) {
  for (const file of newer) {
    for (const statement of statements(file)) await api.sql(statement)
    await api.sql('INSERT INTO d1_migrations (name) VALUES (?)', path.basename(file))
  }
}

const pair = generateKeyPairSync('ed25519')
const vars = {
  ...freshSecrets(),
  CHEVERETO_TENANTS_PUBLIC_KEY: pair.publicKey.export({ type: 'spki', format: 'pem' }),
  TENANTS_DEVELOPMENT: 'true',
  TENANTS_STATS_MIN_AGE: '0',
  // Hashes passwords faster.
  TENANTS_PASSWORD_MEMORY_KIB: '7168',
  TENANTS_PASSWORD_PASSES: '5',
}
const admin = { username: 'Admin_1', email: 'admin@example.com', password: 'mypassword' }
const health = (api, status) => api.expect(status, 'GET', '/_/health', { base: '', key: null, signature: null })
const traefik = (api, headers) => api.call('GET', '/config/traefik', { key: null, signature: null, headers: { 'CF-Connecting-IP': '127.0.0.1', ...headers } })
/** A tenant without the members that the last release does not show. None of these tenants has a cell or a hold. */
const released = ({ cell_id: cell = null, site, served, holds = {}, suspend_at: suspended = null, delete_at: deleted = null, deletion_protection: isProtected = false, ...tenant }) => {
  assert.equal(cell, null)
  assert.deepEqual([holds, suspended, deleted, isProtected], [{}, null, null, false])
  assert.equal(served ?? tenant.is_enabled, tenant.is_enabled)
  return tenant
}
const get = async (api, where) => {
  const { json } = await api.expect(200, 'GET', where)
  if (!/^\/tenants(?:[/?]|$)/.test(where) || where.includes('/settings')) return json
  return Array.isArray(json) ? json.map(released) : released(json)
}
const sites = async (api) => (await api.sql("SELECT substr(name, 5, length(name) - 10) AS id FROM sqlite_master WHERE type = 'table' AND name LIKE 'chv\\_%\\_users' ESCAPE '\\' ORDER BY id")).map(({ id }) => id)

/** Everything that a caller can read. */
async function readAll(api) {
  const { status, json } = await traefik(api)
  assert.equal(status, 200)
  return { tenants: await get(api, '/tenants'), plans: await get(api, '/tenants-plans'), traefik: json }
}

/** The members that the last release's tenants and plans lack, with the values of a row that it wrote. */
const ADDED = {}
const inLists = (all, change) => ({ ...all, tenants: all.tenants.map((one) => change(one, 'tenants')), plans: all.plans.map((one) => change(one, 'plans')) })
/** What the last release shows of what the new Worker shows. */
const withoutAdded = (all) => inLists(all, (one) => Object.fromEntries(Object.entries(one).filter(([name]) => !(name in ADDED))))
/** What the new Worker shows of what the last release shows. Rows of `earlier`, which the new Worker showed, keep their members. */
const withAdded = (all, earlier = { tenants: [], plans: [] }) => inLists(all, (one, list) => {
  const shown = earlier[list].find(({ id }) => id === one.id) ?? ADDED
  return { ...one, ...Object.fromEntries(Object.keys(ADDED).map((name) => [name, shown[name]])) }
})

/** Every row of the service itself. */
const rows = async (api) => Promise.all(['tenants', 'tenants_plans', 'audit_log', 'api_keys'].map((table) => api.sql(`SELECT * FROM ${table} ORDER BY id`)))

/** Sends a request to every route, and checks each response, the rows and the audit log. `at` begins every id. Leaves some rows for another Worker to read. `added` is what the Worker's tenants and plans have besides those of the last release. */
async function useEveryRoute(api, at, added = {}) {
  const host = (id) => `${id}.example.com`
  const [plan, gone, full, bare, dropped, old] = ['plan', 'gone', 'full', 'bare', 'drop', 'old'].map((name) => `${at}-${name}`)
  const [last] = await api.sql('SELECT coalesce(max(id), 0) AS id FROM audit_log')
  const limits = { CHEVERETO_MAX_USERS: '2' }
  const env = { GREETING: 'grüße 🐘' }
  const NOWHERE = '/tenants/nobody'

  assert.equal((await api.expect(200, 'POST', '/auth/verify')).json.valid, true)
  await api.refuse(401, 'unauthorized', 'POST', '/auth/verify', { key: null })

  // Plans.
  const made = (await api.expect(201, 'POST', '/tenants-plans', { body: { id: plan, limits, env } })).json
  assert.deepEqual(made, { id: plan, external_id: null, labels: {}, ...added, limits, env, created_at: made.created_at, updated_at: made.created_at })
  await api.refuse(409, 'conflict', 'POST', '/tenants-plans', { body: { id: plan.toUpperCase() } }, ['/id'])
  await api.plan({ id: gone })
  await api.expect(204, 'PATCH', `/tenants-plans/${plan}`, { body: { limits: null } })
  assert.deepEqual([(await get(api, `/tenants-plans/${plan}`)).limits, (await get(api, `/tenants-plans/${plan}`)).env], [null, env])
  await api.refuse(404, 'not_found', 'PATCH', '/tenants-plans/nobody', { body: { limits: null } })

  // Tenants.
  const first = released((await api.expect(201, 'POST', '/tenants', { body: { id: full, hostname: host(full), is_enabled: true, plan_id: gone, limits, env } })).json)
  assert.deepEqual(first, { id: full, hostname: host(full), is_enabled: true, created_at: first.created_at, updated_at: first.created_at, plan_id: gone, external_id: null, labels: {}, ...added, limits, env, stats: NO_STATS, last_job_at: null })
  assert.deepEqual(await get(api, `/tenants/${full.toUpperCase()}`), first)
  await api.refuse(409, 'conflict', 'POST', '/tenants', { body: { id: full, hostname: host(full), is_enabled: true } }, ['/id', '/hostname'])
  await api.refuse(422, 'invalid', 'POST', '/tenants', { body: { ...api.fresh(), plan_id: 'nobody' } }, ['/plan_id'])
  await api.tenant({ id: bare, hostname: host(bare), is_enabled: false })
  await api.expect(204, 'PATCH', `/tenants/${full}`, { body: { hostname: `new-${host(full)}`, env: { A: '1' } } })
  await api.refuse(409, 'conflict', 'PATCH', `/tenants/${full}`, { body: { hostname: host(bare) } }, ['/hostname'])
  await api.refuse(404, 'not_found', 'PATCH', NOWHERE, { body: { is_enabled: true } })
  await api.expect(204, 'DELETE', `/tenants-plans/${gone}`)
  const edited = await get(api, `/tenants/${full}`)
  assert.deepEqual(edited, { ...first, hostname: `new-${host(full)}`, env: { A: '1' }, plan_id: null, updated_at: edited.updated_at })
  assert.match(edited.updated_at, TIME)
  await api.expect(204, 'PATCH', `/tenants/${full}`, { body: { plan_id: plan } })
  assert.deepEqual((await get(api, `/tenants?limit=1&after=${at}-f`)).map(({ id, plan_id }) => [id, plan_id]), [[full, plan]])

  // Tenants' own tables.
  assert.deepEqual((await api.expect(201, 'POST', `/tenants/${full}/install`, { body: admin })).json, { id: full, username: admin.username, email: admin.email })
  await api.refuse(409, 'conflict', 'POST', `/tenants/${full}/install`, { body: admin })
  await api.refuse(404, 'not_found', 'POST', `${NOWHERE}/install`, { body: admin })
  const hash = async () => (await api.sql(`SELECT password_hash FROM "chv_${full}_users"`))[0].password_hash
  const before = await hash()
  assert.deepEqual((await api.expect(200, 'PATCH', `/tenants/${full}/user-password-reset`, { body: { username: 'ADMIN_1', password: 'another' } })).json, { username: 'Admin_1', password: 'another' })
  assert.notEqual(await hash(), before)
  await api.refuse(404, 'not_found', 'PATCH', `/tenants/${bare}/user-password-reset`, { body: { username: 'admin_1' } })
  await api.tenant({ id: dropped, hostname: host(dropped) })
  await api.expect(201, 'POST', `/tenants/${dropped}/install`, { body: admin })
  // A tenant that is deleted without its tables leaves them to the next one.
  await api.expect(204, 'DELETE', `/tenants/${dropped}`)
  assert.ok((await sites(api)).includes(dropped))
  await api.tenant({ id: dropped, hostname: host(dropped) })
  await api.refuse(409, 'conflict', 'POST', `/tenants/${dropped}/install`, { body: admin })
  await api.expect(204, 'DELETE', `/tenants/${dropped}`, { body: { drop_tables: true } })
  assert.ok(!(await sites(api)).includes(dropped))
  await api.refuse(404, 'not_found', 'DELETE', `/tenants/${dropped}`)

  // The legacy dialect.
  const legacy = (status, method, where, fields) => {
    const body = fields && JSON.stringify(fields)
    return api.expect(status, method, where, { base: LEGACY, body, signature: sign(null, Buffer.from(body ?? ''), pair.privateKey).toString('base64') })
  }
  assert.equal((await legacy(201, 'POST', '/tenants-plans', { plan_id: old, name: 'Old' })).json.name, 'Old')
  await legacy(204, 'PATCH', `/tenants-plans/${old}`, { plan_id: old, name: 'Older', description: 'kept' })
  assert.ok((await legacy(200, 'GET', '/tenants-plans')).json.some(({ plan_id }) => plan_id === old))
  assert.deepEqual((({ name, description }) => [name, description])((await legacy(200, 'GET', `/tenants-plans/${old}`)).json), ['Older', 'kept'])
  assert.equal((await legacy(201, 'POST', '/tenants', { tenant_id: old, hostname: host(old), is_enabled: 1, plan_id: old, env })).json.tenant_id, old)
  await legacy(204, 'PATCH', `/tenants/${old}`, { is_enabled: 0 })
  assert.deepEqual((({ is_enabled, plan_id, ...rest }) => [is_enabled, plan_id, rest.env])((await legacy(200, 'GET', `/tenants/${old}`)).json), [0, old, env])
  await legacy(204, 'DELETE', `/tenants/${old}`)
  await legacy(204, 'DELETE', `/tenants-plans/${old}`)

  // Traefik.
  const { status, headers: { etag }, json: { http: { routers } } } = await traefik(api)
  assert.equal(status, 200)
  assert.deepEqual([routers[full].rule, routers[bare], routers[dropped], routers[old]], [`Host(\`new-${host(full)}\`)`, undefined, undefined, undefined])
  assert.equal((await traefik(api, { 'If-None-Match': etag })).status, 304)
  await api.expect(204, 'PATCH', `/tenants/${bare}`, { body: { is_enabled: true } })
  const { json: next } = await traefik(api, { 'If-None-Match': etag })
  assert.equal(next.http.routers[bare].rule, `Host(\`${host(bare)}\`)`)

  await countSites(api)

  const entries = await api.sql('SELECT action, subject, key_id FROM audit_log WHERE id > ? ORDER BY id', last.id)
  assert.deepEqual(entries.map(({ action, subject, key_id }) => `${key_id === api.keyId ? '' : 'another key: '}${action} ${subject.slice(at.length + 1)}`), [
    'plan.create plan', 'plan.create gone', 'plan.update plan',
    'tenant.create full', 'tenant.create bare', 'tenant.update full', 'plan.delete gone', 'tenant.update full',
    'tenant.install full', 'tenant.user_password_reset full', 'tenant.create drop', 'tenant.install drop', 'tenant.delete drop', 'tenant.create drop', 'tenant.delete drop',
    'plan.create old', 'plan.update old', 'tenant.create old', 'tenant.update old', 'tenant.delete old', 'plan.delete old',
    'tenant.update bare',
  ])
}

/** Adds a tag to every site, runs the cron trigger, and checks that it counted every site, and no other tenant. */
async function countSites(api) {
  const installed = await sites(api)
  for (const id of installed) await api.sql(`INSERT INTO "chv_${id}_tags" (name) VALUES (hex(randomblob(8)))`)
  const { level, counted, failed } = await api.cron()
  assert.deepEqual([level, counted, failed], ['info', installed.length, 0])
  for (const { id, stats, last_job_at } of await get(api, '/tenants')) {
    if (!installed.includes(id)) assert.deepEqual([stats, last_job_at], [NO_STATS, null], id)
    else {
      const [{ tags }] = await api.sql(`SELECT count(*) AS tags FROM "chv_${id}_tags"`)
      assert.deepEqual(stats, { ...NO_STATS, users: 1, admins: 1, tags }, id)
      assert.match(last_job_at, TIME)
    }
  }
}

test('the migrations of the last release still create its schema', () => {
  const released = migrations().filter((file) => release.migrations.includes(path.basename(file)))
  assert.deepEqual(migrations(), [...released, ...newer], 'the new migrations come last')
  assert.equal(released.length, release.migrations.length)
  assert.deepEqual(schemaOfTexts(...released.map((file) => readFileSync(file, 'utf8'))), schemaOfTexts(readFileSync(path.join(folder, 'schema.sql'), 'utf8')))
})

test('each of the two Workers works on the current schema, and reads what the other one wrote', async () => {
  const persist = mkdtempSync(path.join(os.tmpdir(), 'tenants-last-release-'))
  after(() => rmSync(persist, { recursive: true, force: true }))
  let api = await startApi({ ...LAST, vars, persist, schema: releasedSchema })
  const { key, keyId } = api
  /** Stops the Worker and starts another one on its database. */
  const replaceBy = async (which) => {
    await api.stop()
    const next = await startApi({ ...which, vars, persist, schema: false })
    after(() => next.assertNothingSecretLogged(key))
    api = Object.assign(next, { key, keyId })
  }

  await useEveryRoute(api, 'v1')
  const released = await readAll(api)
  await migrate(api)
  assert.deepEqual(await readAll(api), released)
  await useEveryRoute(api, 'v2')
  const between = await readAll(api)

  await replaceBy({})
  assert.deepEqual(await readAll(api), withAdded(between))
  assert.equal((await health(api, 200)).json.schema, path.basename(migrations().at(-1)))
  await useEveryRoute(api, 'v3', ADDED)
  // The new Worker knows of these that they have no site.
  for (const id of ['later-1', 'later-2']) await api.tenant({ id, hostname: `${id}.example.com` })
  await countSites(api)
  const own = { external_id: 'C-7', labels: { tier: 'gold' } }
  await api.plan({ id: 'labelled', ...own })
  await api.tenant({ id: 'labelled', hostname: 'labelled.example.com', ...own })
  const updated = await readAll(api)

  await replaceBy(LAST)
  assert.deepEqual(await readAll(api), withoutAdded(updated))
  // These edits leave what the last release does not know.
  await api.expect(204, 'PATCH', '/tenants/labelled', { body: { limits: { A: '1' } } })
  await api.expect(204, 'PATCH', '/tenants-plans/labelled', { body: { limits: { A: '1' } } })
  await api.expect(201, 'POST', '/tenants/later-1/install', { body: admin })
  await useEveryRoute(api, 'v4')
  const rolledBack = await readAll(api)

  await replaceBy({})
  assert.deepEqual(await readAll(api), withAdded(rolledBack, updated))
  for (const list of ['/tenants', '/tenants-plans']) {
    const found = await get(api, `${list}?external_id=C-7&label=tier:gold`)
    assert.deepEqual(found.map(({ id, limits, external_id, labels }) => ({ id, limits, external_id, labels })), [{ id: 'labelled', limits: { A: '1' }, ...own }])
  }
  for (const id of await sites(api)) await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin_1' } })
  await countSites(api)
  await useEveryRoute(api, 'v5', ADDED)
})

test('on the schema of the last release the new Worker reports what is missing, and a request either works or changes nothing', { skip: noneNewer }, async () => {
  const api = await startApi({ vars, schema: releasedSchema })
  for (const id of ['there', 'gone']) {
    await api.sql("INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) VALUES (?1, ?1 || '.example.com', 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00')", id)
  }
  for (const id of ['plan', 'unused']) await api.sql("INSERT INTO tenants_plans (id, created_at, updated_at) VALUES (?, '2026-01-01 00:00:00', '2026-01-01 00:00:00')", id)
  const { headers, json } = await health(api, 503)
  assert.equal(json.code, 'not_ready')
  const [line] = await api.linesOf(headers['x-request-id'])
  assert.match(line.cause, new RegExp(path.basename(newer[0]).replaceAll('.', '\\.')))

  // Every statement of a caller needs the new migrations.
  const before = await rows(api)
  for (const [method, where, body] of [
    ['POST', '/auth/verify'], ['GET', '/tenants'], ['GET', '/tenants/there'], ['GET', '/tenants-plans'], ['GET', '/tenants-plans/plan'],
    ['POST', '/tenants', api.fresh()], ['PATCH', '/tenants/there', { is_enabled: false }], ['POST', '/tenants-plans', { id: 'new' }], ['PATCH', '/tenants-plans/plan', { limits: {} }],
    ['POST', '/tenants/there/install', admin], ['DELETE', '/tenants-plans/unused'], ['DELETE', '/tenants/gone'], ['DELETE', '/tenants/gone', { drop_tables: true }],
  ]) {
    // A write is tried twice. The first batch of an install only reads.
    if (method === 'GET' || /\/(install|verify)$/.test(where)) await api.refuse(500, 'internal', method, where, { body })
    else await api.refuse(503, 'unavailable', method, where, { body })
  }
  assert.deepEqual(await rows(api), before)
  // So does each poll of Traefik, which reads the services of cells. The cron trigger reports an error, and changes nothing.
  assert.equal((await traefik(api)).status, 500)
  assert.equal((await api.cron()).level, 'error')
  assert.deepEqual(await sites(api), [])

  await migrate(api)
  assert.equal((await health(api, 200)).json.schema, path.basename(migrations().at(-1)))
  await useEveryRoute(api, 'v2', ADDED)
})
