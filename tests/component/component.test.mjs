// Inspects and uses the built components: their imports, their size, and the errors for a host that misuses one.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import dns from 'node:dns/promises'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { componentWit, print } from '@bytecodealliance/jco-transpile/wasm-tools'
import { checkedSender } from '../../crates/wasm/js/outbound.js'
import { componentPath, noticesPath } from '../../scripts/component.mjs'
import { root } from '../../scripts/lib/run.mjs'
import { readSchema } from '../../scripts/lib/sql.mjs'
import { doTask, doTaskOnline, emptyDatabase, exchange, exchangeOnline, freshDatabase, instantiate, noNetwork, nowSeconds, openDatabase, pairs, ran, randomBytes, runBatch } from './jco.mjs'
import { receiver } from './receiver.mjs'

const SECRETS = {
  CHEVERETO_TENANTS_API_KEY_SECRET: 'the secret of keys',
  CHEVERETO_TENANTS_API_REQUEST_SECRET: 'the secret of requests',
  CHEVERETO_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
}

const component = (world) => readFileSync(componentPath(world))

/** Lists the functions that a component imports, as `interface.function`. */
async function importedFunctions(world) {
  // Items of the component itself are indented by two spaces; those of the modules inside it by more.
  const items = (await print(component(world))).split(/\n {2}(?=\()/)
  return items.flatMap((item) => {
    const [, name, kind] = item.match(/^\(import "([^"]+)" \((\w+)/) ?? []
    if (name === undefined || kind === 'type') return []
    if (kind !== 'instance') return [name]
    const [, type] = item.match(/\(type ([^\s)]+)\)/)
    const shape = items.find((other) => other.startsWith(`(type ${type} `)) ?? assert.fail(`no type ${type}`)
    return [...shape.matchAll(/\(export \(;\d+;\) "([^"]+)" \(func/g)].map(([, func]) => `${name}.${func}`)
  })
}

test('each world imports only the interfaces it names, and no file, socket or environment', async () => {
  const imports = async (world) => [...(await componentWit(component(world))).matchAll(/^ {2}import ([^;]+);/gm)].map(([, name]) => name)
  assert.deepEqual(await imports('exchange'), ['tenants:api/types@0.3.0'])
  assert.deepEqual(await imports('service'), ['types', 'database', 'network', 'clock', 'randomness'].map((name) => `tenants:api/${name}@0.3.0`))
  // The interface `types` has no functions.
  assert.deepEqual(await importedFunctions('exchange'), [])
  assert.deepEqual(await importedFunctions('service'), [
    'tenants:api/database@0.3.0.run', 'tenants:api/database@0.3.0.has-sites', 'tenants:api/network@0.3.0.resolve', 'tenants:api/network@0.3.0.send', 'tenants:api/clock@0.3.0.now', 'tenants:api/randomness@0.3.0.bytes',
  ])
})

test('the world service has two exports', async () => {
  const exports = [...(await componentWit(component('service'))).matchAll(/^ {2}export ([\w-]+)/gm)].map(([, name]) => name)
  assert.deepEqual(exports, ['handle', 'do-task'])
})

test('the notices of the crates in the components lie beside them', () => {
  const notices = readFileSync(noticesPath, 'utf8')
  for (const crate of ['curve25519-dalek', 'ed25519-dalek', 'subtle', 'wit-bindgen']) assert.match(notices, new RegExp(`^${crate} \\d+\\.`, 'm'))
})

test('every item of the WIT is documented', () => {
  const folder = path.join(root, 'crates', 'component', 'wit')
  let items = 0
  for (const file of readdirSync(folder)) {
    const lines = readFileSync(path.join(folder, file), 'utf8').split('\n')
    lines.forEach((line, index) => {
      const isItem = /^(package|interface|world|\s+(record|variant|enum|resource|type|export [\w-]+:)) ?|^\s+[a-z][\w-]*(: |\(.*\),$|,$)/.test(line)
      if (!isItem) return
      items += 1
      assert.match(lines[index - 1] ?? '', /^\s*\/\/\/ /, `${file}:${index + 1}: ${line.trim()}`)
    })
  }
  assert.ok(items > 50, `${items} items`)
})

test('the WIT names every header that the component reads', () => {
  const names = readFileSync(path.join(root, 'crates', 'core', 'src', 'wire', 'http.rs'), 'utf8').match(/pub const NAMES[^=]*= \[([^\]]*)\]/)[1].match(/(?<=")[\w-]+(?=")/g)
  const wit = readFileSync(path.join(root, 'crates', 'component', 'wit', 'types.wit'), 'utf8').match(/those that the component reads:([^]*?)\. The component/)[1].match(/(?<=`)[\w-]+(?=`)/g)
  assert.ok(names.length >= 15)
  assert.deepEqual(wit.sort(), names.sort())
})

