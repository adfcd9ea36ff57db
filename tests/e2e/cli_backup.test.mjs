// `tenants backup` and `tenants restore` with the built program, the real wrangler and the database of the built Worker: the API answers
// after a restore, byte for byte, as it did before.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { environment, nodeForWrangler, wranglerScript } from '../../scripts/lib/environment.mjs'
import { expectTenants } from './cli.mjs'
import { cutAtLineEnds, cutOutsideOfBlocks, startD1Api } from './d1_api.mjs'
import { freshSecrets, ROOT, startApi, utc } from './harness.mjs'
import { LIST, normal, schemaOf } from './schema.mjs'

const secrets = freshSecrets()
const kept = mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
after(() => rmSync(kept, { recursive: true, force: true }))

/** A folder with a wrangler.toml and a local database of its own, as after a fresh clone. */
function project(name) {
  const folder = path.join(kept, name)
  cpSync(path.join(ROOT, 'migrations'), path.join(folder, 'migrations'), { recursive: true })
  cpSync(path.join(ROOT, 'wrangler.toml'), path.join(folder, 'wrangler.toml'))
  return { folder, persist: path.join(folder, '.wrangler/state/v3'), vars: { TENANTS_PROJECT: folder, WRANGLER_BIN: wranglerScript } }
}

