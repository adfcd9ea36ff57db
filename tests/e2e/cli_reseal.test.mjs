// Runs `tenants env:reseal` with the built program, the real wrangler and the database of the built Worker.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { expectTenants, tenants } from './cli.mjs'
import { freshSecrets, startApi } from './harness.mjs'
import { wranglerScript } from '../../scripts/lib/environment.mjs'

const kept = mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
after(() => rmSync(kept, { recursive: true, force: true }))

// wrangler stores the state of `--persist-to DIR` in DIR/v3; Miniflare stores it in the given folder itself.
const folder = mkdtempSync(path.join(kept, 'reseal-'))
const persist = path.join(folder, 'v3')
const { CHEVERETO_ENCRYPTION_KEY: older, ...secrets } = freshSecrets()
const newer = freshSecrets().CHEVERETO_ENCRYPTION_KEY
// This script records its arguments and environment, then runs the real wrangler with them.
const record = path.join(kept, 'record')
const recorder = path.join(kept, 'wrangler.mjs')
writeFileSync(recorder, `import { appendFileSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
appendFileSync(${JSON.stringify(record)}, JSON.stringify([process.argv, process.env]) + String.fromCharCode(10))
process.exit(spawnSync(process.execPath, [${JSON.stringify(wranglerScript)}, ...process.argv.slice(2)], { stdio: 'inherit' }).status)
`)
const rotating = { CHEVERETO_ENCRYPTION_KEY: newer, CHEVERETO_ENCRYPTION_KEY_PREVIOUS: older, WRANGLER_BIN: recorder }
const NONE = { current: 0, previous: 0, other: 0 }
const reseal = (...more) => ['env:reseal', '--persist-to', folder, ...more]
const json = (run) => JSON.parse(run.output)

test('env:reseal re-encrypts every row under the current key, even if it is killed and run again', async () => {
  const marker = `plain-${randomBytes(12).toString('hex')}`
  const before = await startApi({ persist, vars: { ...secrets, CHEVERETO_ENCRYPTION_KEY: older } })
  // About the longest env that the API takes. Two of them exceed a batch, so each row needs its own.
  const long = () => ({ LONG: marker + 'é'.repeat(19_900) })
  const created = []
  for (const env of [{ A: marker }, long(), long(), long(), { B: marker }]) created.push(await before.tenant({ env }))
  const plan = await before.plan({ env: { P: marker } })
  const none = await before.tenant()
  const rows = () => Promise.all([before.sql('SELECT * FROM tenants ORDER BY id'), before.sql('SELECT * FROM tenants_plans')])
  const without = (all) => all.flat().map(({ env, ...rest }) => rest)
  const visible = without(await rows())
  await before.stop()

  const counted = await expectTenants(0, reseal('--dry-run', '--format', 'json'), { vars: rotating })
  assert.deepEqual(json(counted), { tenants: { current: 0, previous: 5, other: 0 }, plans: { current: 0, previous: 1, other: 0 }, answers: NONE, jobs: NONE, deleted: NONE, webhooks: NONE })
  const shown = await expectTenants(0, reseal('-n'), { vars: rotating })
  assert.match(shown.output, /^ *TABLE +CURRENT KEY +PREVIOUS KEY +NEITHER\n[─ ]+\n *tenants +0 +5 +0\n *tenants_plans +0 +1 +0\n *idempotency +0 +0 +0\n *cell_work +0 +0 +0\n *deleted_tenants +0 +0 +0\n *webhook_secrets +0 +0 +0\n$/)

  // Kill the run when some rows are re-encrypted and others are not.
  const killed = await tenants(reseal(), { vars: rotating, onErrors: (text, kill) => /encrypting again: [1-9]/.test(text) && kill() })
  assert.equal(killed.signal, 'SIGKILL', killed.errors)
  const between = json(await expectTenants(0, reseal('--dry-run', '--format', 'json'), { vars: rotating }))
  assert.ok(between.tenants.current > 0 && between.tenants.previous > 0, JSON.stringify(between))

  const run = await expectTenants(0, reseal(), { vars: rotating })
  const left = between.tenants.previous + between.plans.previous
  assert.equal(run.output, `encrypted ${left} rows again; everything encrypted (6) is under the current key\n`)
  assert.match(run.errors, new RegExp(`encrypting again: ${left} of ${left}\n$`))

  const again = json(await expectTenants(0, reseal('--format', 'json', '--quiet'), { vars: rotating }))
  const all = { tenants: { current: 5, previous: 0, other: 0 }, plans: { current: 1, previous: 0, other: 0 }, answers: NONE, jobs: NONE, deleted: NONE, webhooks: NONE }
  assert.deepEqual(again, { resealed: 0, overtaken: 0, unreadable: [], before: all, after: all })

  const later = await startApi({ persist, schema: false, vars: { ...secrets, CHEVERETO_ENCRYPTION_KEY: newer } })
  const { key } = before
  for (const tenant of [...created, none]) {
    assert.deepEqual((await later.expect(200, 'GET', `/tenants/${tenant.id}`, { key })).json, tenant)
  }
  assert.deepEqual((await later.expect(200, 'GET', `/tenants-plans/${plan.id}`, { key })).json, plan)
  assert.deepEqual(without(await Promise.all([later.sql('SELECT * FROM tenants ORDER BY id'), later.sql('SELECT * FROM tenants_plans')])), visible)
  const entries = await later.sql("SELECT key_id, request_id FROM audit_log WHERE action = 'env.reseal'")
  assert.equal(entries.length, 2, 'each run that changed rows added one entry')
  for (const entry of entries) assert.match(entry.request_id, /^cli-[0-9a-f]{32}$/)
  await later.stop()

  const calls = readFileSync(record, 'utf8')
  assert.ok(calls.includes('UPDATE tenants SET env'), 'the record contains the statements given to wrangler')
  for (const text of [calls, killed.errors, run.errors, run.output]) {
    for (const secret of [marker, older, newer, Buffer.from(marker).toString('hex')]) assert.ok(!text.includes(secret), `${secret} leaked`)
  }
})