test('a database that another connection holds is a 503 in both worlds, and the instance serves the next request', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-held-'))
  const [database, other] = [0, 1].map(() => openDatabase(path.join(folder, 'registry')))
  database.exec(`PRAGMA busy_timeout = 1; ${readSchema(root)}`)
  const { exchanges, api } = await started()
  const service = await serviceOn(database)
  const key = doTask(exchanges, api, database, create('tests')).val
  const request = get('/_/api/4/tenants', { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) })
  const statuses = () => [exchange(exchanges, api, database, request), service.handle(pairs(SECRETS), request)].map(({ response }) => response.status)
  assert.deepEqual(statuses(), [200, 200])
  for (const held of [other, database]) {
    held.exec('BEGIN IMMEDIATE')
    assert.deepEqual(statuses(), held === other ? [503, 503] : [500, 500])
    assert.ok(held.isTransaction, 'the transaction of the host is its own')
    held.exec('ROLLBACK')
  }
  assert.deepEqual(statuses(), [200, 200])
  for (const each of [database, other]) each.close()
  rmSync(folder, { recursive: true })
})

test('in the world service, a function of the host that throws does not keep the instance from the next request', async () => {
  const database = freshDatabase()
  let isBroken = false
  const run = (batch) => {
    if (isBroken) throw new Error('the host broke')
    return runBatch(database, batch)
  }
  const service = await serviceOn(database, noNetwork, run)
  const request = get('/_/api/4/tenants', { 'x-api-key': service.doTask(pairs(SECRETS), create('tests')).val.val.text })
  isBroken = true
  assert.throws(() => service.handle(pairs(SECRETS), signed(request)), /the host broke/)
  isBroken = false
  assert.equal(service.handle(pairs(SECRETS), signed(request)).response.status, 200)
})

/** Creates an API of the world `exchange`, a database, and a key through the component. */
async function started(variables = SECRETS) {
  const { exchanges } = await instantiate('exchange')
  const api = exchanges.Api.create(pairs(variables), false)
  const database = freshDatabase()
  const key = doTask(exchanges, api, database, create('tests')).val
  return { exchanges, api, database, key }
}

/** Instantiates the world `service` on a database. */
const serviceOn = (database, network = noNetwork, run = (batch) => runBatch(database, batch)) => instantiate('service', {
  'tenants:api/database': { run, hasSites: () => false },
  'tenants:api/network': network,
  'tenants:api/clock': { now: nowSeconds },
  'tenants:api/randomness': { bytes: randomBytes },
})

const create = (name, expiresAt, scopes, bound = false) => ({ tag: 'create-api-key', val: { name, expiresAt, scopes, bound } })
const signed = (request) => (
  { ...request, headers: [...request.headers, { name: 'x-signature', value: createHmac('sha256', SECRETS.CHEVERETO_TENANTS_API_REQUEST_SECRET).update('').digest('hex') }] })
const get = (target, headers) => ({ method: 'GET', target, headers: pairs(headers), body: { tag: 'bytes', val: new Uint8Array() } })

