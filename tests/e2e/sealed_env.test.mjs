// `env` is never written to disk in clear, and can be decrypted only in its own row (API.md §5).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { filesBelow, freshSecrets, startApi } from './harness.mjs'

const kept = mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
after(() => rmSync(kept, { recursive: true, force: true }))
const api = await startApi()

const sealed = async (table, id) => (await api.sql(`SELECT env FROM ${table} WHERE id = ?`, id))[0].env
const put = (table, id, env) => api.sql(`UPDATE ${table} SET env = ? WHERE id = ?`, env, id)

/** Asserts that GET of this row and the list that contains it are a 500, and that the log names the row. */
async function assertUnreadable(where, id) {
  const { headers, text } = await api.refuse(500, 'internal', 'GET', `${where}/${id}`)
  assert.ok(!text.includes('{}'), text)
  await api.refuse(500, 'internal', 'GET', where)
  assert.ok(await api.logged(headers['x-request-id']))
  await api.logged(id)
}

test('a sealed env that was moved to another row cannot be decrypted: GET is a 500, never {}, and the log names the row', async () => {
  const a = await api.tenant({ env: { MINE: 'of a' } })
  const b = await api.tenant({ env: { MINE: 'of b' } })
  const own = await sealed('tenants', b.id)
  const moved = await sealed('tenants', a.id)
  await put('tenants', b.id, moved)
  await assertUnreadable('/tenants', b.id)
  await api.expect(200, 'GET', `/tenants/${a.id}`)

  await api.expect(204, 'PATCH', `/tenants/${b.id}`, { body: { is_enabled: false, limits: { A: '1' } } })
  assert.equal(await sealed('tenants', b.id), moved, 'a PATCH of other fields leaves it untouched')
  await put('tenants', b.id, own)
  const { json } = await api.expect(200, 'GET', `/tenants/${b.id}`)
  assert.deepEqual([json.env, json.limits, json.is_enabled], [{ MINE: 'of b' }, { A: '1' }, false])
  await put('tenants', b.id, moved)
  await api.expect(204, 'PATCH', `/tenants/${b.id}`, { body: { env: { NEW: '1' } } })
  assert.deepEqual((await api.expect(200, 'GET', `/tenants/${b.id}`)).json.env, { NEW: '1' }, 'a PATCH of env repairs it')
})

test("a sealed env cannot be decrypted after a swap between a tenant and a plan of the same id", async () => {
  const { id } = await api.tenant({ env: { MINE: 'the tenant' } })
  await api.plan({ id, env: { MINE: 'the plan' } })
  const [tenant, plan] = [await sealed('tenants', id), await sealed('tenants_plans', id)]
  await put('tenants', id, plan)
  await put('tenants_plans', id, tenant)
  await assertUnreadable('/tenants', id)
  await assertUnreadable('/tenants-plans', id)
  await api.expect(204, 'PATCH', `/tenants-plans/${id}`, { body: { limits: { A: '1' } } })
  assert.equal(await sealed('tenants_plans', id), tenant)
  await put('tenants', id, tenant)
  await put('tenants_plans', id, plan)
  assert.deepEqual((await api.expect(200, 'GET', `/tenants/${id}`)).json.env, { MINE: 'the tenant' })
  assert.deepEqual((await api.expect(200, 'GET', `/tenants-plans/${id}`)).json.env, { MINE: 'the plan' })
})

test('a sealed env that was changed, and a text that was never sealed, cannot be decrypted', async () => {
  const { id } = await api.tenant({ env: { A: 'a value' } })
  const good = await sealed('tenants', id)
  const at = Math.floor(good.length / 2)
  const flipped = good.slice(0, at) + (good[at] === 'A' ? 'B' : 'A') + good.slice(at + 1)
  for (const bad of [flipped, good.slice(0, -4), `${good}AAAA`, '', '{}', '{"A":"a value"}', 'x', randomBytes(80).toString('base64')]) {
    await put('tenants', id, bad)
    await assertUnreadable('/tenants', id)
  }
  await api.expect(204, 'DELETE', `/tenants/${id}`)
  await api.expect(200, 'GET', '/tenants')
})

