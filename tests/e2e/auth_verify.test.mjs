// POST /auth/verify, and the checks of an API key (API.md §2).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { digestOf, forgeKey, startApi, TIME, utc } from './harness.mjs'

const api = await startApi()
const inSeconds = (n) => utc(new Date(Date.now() + n * 1000))
const keySecret = api.secrets.CHEVERETO_TENANTS_API_KEY_SECRET

/** Requests that need a valid key. None of them names an existing row. */
const everyRoute = [
  ['POST', '/auth/verify'], ['GET', '/tenants'], ['HEAD', '/tenants'], ['GET', '/tenants/nobody'],
  ['POST', '/tenants', { id: 'unborn', hostname: 'unborn.example.com', is_enabled: true }],
  ['PATCH', '/tenants/nobody', { is_enabled: true }], ['DELETE', '/tenants/nobody'], ['DELETE', '/tenants/nobody', { drop_tables: true }],
  ['POST', '/tenants/nobody/install', { username: 'admin', email: 'admin@example.com', password: 'mypassword' }],
  ['PATCH', '/tenants/nobody/user-password-reset', { username: 'admin', password: 'mypassword' }],
  ['GET', '/tenants-plans'], ['GET', '/tenants-plans/nobody'], ['POST', '/tenants-plans', { id: 'unborn' }],
  ['PATCH', '/tenants-plans/nobody', { limits: {} }], ['DELETE', '/tenants-plans/nobody'],
]

/** Sends a request that must get a 401, and returns the response without its request id. */
async function refusal(method, where, options) {
  const { json: { request_id: _, ...rest }, headers } = await api.refuse(401, 'unauthorized', method, where, options)
  return { ...rest, challenge: headers['www-authenticate'] }
}
const missingKey = () => refusal('POST', '/auth/verify', { key: null })

test('every wrong key and every wrong signature gets the same 401, so that a caller cannot learn which was wrong', async () => {
  const [, id, secret] = /^chv_(\d+)_(.+)$/.exec(api.key)
  const other = await api.makeKey()
  const deleted = await api.makeKey({ deleted_at: inSeconds(-1) })
  const expired = await api.makeKey({ expires_at: inSeconds(-1) })
  const flipped = (at) => secret.slice(0, at) + (secret[at] === 'A' ? 'B' : 'A') + secret.slice(at + 1)
  const keys = {
    empty: '', 'not a key': 'x', 'the prefix': 'chv_', 'without a secret': `chv_${id}_`, 'without an id': `chv__${secret}`, 'only the secret': secret,
    'another prefix': `CHV_${id}_${secret}`, 'a leading zero in the id': `chv_0${id}_${secret}`, 'a negative id': `chv_-${id}_${secret}`, 'a plus sign': `chv_+${id}_${secret}`,
    'id zero': forgeKey(keySecret, 0), 'an id beyond 64 bits': forgeKey(keySecret, '99999999999999999999'), 'an id that is no number': forgeKey(keySecret, 'a'),
    "another key's id": `chv_${other.id}_${secret}`, 'a flipped first bit': `chv_${id}_${flipped(0)}`, 'a flipped last bit': `chv_${id}_${flipped(63)}`,
    'the first character of the MAC': `chv_${id}_${flipped(22)}`, shortened: api.key.slice(0, -1), lengthened: `${api.key}A`, padded: `${api.key}=`,
    'the MAC of another secret': forgeKey(randomBytes(32).toString('hex'), id), 'given twice': `${api.key}, ${api.key}`,
    'a good MAC and no row': forgeKey(keySecret, 999_999), "a good MAC and another row's digest": forgeKey(keySecret, id),
    deleted: deleted.key, expired: expired.key,
  }
  const expected = await missingKey()
  for (const [what, key] of Object.entries(keys)) assert.deepEqual(await refusal('POST', '/auth/verify', { key }), expected, what)
  assert.deepEqual(await refusal('POST', '/auth/verify', { signature: null }), expected, 'no signature')
  assert.deepEqual(await refusal('POST', '/auth/verify', { signature: api.sign('x') }), expected, 'a wrong signature')
  for (const [method, where, body] of everyRoute.filter(([m]) => m !== 'HEAD')) {
    assert.deepEqual(await refusal(method, where, { body, key: null }), expected, `${method} ${where}`)
  }
})