test('a request with a key and a signature from the component is accepted', async () => {
  const { exchanges, api, database, key } = await started()
  assert.equal(key.id, 1n)
  const signature = api.sign(new Uint8Array())
  assert.equal(signature, createHmac('sha256', SECRETS.CHEVERETO_TENANTS_API_REQUEST_SECRET).update('').digest('hex'))
  const request = get('/_/api/4/tenants', { 'X-API-Key': key.text, 'x-signature': signature })
  const { response, log } = exchange(exchanges, api, database, request)
  assert.equal(response.status, 200, response.body)
  assert.equal(response.body, '[]')
  assert.match(log.version, /^\d+\.\d+\.\d+$/)
  assert.deepEqual({ ...log, requestId: undefined, version: undefined }, {
    level: 'info', requestId: undefined, method: 'GET', route: '/tenants', legacy: false, status: 200, keyId: 1n, cause: undefined,
    clientAddress: undefined, version: undefined,
  })
  assert.equal(log.requestId, response.headers.find(({ name }) => name === 'x-request-id').value)
})

test('an exchange cannot be resumed twice', async () => {
  const { exchanges, api, database, key } = await started()
  const step = api.begin(get('/_/api/4/tenants', { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) }), nowSeconds(), randomBytes())
  assert.equal(step.tag, 'run')
  const outcome = ran(database, step.val.work.val.batch)
  assert.equal(exchanges.Exchange.resume(step.val.exchange, outcome).tag, 'send')
  assert.throws(() => exchanges.Exchange.resume(step.val.exchange, outcome), TypeError)
})

test('a long list comes in parts in the world exchange, and whole in the world service', async () => {
  const { exchanges, api, database, key } = await started()
  database.exec("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 6000) INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) SELECT 't' || n, 'h' || n, 1, '', '' FROM c")
  const request = get('/_/api/4/tenants', { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) })
  const { response, parts } = exchange(exchanges, api, database, request)
  assert.equal(parts, 3)
  assert.equal(JSON.parse(response.body).length, 6000)

  const service = await serviceOn(database)
  assert.equal(service.handle(pairs(SECRETS), request).response.body, response.body)

  database.exec("UPDATE tenants SET limits = 'x' WHERE id = 't999'")
  const step = exchanges.Exchange.resume(api.begin(request, nowSeconds(), randomBytes()).val.exchange, ran(database, api.begin(request, nowSeconds(), randomBytes()).val.work.val.batch))
  assert.equal(step.tag, 'open')
  const next = exchanges.Rest.resume(step.val.rest, runBatch(database, step.val.rest.batch()))
  const failed = thrown(() => exchanges.Rest.resume(next.rest, runBatch(database, next.rest.batch())))
  assert.equal(failed.response.status, 500)
  assert.match(failed.log.cause, /^the list broke off: .*t999/)
  assert.equal(service.handle(pairs(SECRETS), request).response.status, 500)
})

test('neither world waits for a cell: the answer is a 202 at once', async () => {
  const { exchanges, api, database, key } = await started()
  database.exec("INSERT INTO cells (id, is_accepting, created_at, updated_at) VALUES ('eu', 1, '', '')")
  database.exec("INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at, cell_id, has_site) VALUES ('far', 'far.example.com', 1, '', '', 'eu', 0)")
  const service = await serviceOn(database)
  const body = new TextEncoder().encode(JSON.stringify({ username: 'admin', email: 'admin@example.com', password: 'correct horse' }))
  const headers = { 'x-api-key': key.text, 'x-signature': api.sign(body), 'content-type': 'application/json', prefer: 'wait=60' }
  const request = { method: 'POST', target: '/_/api/4/tenants/far/install', headers: pairs(headers), body: { tag: 'bytes', val: body } }
  const began = Date.now()
  for (const { response } of [exchange(exchanges, api, database, request), service.handle(pairs(SECRETS), request)]) {
    assert.equal(response.status, 202, response.body)
    assert.equal(JSON.parse(response.body).state, 'waiting')
    assert.ok(!response.headers.some(({ name }) => name === 'preference-applied'))
  }
  assert.ok(Date.now() - began < 20_000, 'it waited')
})

/** The outcome of a batch that failed. */
const broken = (tag, val) => ({ tag: 'batch', val: { tag: 'err', val: { tag, val } } })

/** Returns what a call throws: jco throws the error of a WIT result. */
function thrown(call) {
  try {
    call()
  } catch (error) {
    return error.payload ?? error
  }
  return assert.fail('nothing was thrown')
}

