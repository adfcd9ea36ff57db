// Secrets rotate without downtime (docs/ROTATION.md): keys and data that work before a step still work after it, on one database.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { freshSecrets, hmac, startApi } from './harness.mjs'

const persist = mkdtempSync(path.join(os.tmpdir(), 'tenants-rotation-'))
after(() => rmSync(persist, { recursive: true, force: true }))

const [before, next] = [freshSecrets(), freshSecrets()]
const names = Object.keys(before)
let schema = true

/** Runs one step of a rotation: starts the Worker with these variables and calls `ask` with it. */
async function under(vars, ask) {
  const api = await startApi({ persist, vars, schema })
  try {
    await ask(api)
  } finally {
    await api.stop()
  }
}

test('request secret, key secret and encryption key rotate together, and no valid request is refused in between', async () => {
  let oldKey
  let newKey
  const tenant = { id: 'kept', hostname: 'kept.example.com', is_enabled: true, env: { TOKEN: 'sealed before' } }
  const ask = (api, status, secrets, key, method = 'GET', where = '/tenants/kept', body) =>
    api.expect(status, method, where, { key, body, signature: hmac(secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET, body ?? '') })

  await under(before, async (api) => {
    oldKey = api.key
    await api.expect(201, 'POST', '/tenants', { body: tenant })
  })
  schema = false
  const keptAs = (secrets) => Object.fromEntries(names.map((name) => [`${name}_PREVIOUS`, secrets[name]]))

  // First set each `…_PREVIOUS`: to the current secret, except that of the encryption key, which is the next key.
  const first = { ...before, ...keptAs(before), CHEVERETO_ENCRYPTION_KEY_PREVIOUS: next.CHEVERETO_ENCRYPTION_KEY }
  await under(first, async (api) => {
    assert.deepEqual((await ask(api, 200, before, oldKey)).json.env, tenant.env)
  })

  await under({ ...next, ...keptAs(before) }, async (api) => {
    newKey = (await api.makeKey({ name: 'new' })).key
    for (const secrets of [before, next]) {
      for (const key of [oldKey, newKey]) assert.deepEqual((await ask(api, 200, secrets, key)).json.env, tenant.env)
    }
    await ask(api, 401, freshSecrets(), newKey)
    await ask(api, 204, before, oldKey, 'PATCH', '/tenants/kept', '{"env":{"TOKEN":"sealed after"}}')
    api.assertNothingSecretLogged(...Object.values(before))
  })

  // An isolate that still runs the previous step can read rows that the new ones write, and the other way round.
  await under(first, async (api) => {
    assert.deepEqual((await ask(api, 200, before, oldKey)).json.env, { TOKEN: 'sealed after' })
    await ask(api, 201, before, oldKey, 'POST', '/tenants', '{"id":"late","hostname":"late.example.com","is_enabled":true,"env":{"TOKEN":"sealed late"}}')
  })
  await under({ ...next, ...keptAs(before) }, async (api) => {
    assert.deepEqual((await ask(api, 200, next, newKey, 'GET', '/tenants/late')).json.env, { TOKEN: 'sealed late' })
    await ask(api, 204, next, newKey, 'PATCH', '/tenants/late', '{"env":{"TOKEN":"sealed again"}}')
  })

  await under(next, async (api) => {
    assert.deepEqual((await ask(api, 200, next, newKey)).json.env, { TOKEN: 'sealed after' })
    assert.deepEqual((await ask(api, 200, next, newKey, 'GET', '/tenants/late')).json.env, { TOKEN: 'sealed again' })
    await ask(api, 401, before, newKey)
    await ask(api, 401, next, oldKey)
    await api.logged('X-API-Key is forged')
    await api.logged('X-Signature does not match this body')
  })
})
