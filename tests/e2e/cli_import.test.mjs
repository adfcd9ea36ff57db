// Runs `tenants import`, `tenants export` and `tenants api:key:import` against the built Worker.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { expectTenants, tenants as program } from './cli.mjs'
import { ROOT, startApi } from './harness.mjs'

const vectors = JSON.parse(readFileSync(path.join(ROOT, 'tests', 'vectors', 'chevereto.json'), 'utf8'))
const [{ secret: keySecret }] = vectors.api_keys

// wrangler stores the state of `--persist-to DIR` in DIR/v3; Miniflare stores it in the given folder itself.
const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const varsOf = (api) => ({ TENANTS_URL: api.url, TENANTS_API_KEY: api.key, CHEVERETO_TENANTS_API_REQUEST_SECRET: api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET })
const lines = (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join('')
const many = (count) => Array.from({ length: count }, (_, i) => ({ id: `t${i}`, hostname: `t${i}.example.com`, is_enabled: i % 2 === 0, plan_id: i % 3 ? null : 'basic', env: { N: String(i) } }))

/** Starts a registry of its own, with short ways to its command line and its state. */
async function registry(options) {
  const api = await startApi(options)
  const vars = varsOf(api)
  return {
    ...api,
    /** Imports a text, and returns the report. */
    import: async (code, input, ...more) => JSON.parse((await expectTenants(code, ['import', '-', '--format', 'json', ...more], { vars, input })).output),
    export: async () => (await expectTenants(0, ['export'], { vars })).output,
    run: (args, more) => program(args, { vars, ...more }),
    /** How often each action is in the audit log. */
    entries: async () => Object.fromEntries((await api.sql('SELECT action, count(*) AS n FROM audit_log GROUP BY action ORDER BY action')).map(({ action, n }) => [action, n])),
    get: async (where) => (await api.expect(200, 'GET', where)).json,
  }
}
const none = { created: 0, existing: 0, valid: 0, refused: 0 }

test('an import is checked, carried out and run again', async () => {
  const api = await registry()
  const rows = [
    { id: 'acme', hostname: 'acme.example.com', is_enabled: true, plan_id: 'gold', labels: { tier: 'gold' }, env: { A: 'é世' } },
    { type: 'tenant', id: 'Globex', hostname: 'GLOBEX.example.com', is_enabled: 0, external_id: 'C-7', created_at: '2020-01-01 00:00:00', stats: {} },
    { type: 'plan', id: 'gold', limits: { CHEVERETO_MAX_USERS: '2' } },
  ]
  const checked = await api.import(0, lines(rows), '--dry-run')
  assert.deepEqual(checked, { dry_run: true, stopped: false, plans: { ...none, valid: 1 }, tenants: { ...none, valid: 2 }, refused: [] })
  assert.deepEqual(await api.entries(), {})

  const first = await api.import(0, lines(rows))
  assert.deepEqual(first, { dry_run: false, stopped: false, plans: { ...none, created: 1 }, tenants: { ...none, created: 2 }, refused: [] })
  const created = { 'plan.create': 1, 'tenant.create': 2 }
  assert.deepEqual(await api.entries(), created)
  const acme = await api.get('/tenants/acme')
  assert.deepEqual([acme.plan_id, acme.labels, acme.env], ['gold', { tier: 'gold' }, { A: 'é世' }])
  const globex = await api.get('/tenants/globex')
  assert.deepEqual([globex.id, globex.hostname, globex.is_enabled, globex.external_id], ['Globex', 'globex.example.com', false, 'C-7'])
  assert.notEqual(globex.created_at, '2020-01-01 00:00:00')

  const before = await api.export()
  const again = await api.import(0, lines(rows))
  assert.deepEqual([again.plans, again.tenants], [{ ...none, existing: 1 }, { ...none, existing: 2 }])
  assert.equal(await api.export(), before)
  assert.deepEqual(await api.entries(), created)

  // Somebody changes a tenant: the file makes it so again, and the other lines write nothing.
  await api.expect(204, 'PATCH', '/tenants/acme', { body: { env: { A: 'other' } } })
  await api.import(0, lines(rows))
  assert.deepEqual((await api.get('/tenants/acme')).env, { A: 'é世' })
  assert.deepEqual(await api.entries(), { ...created, 'tenant.update': 2 })
})

test('CSV is imported by the names of its columns', async () => {
  const api = await registry()
  const plans = 'id,limits,env\nbasic,"{""A"": ""1""}",\n'
  assert.deepEqual((await api.import(0, plans, '--type', 'plan')).plans, { ...none, created: 1 })
  const csv = '\ufeffid,hostname,is_enabled,plan_id,env,labels\r\n'
    + 'a,a.example.com,1,basic,"{""B"":\r\n""x,y""}","{""tier"": ""gold""}"\r\n'
    + 'b,b.example.com,0,NULL,\\N,\r\n'
  assert.deepEqual((await api.import(0, csv)).tenants, { ...none, created: 2 })
  // A quote that nobody closes takes no other line with it.
  const open = await api.run(['import', '-'], { input: `${csv}c,c.example.com,1,"basic,,\r\nd,d.example.com,1,,,\r\n` })
  assert.equal(open.code, 2)
  assert.match(open.errors, /line 5: the cell that begins with a quote here has no closing quote/)
  // A cell may have several lines, so the record after it begins further down.
  const broken = await api.import(1, `${csv}c,c d,1,,,\r\n`)
  assert.deepEqual(broken.refused.map(({ line, id }) => [line, id]), [[5, 'c']])
  const [a, b] = [await api.get('/tenants/a'), await api.get('/tenants/b')]
  assert.deepEqual([a.is_enabled, a.plan_id, a.env, a.labels], [true, 'basic', { B: 'x,y' }, { tier: 'gold' }])
  assert.deepEqual([b.is_enabled, b.plan_id, b.env, b.labels], [false, null, {}, {}])
})

test('lines that are refused are named with the reason, and the others are imported', async () => {
  const api = await registry()
  await api.tenant({ id: 'there', hostname: 'there.example.com' })
  const text = lines([
    { id: 'a', hostname: 'a.example.com', is_enabled: true },
    { id: 'b', hostname: 'there.example.com', is_enabled: true },
    { id: 'c', hostname: 'c d', is_enabled: 'x' },
    { id: 'd', hostname: 'd.example.com', is_enabled: true, plan_id: 'nobody' },
  ]) + 'no JSON, and a secret: hunter2\n' + lines([
    { id: 'A', hostname: 'again.example.com', is_enabled: true },
    { id: 'e/f', hostname: 'e.example.com', is_enabled: true },
    { id: 'g', hostname: 'g.example.com', is_enabled: true },
  ])
  const expected = [
    [2, 'b', 'conflict', ['/hostname']], [3, 'c', 'invalid', ['/hostname', '/is_enabled']], [4, 'd', 'invalid', ['/plan_id']],
    [5, null, 'unusable_line', []], [6, 'A', 'unusable_line', []], [7, 'e/f', 'unusable_line', []],
  ]
  for (const [more, tenants] of [[['--dry-run'], { ...none, valid: 2, refused: 6 }], [[], { ...none, created: 2, refused: 6 }], [[], { ...none, existing: 2, refused: 6 }]]) {
    const report = await api.import(1, text, ...more)
    assert.deepEqual(report.tenants, tenants)
    assert.deepEqual(report.refused.map(({ line, id, code, errors = [] }) => [line, id, code, errors.map(({ pointer }) => pointer)]), expected)
    assert.ok(report.refused.every(({ detail }) => detail.length > 10), JSON.stringify(report.refused))
    assert.equal((await api.sql("SELECT count(*) AS n FROM audit_log WHERE action <> 'tenant.create'"))[0].n, 0)
  }
  assert.deepEqual((await api.get('/tenants?fields=id')).map(({ id }) => id), ['a', 'g', 'there'])
  const shown = await api.run(['import', '-'], { input: text })
  assert.equal(shown.code, 1)
  assert.match(shown.output, /^tenants: 0 created, 2 were there and are as the file says, 6 refused\n$/)
  assert.match(shown.errors, /^line 2, tenant `b`: error: Conflict: [^\n]*\n +\/hostname: /m)
  assert.match(shown.errors, /^line 6, tenant `A`: [^\n]*id: line 1 has the same/m)
  assert.match(shown.errors, /^error: .*6 of the file's lines were refused/m)
  assert.ok(!shown.errors.includes('hunter2'), shown.errors)
})

test('an import that the API refuses stops, and exits with 3', async () => {
  const api = await registry()
  const input = lines(many(20))
  const wrong = await api.run(['import', '-'], { input, vars: { ...varsOf(api), CHEVERETO_TENANTS_API_REQUEST_SECRET: 'another secret of the test' } })
  assert.equal(wrong.code, 3)
  assert.match(wrong.errors, /The import stopped[^\n]*0 of 20 tenants done/)
  assert.match(wrong.errors, /status 401/)
  assert.deepEqual(await api.entries(), {})
  const { stopped, tenants } = JSON.parse((await api.run(['import', '-', '--format', 'json'], { input: `{}\n${input}`, vars: { ...varsOf(api), CHEVERETO_TENANTS_API_REQUEST_SECRET: 'another secret of the test' } })).output)
  assert.deepEqual([stopped, tenants], [true, { ...none, refused: 1 }])
})

test('an import that was cut off is run again: nothing is done twice, and the end is the same', async () => {
  const [broken, whole] = [await registry(), await registry()]
  const input = lines([{ type: 'plan', id: 'basic' }, ...many(400)])
  await whole.import(0, input)
  const cut = await broken.run(['import', '-', '--jobs', '8'], { input, onErrors: (text, kill) => /importing tenants: \d{2,} of/.test(text) && kill() })
  assert.equal(cut.signal, 'SIGKILL')
  const done = (await broken.get('/tenants')).length
  assert.ok(done >= 40 && done < 400, `${done} tenants`)
  const again = await broken.import(0, input)
  assert.equal(again.tenants.created + again.tenants.existing, 400)
  assert.ok(again.tenants.existing >= done && again.tenants.created > 0, JSON.stringify(again.tenants))
  const timeless = (text) => text.replace(/"(created|updated)_at":"[^"]*"/g, '')
  assert.equal(timeless(await broken.export()), timeless(await whole.export()))
  assert.deepEqual(await broken.entries(), { 'plan.create': 1, 'tenant.create': 400 })
  const subjects = await broken.sql('SELECT subject FROM audit_log GROUP BY subject HAVING count(*) > 1')
  assert.deepEqual(subjects, [])
})

test('an export of one registry is the import of another', async () => {
  const [from, to] = [await registry(), await registry()]
  await from.import(0, lines([{ type: 'plan', id: 'basic', limits: { A: '1' }, env: {} }, { type: 'plan', id: 'empty', external_id: 'P' }, ...many(30)]))
  const file = path.join(folder, 'all.jsonl')
  const written = await from.run(['export', '--output', file])
  assert.deepEqual([written.code, written.output], [0, `wrote ${file}: 2 plans and 30 tenants\n`])
  assert.equal(statSync(file).mode & 0o77, 0)
  const text = readFileSync(file, 'utf8')
  assert.equal(text, await from.export())
  assert.equal((await from.run(['export', '--output', file])).code, 2)
  const imported = await to.run(['import', file])
  assert.deepEqual([imported.code, imported.output], [0, 'plans: 2 created, 0 were there and are as the file says, 0 refused\ntenants: 30 created, 0 were there and are as the file says, 0 refused\n'])
  const timeless = (rows) => rows.replace(/"(created|updated)_at":"[^"]*"/g, '')
  assert.equal(timeless(await to.export()), timeless(text))
})

test('holds and further hostnames move too, and a held site is never served on the way', async () => {
  const [from, to] = [await registry(), await registry()]
  await from.import(0, lines([{ type: 'plan', id: 'basic' }, ...many(20)]))
  const until = '2031-01-01 00:00:00'
  await from.expect(204, 'PUT', '/tenants/t0/holds/abuse', { body: { reason: 'spam' } })
  await from.expect(204, 'PUT', '/tenants/t0/holds/non_payment', { body: { reason: 'é', message: 'paused', until } })
  await from.expect(204, 'PUT', '/tenants/t1/holds/admin', { body: { reason: 'disabled as well' } })
  await from.expect(201, 'PUT', '/tenants/t0/hostnames/www.t0.example', { body: { kind: 'redirect' } })
  await from.expect(201, 'PUT', '/tenants/t2/hostnames/photos.t2.example', { body: { kind: 'alias' } })
  const text = await from.export()
  assert.equal((await to.import(0, text, '--dry-run')).tenants.valid, 20)
  assert.deepEqual((await to.import(0, text)).tenants, { ...none, created: 20 })
  const timeless = (rows) => rows.replace(/"(created|updated)_at":"[^"]*"/g, '')
  assert.equal(timeless(await to.export()), timeless(text))
  const { is_enabled, served, holds } = await to.get('/tenants/t0')
  assert.deepEqual([is_enabled, served], [true, false])
  assert.deepEqual(holds, { abuse: { reason: 'spam', message: null, until: null }, non_payment: { reason: 'é', message: 'paused', until } })
  assert.equal((await to.get('/tenants/t1')).served, false)
  // It is off until it has its holds, and only then enabled.
  const steps = await to.sql("SELECT action, changed FROM audit_log WHERE subject = 't0' ORDER BY id")
  assert.deepEqual(steps.map(({ action, changed }) => [action, changed]), [
    ['tenant.create', null], ['tenant.hold', 'holds'], ['tenant.hold', 'holds'], ['tenant.update', 'is_enabled'], ['tenant.update', 'hostnames']])
  // Again: nothing is written. A hold that is there besides those of the file stays.
  const before = await to.entries()
  assert.deepEqual((await to.import(0, text)).tenants, { ...none, existing: 20 })
  assert.deepEqual(await to.entries(), before)
  await to.expect(204, 'PUT', '/tenants/t2/holds/admin', { body: { reason: 'here' } })
  await to.import(0, text)
  assert.equal((await to.get('/tenants/t2')).served, false)
  // An import that was cut off after its first request for the tenant is mended by the next.
  const cut = await registry()
  await cut.tenant({ id: 't0', hostname: 't0.example.com', is_enabled: false })
  await cut.import(0, text)
  assert.equal(timeless(await cut.export()), timeless(text))
  // Without hostnames there are no requests for them, and no such member.
  const { output } = await expectTenants(0, ['export', '--without-hostnames'], { vars: varsOf(from) })
  assert.deepEqual(output, text.replace(/,"hostnames":\[.*\]/g, ''))
  // A hostname that somebody else has is named.
  const taken = await registry()
  await taken.tenant({ id: 'other', hostname: 'photos.t2.example' })
  const { refused } = await taken.import(1, text)
  assert.deepEqual(refused.map(({ id, code }) => [id, code]), [['t2', 'conflict']])
  assert.match(refused[0].detail, /^hostnames\/photos\.t2\.example: /)
})

test('a time that has passed since the export has the effect that the cron trigger gives it', async () => {
  const [from, to] = [await registry(), await registry()]
  await from.import(0, lines([{ type: 'plan', id: 'basic' }, ...many(3)]))
  const hold = { reason: 'invoice 7', message: 'paused', until: '2031-01-01 00:00:00' }
  await from.expect(204, 'PUT', '/tenants/t2/holds/non_payment', { body: hold })
  const past = '2026-01-01 00:00:00'
  await from.sql("UPDATE tenants SET suspend_at = ? WHERE id IN ('t0', 't2')", past)
  await from.sql("UPDATE tenants SET delete_at = ? WHERE id = 't1'", past)
  const text = await from.export()
  for (const [more, count] of [[['--dry-run'], { valid: 2 }], [[], { created: 2 }]]) {
    const { tenants, refused } = await to.import(1, text, ...more)
    assert.deepEqual(tenants, { ...none, ...count, refused: 1 })
    assert.deepEqual(refused.map(({ id, code }) => [id, code]), [['t1', 'unusable_line']])
    assert.match(refused[0].detail, /^delete_at: 2026-01-01 00:00:00 is past/)
  }
  // The cron trigger of the first registry does the same.
  const ended = async (api, id) => (({ suspend_at, served, holds }) => ({ suspend_at, served, holds }))(await api.get(`/tenants/${id}`))
  await from.sql("UPDATE tenants SET delete_at = NULL WHERE id = 't1'")
  await from.sql("INSERT INTO carry_out (now, is_due, wiped_until) VALUES (datetime('now'), 0, '2000-01-01 00:00:00')")
  assert.deepEqual(await ended(from, 't0'), { suspend_at: null, served: false, holds: { non_payment: { reason: `suspend_at ${past}`, message: null, until: null } } })
  assert.deepEqual(await ended(from, 't2'), { suspend_at: null, served: false, holds: { non_payment: { ...hold, until: null } } })
  for (const id of ['t0', 't2']) assert.deepEqual(await ended(to, id), await ended(from, id))
})

test('a trial says what the import would do with a plan that is there and whose line is refused', async () => {
  const api = await registry()
  await api.plan({ id: 'gold' })
  const text = lines([
    { type: 'plan', id: 'gold', limits: { lower: '1' } }, { type: 'plan', id: 'none', limits: { lower: '1' } },
    { id: 'a', hostname: 'a.example.com', is_enabled: true, plan_id: 'GOLD' }, { id: 'b', hostname: 'b.example.com', is_enabled: true, plan_id: 'none' },
  ])
  const refused = (report) => report.refused.map(({ line, code, errors }) => [line, code, errors.map(({ pointer }) => pointer)])
  const trial = await api.import(1, text, '--dry-run')
  const real = await api.import(1, text)
  assert.deepEqual(refused(trial), [[1, 'invalid', ['/limits/lower']], [2, 'invalid', ['/limits/lower']], [4, 'invalid', ['/plan_id']]])
  assert.deepEqual(refused(trial), refused(real))
  assert.deepEqual([trial.tenants.valid, real.tenants.created], [1, 1])
})

test('a tenant that is too large for one request is refused by its line', async () => {
  const [from, to] = [await registry(), await registry()]
  await from.tenant({ id: 'large', hostname: 'large.example.com', env: { A: 'x'.repeat(39_000) } })
  await from.expect(204, 'PATCH', '/tenants/large', { body: { limits: { B: 'x'.repeat(19_000) }, labels: Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`l${i}`, 'x'.repeat(255)])) } })
  await from.tenant({ id: 'small', hostname: 'small.example.com' })
  const report = await to.import(1, await from.export())
  assert.deepEqual(report.refused.map(({ line, id, status, code }) => [line, id, status, code]), [[1, 'large', 413, 'payload_too_large']])
  assert.deepEqual(report.tenants, { ...none, created: 1, refused: 1 })
})