test('a failed batch is a 500, and only the log has the reason', async () => {
  const { exchanges, api, key } = await started()
  const step = api.begin(get('/_/api/4/tenants', { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) }), nowSeconds(), randomBytes())
  const { val } = exchanges.Exchange.resume(step.val.exchange, broken('failed', 'the disk is full'))
  assert.equal(val.response.status, 500)
  assert.doesNotMatch(val.response.body, /disk/)
  assert.equal(val.log.level, 'error')
  assert.match(val.log.cause, /the disk is full/)
})

test('a batch that was unavailable is a 503 with Retry-After, and only the log has the reason', async () => {
  const { exchanges, api, key } = await started()
  const step = api.begin(get('/_/api/4/tenants', { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) }), nowSeconds(), randomBytes())
  const { val } = exchanges.Exchange.resume(step.val.exchange, broken('unavailable', 'database is locked'))
  assert.deepEqual([val.response.status, val.response.headers.find(({ name }) => name === 'retry-after')?.value], [503, '1'])
  assert.doesNotMatch(val.response.body, /locked/)
  assert.match(val.log.cause, /database is locked/)
  const task = api.beginTask({ tag: 'list-api-keys' }, nowSeconds(), randomBytes())
  assert.throws(() => exchanges.RunningTask.resume(task.val.task, broken('unavailable', 'database is locked')), ({ tag, val }) => tag === 'unavailable' && /database is locked/.test(val))
})

test('with too few random bytes a request is a 500, and no key is created', async () => {
  const { api } = await started()
  const { tag, val } = api.begin(get('/_/api/4/tenants', {}), nowSeconds(), new Uint8Array(15))
  assert.equal(tag, 'send')
  assert.equal(val.response.status, 500)
  const task = create()
  assert.throws(() => api.beginTask(task, nowSeconds(), new Uint8Array(15)), ({ tag, val }) => tag === 'failed' && /random/.test(val))
})

test('the error of a configuration lists every wrong variable', async () => {
  const { exchanges } = await instantiate('exchange')
  const variables = [...pairs({ ...SECRETS, CHEVERETO_SERVICE_PORT: 'many', CHEVERETO_ENCRYPTION_KEY: 'c2VjcmV0', PORT: '8080' }), { name: 'PORT', value: '' }]
  assert.throws(() => exchanges.Api.create(variables), (errors) => {
    assert.deepEqual(errors.map(({ tag, val }) => [tag, val.name ?? val]).sort(), [
      ['invalid', 'CHEVERETO_ENCRYPTION_KEY'], ['invalid', 'CHEVERETO_SERVICE_PORT'], ['unknown', 'PORT'], ['unknown', 'PORT'],
    ])
    assert.doesNotMatch(JSON.stringify(errors), /c2VjcmV0/)
    return true
  })
  assert.ok(exchanges.variableNames().includes('CHEVERETO_SERVICE_PORT'))
})

test('the error of a refused task names the wrong argument or the missing variable', async () => {
  const { exchanges, api } = await started()
  const refused = (api, tag, val) => {
    try {
      api.beginTask({ tag, val }, nowSeconds(), randomBytes())
    } catch (error) {
      return error
    }
  }
  const creation = (api, ...args) => refused(api, 'create-api-key', create(...args).val)
  assert.deepEqual(creation(api, ''), { tag: 'invalid-name' })
  assert.deepEqual(creation(api, undefined, '2026-02-30 00:00:00'), { tag: 'invalid-expiry' })
  assert.equal(creation(api, undefined, undefined, ['tenants:red']).tag, 'invalid-scopes')
  assert.deepEqual(refused(api, 'delete-api-keys', { id: undefined, name: undefined }), { tag: 'no-choice' })
  assert.deepEqual(refused(api, 'delete-api-keys', { id: 1n, name: 'a\0' }), { tag: 'invalid-name' })
  const bare = exchanges.Api.create([])
  assert.deepEqual(creation(bare), { tag: 'not-configured', val: 'CHEVERETO_TENANTS_API_KEY_SECRET' })
  assert.throws(() => bare.sign(new Uint8Array()), ({ val }) => val === 'CHEVERETO_TENANTS_API_REQUEST_SECRET')
})