test('every route refuses a deleted, expired or unknown key with a 401 and writes nothing', async () => {
  const dead = [await api.makeKey({ deleted_at: inSeconds(-1) }), await api.makeKey({ expires_at: inSeconds(-1) }), { key: forgeKey(keySecret, 999_999) }]
  const tenant = await api.tenant()
  const plan = await api.plan()
  const state = async () => [await api.sql('SELECT * FROM tenants'), await api.sql('SELECT max(id) AS last FROM audit_log')]
  const before = await state()
  for (const { key } of dead) {
    for (const [method, where, body] of everyRoute) {
      const options = { key, body }
      await api.expect(401, method, where, options)
      await api.expect(401, method, where.replace(/^\/tenants\/nobody/, `/tenants/${tenant.id}`).replace(/-plans\/nobody/, `-plans/${plan.id}`), options)
    }
    await api.expect(401, 'POST', '/tenants', { key, body: { ...api.fresh(), id: tenant.id } })
  }
  assert.deepEqual(await state(), before)
  assert.deepEqual(await api.sql("SELECT id FROM tenants_plans WHERE id = 'unborn'"), [])
  assert.equal((await api.expect(200, 'GET', `/tenants-plans/${plan.id}`)).json.id, plan.id)
})

test('verify returns the key of the request', async () => {
  const { json } = await api.expect(200, 'POST', '/auth/verify')
  assert.match(json.key.created_at, TIME)
  assert.deepEqual(json, { valid: true, key: { id: api.keyId, name: 'end to end', created_at: json.key.created_at, expires_at: null, scopes: ['*'], bound: false } })
})

test('verify accepts a key that has no name and expires in a day', async () => {
  const expires_at = inSeconds(86_400)
  const { id, key } = await api.makeKey({ expires_at })
  const { json } = await api.expect(200, 'POST', '/auth/verify', { key })
  assert.deepEqual([json.key.id, json.key.name, json.key.expires_at], [id, null, expires_at])
})

test('a key stops working in the second of its expiry, and immediately after its deletion', async () => {
  const { id, key } = await api.makeKey({ expires_at: inSeconds(60) })
  await api.expect(200, 'POST', '/auth/verify', { key })
  await api.sql('UPDATE api_keys SET expires_at = ? WHERE id = ?', utc(new Date()), id)
  await api.expect(401, 'POST', '/auth/verify', { key })
  await api.sql('UPDATE api_keys SET expires_at = NULL WHERE id = ?', id)
  await api.expect(200, 'POST', '/auth/verify', { key })
  await api.sql('UPDATE api_keys SET deleted_at = ? WHERE id = ?', utc(new Date()), id)
  await api.expect(401, 'POST', '/auth/verify', { key })
})

test('a key is refused if its row has the digest of another key', async () => {
  const { id, key } = await api.makeKey()
  await api.sql('UPDATE api_keys SET digest = ? WHERE id = ?', digestOf(`${key}x`), id)
  await api.expect(401, 'POST', '/auth/verify', { key })
  await api.sql('UPDATE api_keys SET digest = ? WHERE id = ?', digestOf(key), id)
  await api.expect(200, 'POST', '/auth/verify', { key })
})

test('reads ignore the content of a body but check its signature', async () => {
  const tenant = await api.tenant()
  const plan = await api.plan()
  for (const [method, where] of [['GET', '/tenants'], ['GET', `/tenants/${tenant.id}`], ['GET', '/tenants-plans'], ['GET', `/tenants-plans/${plan.id}`]]) {
    for (const body of ['{', '[]', '{"nope":1}', Buffer.from([0xff, 0])]) {
      // Miniflare's own entry refuses a GET with a body, but workerd accepts it.
      const options = { body, origin: api.direct }
      await api.expect(200, method, where, options)
      await api.expect(200, method, where, { ...options, headers: { 'Content-Type': null } })
      await api.expect(200, method, where, { ...options, headers: { 'Content-Type': 'text/plain' } })
      await api.expect(401, method, where, { ...options, signature: api.sign('') })
    }
  }
})

test('verify writes nothing', async () => {
  const before = await api.sql('SELECT count(*) AS n FROM audit_log')
  await api.expect(200, 'POST', '/auth/verify')
  assert.deepEqual(await api.sql('SELECT count(*) AS n FROM audit_log'), before)
})