test("the tenants of a Chevereto installation move in with their encrypted env", async () => {
  const api = await registry()
  const usable = vectors.vectors.filter(({ tenant, key_base64: key, name }) => tenant && key === vectors.vectors[0].key_base64 && name !== 'env-typed')
  assert.ok(usable.length > 15)
  // As the SQL of docs/CLI.md writes the rows: base64 with line breaks, JSON in its columns. Two vectors may have one id or hostname.
  const rows = usable.map(({ tenant, stored }, i) => ({
    type: 'tenant', id: `t${i}`, hostname: `t${i}.example.com`, is_enabled: tenant.is_enabled, plan_id: null,
    limits: tenant.limits === null ? null : JSON.stringify(tenant.limits), env: stored && stored.replace(/.{76}/g, '$&\n'),
    created_at: tenant.created_at, updated_at: tenant.updated_at, last_job_at: tenant.last_job_at,
  }))
  const key = path.join(folder, 'encryption.key')
  writeFileSync(key, `${vectors.vectors[0].key_base64}\n`)
  assert.equal((await api.import(1, lines(rows))).refused.filter(({ detail }) => detail.includes('--chevereto-key')).length, usable.filter(({ stored }) => stored).length)
  const report = await api.import(1, lines(rows), '--chevereto-key', `@${key}`)
  // PHP keeps lists, nulls and U+0000, which no variable of this API can have.
  const refused = report.refused.map(({ line, errors }) => [usable[line - 1].name, errors.map(({ pointer }) => pointer)])
  assert.deepEqual(refused, [['limits-typed', ['/limits/Z', '/limits/L', '/limits/M']], ['special-characters', ['/env/NUL']]])
  assert.equal(report.tenants.created + report.tenants.existing, usable.length - 2)
  for (const [i, { name, env, tenant }] of usable.entries()) {
    if (refused.some(([other]) => other === name)) continue
    const got = await api.get(`/tenants/t${i}`)
    assert.deepEqual(got.env, Object.keys(env ?? {}).length ? env : {}, name)
    assert.deepEqual(Object.keys(got.limits).sort(), Object.keys(tenant.limits ?? {}).sort(), name)
    assert.equal(got.is_enabled, Boolean(tenant.is_enabled), name)
  }
  const wrong = path.join(folder, 'wrong.key')
  writeFileSync(wrong, vectors.vectors.find(({ name }) => name === 'other-key').key_base64)
  const unread = await api.import(1, lines(rows.slice(1, 2)), '--chevereto-key', `@${wrong}`)
  assert.match(unread.refused[0].detail, /the encryption key does not decrypt the value/)
})