const start = ({ persist }) => startApi({ persist, schema: false, vars: { ...secrets, TENANTS_DEVELOPMENT: 'true' } })
const wrangler = ({ folder }, ...args) =>
  execFileSync(nodeForWrangler(), [wranglerScript, ...args], { cwd: folder, env: environment({ CI: 'true' }), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
const json = ({ output }) => JSON.parse(output)

// Texts that a shell, a splitter of statements, wrangler or D1's export could change.
const AWKWARD = [
  "it's ''quoted'' \"twice\" `thrice` [four]", 'line\nends\r\nof\rall kinds', '\u2028\u2029\u0085\ufeff', 'emoji 🐘👩‍👩‍👧, grüße, 世界', 'BEGIN TRANSACTION;\nCOMMIT;',
  '-- a comment; /* another */', "'); DROP TABLE tenants; --", 'END;', ';\n;', '\\n is not \n, and \\r is not \r', '', ' ', '\t\u0001\u007f', "replace('a\\n','\\n',char(10))", "CAST(X'41' AS TEXT)",
]
const from = project('from')
const seen = {}
let file

/** Every response that a caller can get, and every table. */
async function answers(api, key) {
  const get = async (where) => (await api.expect(200, 'GET', where, { key })).text
  const traefik = await api.expect(200, 'GET', '/config/traefik', { key: null, signature: null, headers: { 'CF-Connecting-IP': '127.0.0.1' } })
  const verified = await api.expect(200, 'POST', '/auth/verify', { key })
  return { tenants: await get('/tenants'), plans: await get('/tenants-plans'), traefik: traefik.text, verified: verified.text, etag: traefik.headers.etag }
}

/** Every row of every table, by table. */
async function rows(api) {
  const names = await api.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '_cf_*' AND name <> 'registry' ORDER BY name")
  const all = {}
  for (const { name } of names) all[name] = (await api.sql(`SELECT * FROM "${name.replaceAll('"', '""')}"`)).map((row) => JSON.stringify(row)).sort()
  return all
}

before(async () => {
  await expectTenants(0, ['init'], { vars: from.vars })
  const api = await start(from)
  ;({ key: seen.key } = await api.makeKey({ name: 'first' }))
  api.key = seen.key
  await api.expect(201, 'PUT', '/cells/eu', { body: { name: 'Europe' } })
  const { id: far } = await api.tenant({ cell_id: 'eu' })
  const headers = { Prefer: 'respond-async', 'Idempotency-Key': 'unfinished' }
  await api.expect(202, 'POST', `/tenants/${far}/install`, { body: { username: 'admin', email: 'admin@example.com', password: 'a password of the test' }, headers })
  await api.plan({ limits: { A: AWKWARD.join('|') }, env: { SECRET: AWKWARD.join('|') } })
  const plan = await api.plan({ external_id: AWKWARD[0], labels: { awkward: AWKWARD[0] } })
  // The longest texts that the API takes, with the most apostrophes.
  const limits = { A: "'".repeat((20_000 - 8) / 2) }
  for (const where of [`/tenants-plans/${plan.id}`, `/tenants/${(await api.tenant({ plan_id: plan.id })).id}`]) {
    await api.expect(204, 'PATCH', where, { body: { limits } })
    await api.expect(204, 'PATCH', where, { body: { env: { A: 'é'.repeat(19_996) } } })
    await api.expect(204, 'PATCH', where, { body: { labels: Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`l${i}`, '𝄞'.repeat(255)])) } })
  }
  // A longer row that an older version took.
  const { id: long } = await api.tenant({ env: { A: 'x'.repeat(39_000) } })
  await api.sql('UPDATE tenants SET limits = ? WHERE id = ?', JSON.stringify({ A: "'\u2028é".repeat(10_000) }), long)
  for (let n = 0; n < 20; n++) await api.tenant({ limits: { N: AWKWARD[n % AWKWARD.length] }, labels: { awkward: AWKWARD[n % AWKWARD.length] } })
  const { id: site } = await api.tenant()
  const user = { username: 'admin', email: 'admin@example.com', password: 'a password of the test' }
  await api.expect(201, 'POST', `/tenants/${site}/install`, { body: user })
  for (const [n, body] of AWKWARD.entries()) {
    await api.sql(`INSERT INTO "chv_${site}_pages" (url_key, title, body, is_active) VALUES (?, ?, ?, 1)`, `page-${n}`, body, AWKWARD.join(body))
  }
  await api.sql(`INSERT INTO "chv_${site}_pages" (url_key, title, body, is_active) VALUES ('long', '', ?, 1)`, "it's\n".repeat(60_000))
  await api.sql(`INSERT INTO "chv_${site}_tagged" WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) SELECT i, i FROM n`)
  // A table and an index of somebody else, with numbers and bytes.
  await api.sql('CREATE TABLE "an odd ""table""" (a REAL, b BLOB, c)')
  await api.sql('CREATE INDEX odd_index ON "an odd ""table""" (a)')
  await api.sql(`INSERT INTO "an odd ""table""" VALUES (0.1, X'00ff', 2.0), (-1e300, X'', 9007199254740991), (1.0, NULL, 'text')`)
  seen.site = site
  // Ids that were given away and are gone.
  const gone = await api.makeKey()
  await api.sql('DELETE FROM api_keys WHERE id = ?', gone.id)
  seen.deletedLater = await api.makeKey({ name: 'leaked' })
  seen.expired = await api.makeKey({ expires_at: '2026-01-01 00:00:00' })
  seen.answers = await answers(api, api.key)
  // As the restore will leave the site of the unfinished job.
  seen.answers.tenants = seen.answers.tenants.replace('{"state":"installing"', '{"state":"none"')
  seen.rows = await rows(api)
  seen.sequences = await api.sql('SELECT * FROM sqlite_sequence ORDER BY name')
  seen.schema = normal(await api.sql(LIST))
  await api.stop()
})

test('a backup has the rows of the database, is private, and git ignores it', async () => {
  const run = await expectTenants(0, ['backup'], { vars: from.vars })
  const [, name, count, tables] = run.output.match(/^wrote (.*): (\d+) rows of (\d+) tables, the same as in the database\n$/)
  assert.equal(Number(count), Object.values(seen.rows).flat().length - seen.sequences.length + 1, 'the file has the table registry, and no sqlite_sequence')
  assert.equal(Number(tables), Object.keys(seen.rows).length, 'likewise')
  assert.match(run.errors, /exporting the local database…\n[^]*checking rows: (\d+) of \1\n$/)
  file = name
  assert.equal(path.dirname(file), path.join(from.folder, 'backups'))
  assert.deepEqual(readdirSync(path.dirname(file)), [path.basename(file)])
  if (process.platform !== 'win32') {
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(statSync(path.dirname(file)).mode & 0o777, 0o700)
  }
  for (const ignored of ['backups/x.sql', 'backup.sql', 'dump.sql']) execFileSync('git', ['check-ignore', '-q', ignored], { cwd: ROOT })
  for (const needed of ['schema.sql', 'schema_writes.sql', 'migrations/0001_registry.sql']) {
    assert.throws(() => execFileSync('git', ['check-ignore', '-q', '--no-index', needed], { cwd: ROOT }), needed)
  }
  const again = await expectTenants(2, ['backup', '--output', file], { vars: from.vars })
  assert.match(again.errors, /exists already/)
  const elsewhere = await expectTenants(2, ['backup', '--persist-to', kept], { vars: from.vars })
  assert.match(elsewhere.errors, /--config/)
})

