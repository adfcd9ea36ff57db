// A platform without a network of its own, such as a browser: the events of webhooks wait, and the regular work does not wait for them.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'

// The package finds no module to send with. So it is imported after this.
const builtin = process.getBuiltinModule
process.getBuiltinModule = undefined
const { TenantsApi, prepareDatabase } = await import('tenants-core')
const { nodeSqlite } = await import('tenants-core/node-sqlite')
process.getBuiltinModule = builtin

const hex = () => randomBytes(32).toString('hex')

test('scheduled ends at once, and sends nothing', async () => {
  const secret = hex()
  const api = new TenantsApi({ CHEVERETO_TENANTS_API_KEY_SECRET: hex(), CHEVERETO_TENANTS_API_REQUEST_SECRET: secret, CHEVERETO_ENCRYPTION_KEY: randomBytes(32).toString('base64') }, { log: () => {} })
  const database = nodeSqlite(new DatabaseSync(':memory:'))
  await prepareDatabase(database)
  const { key } = await api.createApiKey(database)
  for (const [path, json] of [['/webhooks', { url: 'https://hooks.example.com/' }], ['/tenants', { id: 'a', hostname: 'a.example.com', is_enabled: true }]]) {
    const body = JSON.stringify(json)
    const headers = { 'x-api-key': key, 'x-signature': createHmac('sha256', secret).update(body).digest('hex'), 'content-type': 'application/json' }
    const response = await api.fetch(new Request(`http://localhost/_/api/4${path}`, { method: 'POST', headers, body }), database)
    assert.equal(response.status, 201, await response.text())
  }
  const began = Date.now()
  const { webhooks } = await api.scheduled(database)
  assert.ok(Date.now() - began < 10_000, 'it does not try for as long as it may')
  assert.deepEqual(webhooks, { enabled: true, accepted: 0, refused: 0, givenUp: 0, disabled: 0, isCut: false })
})