/** The tasks of an operator, in either world: `run` takes a task and returns its result. */
function tasksAreDone(run) {
  assert.deepEqual(run({ tag: 'prepare-database' }), { tag: 'prepared', val: readdirSync(path.join(root, 'migrations')).sort() })
  assert.deepEqual(run({ tag: 'prepare-database' }), { tag: 'prepared', val: [] })
  const key = run(create('first', '2040-01-01 00:00:00'))
  assert.deepEqual([key.tag, key.val.id], ['created', 1n])
  assert.match(key.val.text, /^chv_1_/)
  assert.equal(key.val.signingSecret, undefined)
  assert.match(run(create('second', undefined, ['tenants:read', 'plans:read'], true)).val.signingSecret, /^[0-9a-f]{64}$/)
  assert.deepEqual(run({ tag: 'delete-api-keys', val: { id: 1n, name: 'second' } }), { tag: 'deleted', val: new BigInt64Array() })
  assert.deepEqual(run({ tag: 'delete-api-keys', val: { id: undefined, name: 'second' } }), { tag: 'deleted', val: new BigInt64Array([2n]) })
  const { tag, val: rows } = run({ tag: 'list-api-keys' })
  assert.deepEqual([tag, rows.map(({ id, name, expiresAt }) => [id, name, expiresAt])], ['listed', [[1n, 'first', '2040-01-01 00:00:00'], [2n, 'second', undefined]]])
  assert.deepEqual(rows.map(({ scopes, bound }) => [scopes, bound]), [[['*'], false], [['tenants:read', 'plans:read'], true]])
  assert.deepEqual(rows.map(({ deletedAt }) => typeof deletedAt), ['undefined', 'string'])
  assert.deepEqual(run({ tag: 'count-statistics' }), { tag: 'counted', val: { counted: 0n, gone: 0n, failed: [] } })
  assert.deepEqual(run({ tag: 'deliver-webhooks' }), { tag: 'delivered', val: { enabled: false, accepted: 0, refused: 0, givenUp: 0, disabled: 0, cut: false } })
  assert.deepEqual(run({ tag: 'look-up-proofs' }), { tag: 'looked-up', val: { counted: 0n, failed: [] } })
}

test('the world exchange prepares a database, creates, lists and deletes keys, counts statistics, and sends nothing where nobody waits for it', async () => {
  const { exchanges } = await instantiate('exchange')
  const api = exchanges.Api.create(pairs(SECRETS))
  const database = emptyDatabase()
  tasksAreDone((task) => doTask(exchanges, api, database, task))
})

test('the world service prepares a database, creates, lists and deletes keys, counts statistics, and sends nothing where nobody waits for it', async () => {
  const database = emptyDatabase()
  const { doTask } = await serviceOn(database)
  const run = (task) => {
    const { tag, val } = doTask(pairs(SECRETS), task)
    assert.equal(tag, 'ok', `${val?.tag}: ${val?.val}`)
    return val
  }
  tasksAreDone(run)
  assert.deepEqual(doTask([], create()), {
    tag: 'err', val: { tag: 'not-configured', val: 'CHEVERETO_TENANTS_API_KEY_SECRET' },
  })
})

const DEVELOPMENT = { ...SECRETS, TENANTS_DEVELOPMENT: 'true' }

/** A request with a body, of a key that signs it. */
function post(api, key, target, json) {
  const body = new TextEncoder().encode(JSON.stringify(json))
  return { method: 'POST', target: `/_/api/4${target}`, headers: pairs({ 'x-api-key': key.text, 'x-signature': api.sign(body), 'content-type': 'application/json' }), body: { tag: 'bytes', val: body } }
}