test('a backup restores into a new database, and the API answers as before', async () => {
  const to = project('to')
  // A deployment has given it its tables. The remote databases below have none.
  await expectTenants(0, ['database:migrate'], { vars: to.vars })
  const dry = json(await expectTenants(0, ['restore', '--from', file, '--dry-run', '--format', 'json'], { vars: to.vars }))
  assert.deepEqual([dry.restored, dry.lost_keys, dry.keys.map(({ id, was }) => [id, was])], [false, [], [[1, 'unknown'], [seen.deletedLater.id, 'unknown']]])
  const run = await expectTenants(0, ['restore', '--from', file], { vars: to.vars })
  assert.match(run.output, /^restored \d+ rows of \d+ tables; they are as in the file\n/)
  assert.match(run.output, /leaked +\S+ \S+ +unknown +valid/)
  assert.match(run.errors, /checking rows: (\d+) of \1\n/)
  assert.ok(!readdirSync(path.join(to.folder, 'backups')).length, 'nothing is left behind')

  const api = await start(to)
  const got = await answers(api, seen.key)
  const { etag, ...bodies } = seen.answers
  assert.deepEqual({ ...got, etag: undefined }, { ...bodies, etag: undefined })
  const [before, after] = [etag, got.etag].map((tag) => tag.match(/^"([0-9a-f]+)-([0-9a-f]+)-(\d+)"$/).slice(1))
  assert.equal(after[0], before[0])
  assert.notEqual(after[1], before[1], 'a restore begins a new epoch')
  assert.equal(Number(after[2]), Number(before[2]) + 2, 'a restore leaves an audit entry, and the job that it ended another one')
  const now = await rows(api)
  const entries = now.audit_log.filter((row) => !seen.rows.audit_log.includes(row)).map((row) => JSON.parse(row))
  assert.deepEqual(entries.map(({ action, key_id: key }) => [action, key]).sort(), [['job.finish', null], ['registry.restore', null]])
  // The restore has ended the job that was unfinished, and forgotten the response of its request.
  assert.deepEqual([seen.rows, now].map(({ cell_work: [job] }) => JSON.parse(job).state), ['waiting', 'failed'])
  assert.deepEqual([seen.rows.idempotency.length - now.idempotency.length, now.tenants.filter((row) => !seen.rows.tenants.includes(row)).map((row) => JSON.parse(row).site_state)], [1, [null]])
  for (const table of ['audit_log', 'sqlite_sequence', 'cell_work', 'idempotency', 'tenants']) now[table] = seen.rows[table]
  assert.deepEqual(now, seen.rows)
  assert.deepEqual((await api.sql('SELECT * FROM sqlite_sequence ORDER BY name')).filter((s) => s.name !== 'audit_log'), seen.sequences.filter((s) => s.name !== 'audit_log'))
  assert.deepEqual(normal(await api.sql(LIST)), seen.schema)
  // Writes, the tenant's own tables and keys work as before.
  await api.expect(201, 'POST', '/tenants', { key: seen.key, body: api.fresh() })
  await api.expect(200, 'PATCH', `/tenants/${seen.site}/user-password-reset`, { key: seen.key, body: { username: 'admin' } })
  await api.expect(200, 'POST', '/auth/verify', { key: seen.deletedLater.key })
  await api.expect(401, 'POST', '/auth/verify', { key: seen.expired.key })
  await api.stop()

  const used = await expectTenants(1, ['restore', '--from', file], { vars: to.vars })
  assert.match(used.errors, /is in use[^]*--replace/)
})