test('the same env is encrypted to a different text every time', async () => {
  const texts = new Set()
  for (let i = 0; i < 5; i++) texts.add(await sealed('tenants', (await api.tenant({ env: { A: 'same' } })).id))
  const { id } = await api.tenant({ env: { A: 'same' } })
  texts.add(await sealed('tenants', id))
  await api.expect(204, 'PATCH', `/tenants/${id}`, { body: { env: { A: 'same' } } })
  texts.add(await sealed('tenants', id))
  assert.equal(texts.size, 7)
})

test("D1's files contain no key, no secret and no env value in clear", async () => {
  const persist = mkdtempSync(path.join(kept, 'files-'))
  const seen = await startApi({ persist })
  const value = (what) => `${what}-${randomBytes(12).toString('hex')}`
  const values = ['created', 'replaced', 'kept', 'plan', 'plan-replaced', 'deleted', 'refused'].map(value)
  const [created, replaced, standing, plan, planReplaced, deleted, refused] = values
  const control = value('limit')
  const { id } = await seen.tenant({ env: { SECRET: created }, limits: { OPEN: control } })
  await seen.expect(204, 'PATCH', `/tenants/${id}`, { body: { env: { SECRET: replaced } } })
  await seen.expect(204, 'PATCH', `/tenants/${id}`, { body: { env: { SECRET: standing } } })
  const { id: planId } = await seen.plan({ env: { SECRET: plan } })
  await seen.expect(204, 'PATCH', `/tenants-plans/${planId}`, { body: { env: { SECRET: planReplaced } } })
  const gone = await seen.tenant({ env: { SECRET: deleted } })
  await seen.expect(204, 'DELETE', `/tenants/${gone.id}`)
  await seen.expect(409, 'POST', '/tenants', { body: { ...seen.fresh(), id, env: { SECRET: refused } } })
  assert.equal((await seen.expect(200, 'GET', `/tenants/${id}`)).json.env.SECRET, standing)
  const { key } = await seen.makeKey({ name: 'unused' })

  const contents = () => Buffer.concat(filesBelow(persist).map((f) => readFileSync(f)))
  const hidden = [...values, ...Object.values(seen.secrets), ...[seen.key, key].flatMap((k) => [k, k.split('_').slice(2).join('_')])]
  const assertClean = (bytes) => {
    for (const secret of hidden) {
      for (const form of [Buffer.from(secret), Buffer.from(Buffer.from(secret).toString('base64').slice(0, 20)), Buffer.from(Buffer.from(secret).toString('hex'))]) {
        assert.equal(bytes.indexOf(form), -1, `${secret} is in a file`)
      }
    }
    assert.notEqual(bytes.indexOf(control), -1, 'the same search finds a value that is not encrypted')
  }
  assert.ok(filesBelow(persist).some((f) => f.endsWith('.sqlite')), 'the database file exists')
  assertClean(contents())
  await seen.stop()
  assertClean(contents())
})

test('during a rotation the previous key still decrypts, but never encrypts', async () => {
  const persist = mkdtempSync(path.join(kept, 'rotation-'))
  const { CHEVERETO_ENCRYPTION_KEY: older, ...secrets } = freshSecrets()
  const newer = freshSecrets().CHEVERETO_ENCRYPTION_KEY
  const env = { SECRET: 'sealed with the older key' }

  const before = await startApi({ persist, vars: { ...secrets, CHEVERETO_ENCRYPTION_KEY: older } })
  const stays = await before.tenant({ env })
  const moves = await before.tenant({ env })
  await before.stop()

  const during = await startApi({ persist, schema: false, vars: { ...secrets, CHEVERETO_ENCRYPTION_KEY: newer, CHEVERETO_ENCRYPTION_KEY_PREVIOUS: older } })
  const key = before.key
  for (const { id } of [stays, moves]) assert.deepEqual((await during.expect(200, 'GET', `/tenants/${id}`, { key })).json.env, env)
  await during.expect(204, 'PATCH', `/tenants/${moves.id}`, { key, body: { env } })
  await during.stop()

  const later = await startApi({ persist, schema: false, vars: { ...secrets, CHEVERETO_ENCRYPTION_KEY: newer } })
  assert.deepEqual((await later.expect(200, 'GET', `/tenants/${moves.id}`, { key })).json.env, env)
  await later.refuse(500, 'internal', 'GET', `/tenants/${stays.id}`, { key })
})