/** Makes a webhook and then a tenant, whose event it waits for. Returns a function that reads what came of it. */
function eventFor({ exchanges, api, database, key }, url) {
  const made = [['/webhooks', { url }], ['/tenants', { id: 'acme', hostname: 'acme.example.com', is_enabled: true }]].map(([target, json]) => {
    const { response } = exchange(exchanges, api, database, post(api, key, target, json))
    assert.equal(response.status, 201, response.body)
    return JSON.parse(response.body)
  })
  const read = get(`/_/api/4/webhooks/${made[0].id}/deliveries`, { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) })
  const deliveries = () => JSON.parse(exchange(exchanges, api, database, read).response.body)
  return { id: made[0].id, deliveries }
}

/** Claims a hostname whose record is looked up at the next run. */
function claim({ exchanges, api, database, key }) {
  const request = { ...post(api, key, '/tenants/acme/hostnames/photos.example.com', { kind: 'alias' }), method: 'PUT' }
  const { response } = exchange(exchanges, api, database, request)
  assert.equal(response.status, 201, response.body)
  database.exec("UPDATE tenant_hostnames SET check_at = '2000-01-01 00:00:00'")
}

const deliver = { tag: 'deliver-webhooks' }
const delivered = (more) => ({ tag: 'delivered', val: { enabled: true, accepted: 0, refused: 0, givenUp: 0, disabled: 0, cut: false, ...more } })

test('the world exchange sends an event to its receiver, and looks up a record', async (t) => {
  const { got, url, stop } = await receiver()
  t.after(stop)
  const world = await started({ ...DEVELOPMENT, TENANTS_HOSTNAME_PROOF: 'txt', TENANTS_DOH_URL: `${url}/dns` })
  const { exchanges, api, database, key } = world
  const { id, deliveries } = eventFor(world, `${url}/hook?a=b`)
  const online = (task) => doTaskOnline(exchanges, api, database, task, checkedSender())
  assert.deepEqual(await online(deliver), delivered({ accepted: 1 }))
  assert.deepEqual(got.map(({ method, url, headers, body }) => [method, url, headers['content-type'], JSON.parse(body).type]), [['POST', '/hook?a=b', 'application/json', 'tenant.created']])
  assert.deepEqual(deliveries().map(({ outcome, status, answer }) => [outcome, status, answer]), [['accepted', 200, 'thanks']])
  assert.deepEqual(await online(deliver), delivered())

  claim(world)
  assert.deepEqual(await online({ tag: 'look-up-proofs' }), { tag: 'looked-up', val: { counted: 1n, failed: [] } })
  assert.match(got[1].url, /^\/dns\?.*photos\.example\.com/)

  const test = { ...get(`/_/api/4/webhooks/${id}/test`, { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) }), method: 'POST' }
  const { response } = await exchangeOnline(exchanges, api, database, test, checkedSender())
  assert.equal(JSON.parse(response.body).answer, 'thanks', response.body)
  assert.equal(got.length, 3)
})

test('the world exchange connects to no private address, whatever the name is', async (t) => {
  const { connections, port, stop } = await receiver()
  t.after(stop)
  const world = await started()
  const { exchanges, api, database, key } = world
  const { id, deliveries } = eventFor(world, `https://hooks.example.com:${port}/`)
  t.mock.method(dns, 'lookup', async () => [{ address: '93.184.216.34', family: 4 }, { address: '127.0.0.1', family: 4 }])
  assert.deepEqual(await doTaskOnline(exchanges, api, database, deliver, checkedSender()), delivered({ refused: 1 }))
  assert.deepEqual(deliveries().map(({ outcome, answer }) => [outcome, answer]), [['refused', 'hooks.example.com resolves to 127.0.0.1, which may not be called']])
  const test = { ...get(`/_/api/4/webhooks/${id}/test`, { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) }), method: 'POST' }
  const { response } = await exchangeOnline(exchanges, api, database, test, checkedSender())
  assert.match(JSON.parse(response.body).answer, /which may not be called$/)
  for (const url of [`http://127.0.0.1:${port}/`, 'https://localhost/', 'https://10.0.0.1/']) {
    assert.equal(exchange(exchanges, api, database, post(api, key, '/webhooks', { url })).response.status, 422)
  }
  assert.equal(connections(), 0)
})