test('env:reseal names the rows that it cannot decrypt and exits with 1; without a valid key it exits with 4', async () => {
  const other = freshSecrets().CHEVERETO_ENCRYPTION_KEY
  const api = await startApi({ persist, schema: false, vars: { ...secrets, CHEVERETO_ENCRYPTION_KEY: other } })
  const [row] = await api.sql('SELECT id FROM tenants WHERE env IS NOT NULL ORDER BY id LIMIT 1')
  const { id } = row
  await api.sql('UPDATE tenants SET env = ? WHERE id = ?', 'in clear', id)
  await api.stop()
  const run = await expectTenants(1, reseal(), { vars: { CHEVERETO_ENCRYPTION_KEY: newer } })
  assert.equal(run.output, 'encrypted 0 rows again\n')
  assert.match(run.errors, new RegExp(`error: 1 row is not encrypted under the current key, and these do not decrypt:\n +tenants/${id}/env is not a sealed text\n`))
  assert.ok(!run.errors.includes('in clear'))

  const wrong = await expectTenants(1, reseal('--format', 'json'), { vars: { CHEVERETO_ENCRYPTION_KEY: other } })
  const { unreadable, resealed, after: left } = json(wrong)
  assert.deepEqual([resealed, unreadable.length, left.tenants.other, left.plans.other], [0, 6, 5, 1])
  assert.equal(JSON.parse(wrong.errors.split('\n').at(-2)).code, 'incomplete')

  const none = await expectTenants(4, [...reseal(), '--remote'].filter((arg) => arg !== '--persist-to' && arg !== folder))
  assert.match(none.errors, /CHEVERETO_ENCRYPTION_KEY is not set/)
  const bad = await expectTenants(4, reseal(), { vars: { CHEVERETO_ENCRYPTION_KEY: 'c2hvcnQ=' } })
  assert.match(bad.errors, /CHEVERETO_ENCRYPTION_KEY: expected base64 of 32 bytes; got 5 bytes/)
})