test('API keys of a Chevereto installation are taken over as they are', async () => {
  const persist = path.join(folder, 'v3')
  const options = { persist, vars: { CHEVERETO_TENANTS_API_KEY_SECRET: keySecret } }
  const api = await registry(options)
  const [taken, free] = vectors.api_keys.map(({ key }) => key)
  // The MACs of both are right, but no row has their digests.
  for (const key of [taken, free]) await api.refuse(401, 'unauthorized', 'POST', '/auth/verify', { key })
  const { secrets } = api
  await api.stop()
  const input = 'id,name,hash,created_at,expires_at\n42,billing,$2y$10$hash,2024-01-02 03:04:05,2031-01-01 00:00:00\n1,other,$2y,2024-01-02 03:04:05,NULL\n'
  const args = ['api:key:import', '-', '--persist-to', folder]
  // This registry has a key 1 of its own.
  const run = await expectTenants(1, args, { input, vars: { TENANTS_OPERATOR: 'the movers' } })
  assert.equal(run.output, 'imported: key 42\n')
  assert.match(run.errors, /another key has the id: 1\./)
  const again = await expectTenants(0, args, { input: input.split('\n').slice(0, 2).join('\n') })
  assert.equal(again.output, 'imported before: key 42\n')

  const later = await startApi({ persist, schema: false, vars: secrets })
  const { json } = await later.expect(200, 'POST', '/auth/verify', { key: free })
  assert.deepEqual(json.key, { id: 42, name: 'billing', created_at: '2024-01-02 03:04:05', expires_at: '2031-01-01 00:00:00', scopes: ['*'], bound: false })
  const body = later.fresh()
  await later.expect(201, 'POST', '/tenants', { key: free, body })
  await later.refuse(401, 'unauthorized', 'POST', '/auth/verify', { key: taken })
  await later.refuse(401, 'unauthorized', 'POST', '/auth/verify', { key: free.replace(/.$/, (c) => (c === '0' ? '1' : '0')) })
  const entries = await later.sql("SELECT action, subject, operator FROM audit_log WHERE action LIKE 'api_key.%' ORDER BY id")
  assert.deepEqual(entries, [{ action: 'api_key.import', subject: '42', operator: 'the movers' }])
  await later.stop()
})