test('without a network, the events of both worlds wait, and a record that cannot be looked up is told', async () => {
  const variables = { ...DEVELOPMENT, TENANTS_HOSTNAME_PROOF: 'txt' }
  const world = await started(variables)
  const { deliveries } = eventFor(world, 'http://127.0.0.1:9/')
  const { exchanges, api, database } = world
  const service = await serviceOn(database)
  for (const run of [(task) => doTask(exchanges, api, database, task), (task) => service.doTask(pairs(variables), task).val]) {
    assert.deepEqual(run(deliver), delivered({ cut: false }))
    assert.deepEqual(deliveries(), [])
    claim(world)
    assert.deepEqual(run({ tag: 'look-up-proofs' }), { tag: 'looked-up', val: { counted: 0n, failed: [{ tenant: 'acme', reason: 'this host has no network' }] } })
    database.exec('DELETE FROM tenant_hostnames')
  }
})

test('in the world service, one address that may not be called is enough to send nothing', async () => {
  const world = await started()
  const { deliveries } = eventFor(world, 'https://hooks.example.com/a')
  const { database } = world
  const asked = []
  let addresses
  const network = {
    resolve(name, timeoutMs) {
      asked.push(name)
      assert.equal(timeoutMs, 10_000)
      return { tag: 'ok', val: { addresses, milliseconds: 20 } }
    },
    send(request, addresses) {
      asked.push([addresses, request.method, request.url, request.timeoutMs])
      return { tag: 'ok', val: { status: 204, body: new Uint8Array(), milliseconds: 30 } }
    },
  }
  const service = await serviceOn(database, network)
  const run = () => {
    asked.length = 0
    database.exec("UPDATE webhook_behind SET next_at = '2000-01-01 00:00:00'")
    return service.doTask(pairs(SECRETS), deliver).val
  }
  const wrong = [['10.0.0.1', ['10.0.0.1']], ['127.0.0.1', ['93.184.216.34', '127.0.0.1']], ['nothing', []], ['fe80::1%eth0', ['fe80::1%eth0']], ['::ffff:10.0.0.1', ['::ffff:10.0.0.1']]]
  for (const [refused, found] of wrong) {
    addresses = found
    assert.deepEqual(run(), delivered({ refused: 1 }), refused)
    assert.deepEqual(asked, ['hooks.example.com'])
    const { outcome, answer, milliseconds } = deliveries().find(({ answer }) => answer.includes(` ${refused},`)) ?? assert.fail(refused)
    assert.deepEqual([outcome, answer, milliseconds], ['refused', `hooks.example.com resolves to ${refused}, which may not be called`, 20])
  }
  addresses = ['93.184.216.34', '2606:2800::1']
  assert.deepEqual(run(), delivered({ accepted: 1 }))
  assert.deepEqual(asked, ['hooks.example.com', [addresses, 'POST', 'https://hooks.example.com/a', 9_980]])
  assert.equal(deliveries().find(({ outcome }) => outcome === 'accepted').milliseconds, 50)
})

test('in the world service, an IP address in a URL is judged without being resolved', async () => {
  const world = await started(DEVELOPMENT)
  eventFor(world, 'https://[2606:2800::1]:8443/a')
  const sent = []
  const network = {
    resolve: () => assert.fail('it was resolved'),
    send(request, addresses) {
      sent.push(...addresses)
      return { tag: 'err', val: { reason: 'nobody answers', milliseconds: 1 } }
    },
  }
  const service = await serviceOn(world.database, network)
  assert.deepEqual(service.doTask(pairs(DEVELOPMENT), deliver).val, delivered({ refused: 1 }))
  assert.deepEqual(sent, ['2606:2800::1'])
})

test('an exchange that waits for a batch may connect to nothing', async () => {
  const { api, key } = await started(DEVELOPMENT)
  const step = api.begin(get('/_/api/4/tenants', { 'x-api-key': key.text, 'x-signature': api.sign(new Uint8Array()) }), nowSeconds(), randomBytes())
  assert.equal(step.tag, 'run')
  for (const address of ['93.184.216.34', '127.0.0.1', 'localhost', '']) assert.equal(step.val.exchange.mayConnectTo(address), false)
})