test('an agent that asks meanwhile, and a key that is used, are no difference', async () => {
  const meanwhile = path.join(kept, 'meanwhile.mjs')
  const changes = "UPDATE cells SET last_seen_at = datetime('now', '+' || abs(random() % 1000) || ' days'), seen_revision = seen_revision + 1; UPDATE api_keys SET last_used_at = datetime('now')"
  writeFileSync(meanwhile, `import { spawnSync } from 'node:child_process'
const run = (args, stdio) => spawnSync(process.execPath, [${JSON.stringify(wranglerScript)}, ...args], { stdio }).status
const args = process.argv.slice(2)
const status = run(args, 'inherit')
// As soon as the database answers again.
if (args.includes('export') || args.includes('--file')) process.exitCode = run(['d1', 'execute', 'DB', '--local', '--yes', '--command', ${JSON.stringify(changes)}], 'ignore')
process.exitCode ||= status
`)
  const vars = { ...from.vars, WRANGLER_BIN: meanwhile }
  const busy = path.join(kept, 'busy.sql')
  await expectTenants(0, ['backup', '--output', busy], { vars })
  assert.deepEqual(readdirSync(kept).filter((name) => name.startsWith('busy')), ['busy.sql'])
  if (process.platform !== 'win32') assert.equal(statSync(busy).mode & 0o777, 0o600)
  const { folder, vars: own } = project('busy')
  const run = await expectTenants(0, ['restore', '--from', busy], { vars: { ...own, WRANGLER_BIN: meanwhile } })
  assert.match(run.output, /^restored \d+ rows of \d+ tables; they are as in the file\n/)
  assert.ok(!readdirSync(path.join(folder, 'backups')).length)
})

test("wrangler's own export restores with the same command; keys that were deleted since can be deleted in the same step", async () => {
  const to = project('again')
  cpSync(path.join(from.folder, '.wrangler'), path.join(to.folder, '.wrangler'), { recursive: true })
  const dump = path.join(to.folder, 'wrangler.sql')
  wrangler(to, 'd1', 'export', 'DB', '--local', '--output', dump)
  const later = await start(to)
  await later.sql('UPDATE api_keys SET deleted_at = ? WHERE id = ?', utc(new Date()), seen.deletedLater.id)
  const since = await later.makeKey({ name: 'made since' })
  await later.expect(201, 'POST', '/tenants', { key: seen.key, body: later.fresh() })
  await later.sql('CREATE TABLE chv_later_pages (a)')
  // Somebody who changes the file could give the key back what it has lost.
  await later.sql("UPDATE api_keys SET scopes = 'tenants:read', permits = 1, expires_at = '2999-01-01 00:00:00' WHERE id = 1")
  await later.stop()

  const dry = await expectTenants(0, ['restore', '--from', dump, '--replace', '--dry-run'], { vars: to.vars })
  for (const difference of [
    'key 1: its scopes are `*` in the file and `tenants:read` in the database\n',
    'key 1: its permits are `-1` in the file and `1` in the database\n',
    'key 1: it expires never in the file and at 2999-01-01 00:00:00 in the database\n',
  ]) assert.ok(dry.output.includes(difference), dry.output)
  assert.doesNotMatch(dry.output, new RegExp(`key ${seen.deletedLater.id}: `))
  const outcome = json(await expectTenants(0, ['restore', '--from', dump, '--replace', '--delete-keys', 'deleted', '--format', 'json'], { vars: to.vars }))
  assert.deepEqual(outcome.keys.map(({ id, was, deleted }) => [id, was, deleted]), [[1, 'valid', false], [seen.deletedLater.id, 'deleted', true]])
  assert.deepEqual(outcome.lost_keys, [since.id])
  assert.deepEqual(outcome.keys.map(({ differences }) => differences.length), [3, 0])
  const api = await start(to)
  const { etag: _, ...bodies } = await answers(api, seen.key)
  const { etag: __, ...expected } = seen.answers
  assert.deepEqual(bodies, expected)
  for (const key of [seen.deletedLater.key, since.key]) await api.expect(401, 'POST', '/auth/verify', { key })
  assert.deepEqual(await api.sql("SELECT action, subject FROM audit_log WHERE action = 'api_key.delete'"), [{ action: 'api_key.delete', subject: String(seen.deletedLater.id) }])
  assert.deepEqual(normal(await api.sql(LIST)), seen.schema, 'nothing of the replaced database is left')
  const epoch = async () => (await api.sql('SELECT epoch FROM registry'))[0].epoch
  const first = await epoch()
  await api.stop()

  // After Time Travel, which has taken the database back itself.
  const finished = json(await expectTenants(0, ['restore', '--finish', '--delete-keys', '1', '--format', 'json'], { vars: to.vars }))
  assert.deepEqual(finished.keys.map(({ id, deleted }) => [id, deleted]), [[1, true]])
  const last = await start(to)
  assert.notEqual((await last.sql('SELECT epoch FROM registry'))[0].epoch, first)
  await last.expect(401, 'POST', '/auth/verify', { key: seen.key })
  await last.stop()
})

