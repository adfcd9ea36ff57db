// The regular work of a host of the package: `scheduled`, on SQLite in memory, with a receiver of webhooks and a resolver on loopback.
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { TenantsApi, prepareDatabase } from 'tenants-core'
import { nodeSqlite } from 'tenants-core/node-sqlite'

const MINUTE_MS = 60_000
const hex = () => randomBytes(32).toString('hex')

const received = []
const records = new Map()
const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost')
  if (pathname === '/dns') {
    const value = records.get(searchParams.get('name'))
    response.end(JSON.stringify({ Status: value ? 0 : 3, Answer: value && [{ name: searchParams.get('name'), type: 16, TTL: 1, data: `"${value}"` }] }))
  } else {
    received.push(JSON.parse(await new Response(request).text()))
    response.writeHead(204).end()
  }
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const at = (path) => `http://127.0.0.1:${server.address().port}${path}`
after(() => server.close().closeAllConnections())

const variables = {
  CHEVERETO_TENANTS_API_KEY_SECRET: hex(), CHEVERETO_TENANTS_API_REQUEST_SECRET: hex(), CHEVERETO_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  TENANTS_DEVELOPMENT: 'true', TENANTS_HOSTNAME_PROOF: 'txt', TENANTS_DOH_URL: at('/dns'),
}
const api = new TenantsApi(variables, { log: () => {} })

/** A database with a key, and a way to call the API on it. */
async function registry() {
  const database = nodeSqlite(new DatabaseSync(':memory:'))
  await prepareDatabase(database)
  const { key } = await api.createApiKey(database)
  const ask = async (status, method, path, json, now) => {
    const body = json === undefined ? '' : JSON.stringify(json)
    const headers = { 'x-api-key': key, 'x-signature': createHmac('sha256', variables.CHEVERETO_TENANTS_API_REQUEST_SECRET).update(body).digest('hex'), 'content-type': 'application/json' }
    const response = await api.fetch(new Request(`http://localhost/_/api/4${path}`, { method, headers, ...(body && { body }) }), database, { now })
    const text = await response.text()
    assert.equal(response.status, status, text)
    return text && JSON.parse(text)
  }
  return { database, ask }
}

const tenant = (id) => ({ id, hostname: `${id}.example.com`, is_enabled: true })
const NOTHING = { enabled: false, accepted: 0, refused: 0, givenUp: 0, disabled: 0, isCut: false }

test('without anything to do it does nothing, as often as it runs', async () => {
  const { database } = await registry()
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await api.scheduled(database), { statistics: { counted: 0, gone: 0, failed: [] }, webhooks: NOTHING, hostnames: { lookedUp: 0, failed: [] } })
  }
})

test('it ends a hold that is past its time', async () => {
  const { database, ask } = await registry()
  const until = new Date(Date.now() + 2 * MINUTE_MS).toISOString().slice(0, 19).replace('T', ' ')
  await ask(201, 'POST', '/tenants', tenant('a'))
  await ask(204, 'PUT', '/tenants/a/holds/abuse', { reason: 'r', until })
  await api.scheduled(database)
  assert.equal((await ask(200, 'GET', '/tenants/a')).served, false)
  await api.scheduled(database, { now: Date.now() + 3 * MINUTE_MS })
  assert.equal((await ask(200, 'GET', '/tenants/a')).served, true)
})

test('it sends all events that webhooks wait for, in their order, and each once', async () => {
  const { database, ask } = await registry()
  await ask(201, 'POST', '/webhooks', { url: at('/hook'), types: ['tenant.created'] })
  // More than one run of the deliveries takes.
  const ids = Array.from({ length: 70 }, (_, i) => `t${100 + i}`)
  for (const id of ids) await ask(201, 'POST', '/tenants', tenant(id))
  const { webhooks } = await api.scheduled(database)
  assert.deepEqual(webhooks, { ...NOTHING, enabled: true, accepted: ids.length })
  assert.deepEqual(received.map(({ data }) => data.id), ids)
  assert.deepEqual((await api.scheduled(database)).webhooks, { ...NOTHING, enabled: true })
  assert.equal(received.length, ids.length)
})

test('it looks up the records of hostnames', async () => {
  const { database, ask } = await registry()
  await ask(201, 'POST', '/tenants', tenant('a'))
  const claim = await ask(201, 'PUT', '/tenants/a/hostnames/photos.example.org', { kind: 'alias' })
  assert.notEqual(claim.claimed_until, null)
  records.set(claim.proof.name, claim.proof.value)
  const { hostnames } = await api.scheduled(database, { now: Date.now() + 15 * MINUTE_MS })
  assert.deepEqual(hostnames, { lookedUp: 1, failed: [] })
  assert.equal((await ask(200, 'GET', '/tenants/a/hostnames'))[0].claimed_until, null)
})

test('if one part fails the others go on, and the error says which failed', async () => {
  const { database, ask } = await registry()
  await ask(201, 'POST', '/tenants', tenant('a'))
  await ask(204, 'PUT', '/tenants/a/holds/abuse', { reason: 'r', until: new Date(Date.now() + MINUTE_MS).toISOString().slice(0, 19).replace('T', ' ') })
  const failing = {
    batch: (statements) => {
      if (statements.some(({ sql }) => sql.includes('webhooks'))) throw new Error('the disk is full')
      return database.batch(statements)
    },
  }
  await assert.rejects(api.scheduled(failing, { now: Date.now() + 2 * MINUTE_MS }), (error) => {
    assert.ok(error instanceof AggregateError)
    assert.deepEqual(error.errors.map(({ name, code }) => [name, code]), [['TenantsError', 'task_failed']])
    assert.match(error.message, /the disk is full/)
    return true
  })
  assert.equal((await ask(200, 'GET', '/tenants/a')).served, true)
})