test('a remote database is backed up and restored through the API of D1', async () => {
  const folder = project('remote')
  const api = async (cutFile) => {
    const { url, db } = await startD1Api(cutOutsideOfBlocks, cutFile)
    return { db, vars: { ...folder.vars, CLOUDFLARE_API_BASE_URL: url, CLOUDFLARE_API_TOKEN: 'none', CLOUDFLARE_ACCOUNT_ID: '0'.repeat(32) } }
  }
  const rowsOf = ({ db }) => rows({ sql: (text) => db.prepare(text).all().map((row) => ({ ...row })) })
  const first = await api(cutAtLineEnds)
  const restored = await expectTenants(0, ['restore', '--from', file, '--remote'], { vars: first.vars })
  assert.match(restored.errors, /the database's bookmark is 00000001-00000002-00000003\n/)
  const run = json(await expectTenants(0, ['backup', '--remote', '--format', 'json'], { vars: first.vars }))
  assert.match(path.basename(run.file), /^tenants-remote-[-0-9T]+\.sql$/)
  assert.equal(run.bookmark, '00000001-00000002-00000003')
  const second = await api(cutOutsideOfBlocks)
  await expectTenants(0, ['restore', '--from', run.file, '--remote'], { vars: second.vars })
  const [one, two] = [await rowsOf(first), await rowsOf(second)]
  for (const table of ['audit_log', 'sqlite_sequence']) [one[table], two[table]] = [one[table].length + 1, two[table].length + (table === 'audit_log' ? 0 : 1)]
  assert.deepEqual(two, one)
  assert.deepEqual(schemaOf(second.db), seen.schema)
  assert.equal(second.db.prepare("SELECT count(*) AS n FROM audit_log WHERE action = 'registry.restore'").get().n, 2)
})

test('a file that was cut or changed, and a key that is not there, change nothing', async () => {
  const to = project('none')
  const text = readFileSync(file, 'utf8')
  const bad = path.join(to.folder, 'bad.sql')
  for (const [changed, why] of [
    [text.slice(0, text.length / 2), /not a complete export/],
    [text.replace("'page-3'", "'page-4b'"), /was changed since it was written:\n +chv_\w+_pages: a row/],
    [text.replace(/^INSERT INTO "api_keys".*\n/m, ''), /was changed since it was written:\n +api_keys: the file has 2 rows, the database 3/],
    ['not SQL', /not a complete export/],
  ]) {
    writeFileSync(bad, changed)
    chmodSync(bad, 0o600)
    const run = await expectTenants(1, ['restore', '--from', bad], { vars: to.vars })
    assert.match(run.errors, why)
  }
  const key = await expectTenants(2, ['restore', '--from', file, '--delete-keys', '999'], { vars: to.vars })
  assert.match(key.errors, /999 is not a key/)
  await expectTenants(2, ['restore', '--from', path.join(to.folder, 'missing.sql')], { vars: to.vars })
  await expectTenants(2, ['restore'], { vars: to.vars })
  const listed = JSON.parse(wrangler(to, 'd1', 'execute', 'DB', '--local', '--json', '--command', "SELECT count(*) AS n FROM sqlite_master WHERE name NOT GLOB '_cf_*'"))
  assert.equal(listed[0].results[0].n, 0)
  assert.ok(!existsSync(path.join(to.folder, 'backups')) || !readdirSync(path.join(to.folder, 'backups')).length)
})
