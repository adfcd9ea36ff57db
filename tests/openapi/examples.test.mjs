// Sends every example of the description to the built Worker, which must respond as the example says.
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { startApi, TIME } from '../e2e/harness.mjs'
import { boundKey, cookieOf, signIn } from '../e2e/signing.mjs'
import { operations, resolve } from './description.mjs'

/**
 * The operations in the order in which their examples follow from each other: a plan is made before its tenant, and deleted after it.
 * Examples of one operation are sent in the order of their names, those that succeed first.
 */
const ORDER = [
  'getHealth', 'getDescription', 'verifyKey', 'createPlan', 'listPlans', 'getPlan', 'putPlan', 'createTenant', 'putTenant', 'getTenant', 'listTenants', 'getTenantSettings', 'listAuditEntries', 'listEvents',
  'putCell', 'listCells', 'getCell', 'readCellTenants', 'storeCellStats', 'leaseJobs', 'listJobs', 'getJob', 'cancelJob', 'renewJob', 'finishJob', 'moveTenant', 'deleteCell',
  'getTraefikConfig', 'getHeldPage', 'eraseTenant', 'restoreTenant', 'putHold', 'releaseHold', 'putHostname', 'listHostnames', 'verifyHostname', 'deleteHostname', 'installTenant', 'resetUserPassword', 'editTenant', 'editPlan', 'deleteTenant', 'deletePlan',
  'createWebhook', 'listWebhooks', 'getWebhook', 'editWebhook', 'rotateWebhook', 'testWebhook', 'listWebhookDeliveries', 'retryWebhookDelivery', 'deleteWebhook',
  'createKey', 'getKey', 'listKeys', 'editKey', 'rotateKey', 'deleteKey',
  'signIn', 'getSession', 'listSessions', 'endSession', 'signOut',
  'legacyCreatePlan', 'legacyListPlans', 'legacyGetPlan', 'legacyCreateTenant', 'legacyGetTenant', 'legacyEditTenant', 'legacyEditPlan', 'legacyDeleteTenant', 'legacyDeletePlan',
]

/** Members that differ from run to run. Their values must be of this form. */
const VARYING = { request_id: /^[A-Za-z0-9._-]{1,64}$/, created_at: TIME, updated_at: TIME, last_used_at: TIME, password: /^[A-Za-z0-9_-]{16,128}$/, api_key: /^chv_2_[A-Za-z0-9_-]{64}$/, version: /^\d+\.\d+\.\d+/, schema: /^\d{4}_\w+\.sql$/, csrf_token: /^[0-9a-f]{64}$/, expires_at: TIME, idle_until: TIME, timestamp: /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/ }

const SESSION_ID = /^[0-9a-f]{16}$/

/** The examples of an operation. Parameters, body and response belong together by their name. */
function examplesOf({ operation }) {
  const found = new Map()
  const of = (name) => found.get(name) ?? found.set(name, { name, parameters: [], body: undefined, answers: [] }).get(name)
  const named = (holder) => Object.entries(holder?.examples ?? {})
  for (const parameter of operation.parameters.map(resolve)) for (const [name, { value }] of named(parameter)) of(name).parameters.push([parameter, value])
  for (const [name, { value }] of named(operation.requestBody?.content['application/json'])) of(name).body = value
  for (const [status, reference] of Object.entries(operation.responses)) {
    for (const media of Object.values(resolve(reference).content ?? {})) for (const [name, { value }] of named(media)) of(name).answers.push([Number(status), value])
  }
  // A response without a body has no example of its own: it is the one that succeeds.
  const [empty] = Object.entries(operation.responses).filter(([status, reference]) => Number(status) < 300 && !resolve(reference).content).map(([status]) => Number(status))
  for (const example of found.values()) {
    if (example.answers.length === 0 && empty) example.answers.push([empty, undefined])
    assert.equal(example.answers.length, 1, `${operation.operationId}: the example ${example.name} has one response`)
  }
  return [...found.values()].sort((a, b) => a.answers[0][0] - b.answers[0][0] || (a.name < b.name ? -1 : 1))
}

function targetOf(path, parameters) {
  let target = path
  const query = []
  for (const [{ name, in: place, explode }, value] of parameters) {
    if (place === 'path') target = target.replace(`{${name}}`, value)
    else if (Array.isArray(value) && explode !== false) query.push(...value.map((one) => `${name}=${encodeURIComponent(one)}`))
    else query.push(`${name}=${encodeURIComponent(value)}`)
  }
  assert.doesNotMatch(target, /[{}]/, `${path}: an example without its path's id`)
  return query.length ? `${target}?${query.join('&')}` : target
}

/** Replaces members that differ from run to run, after it has checked their form in both. */
function compared(got, expected, sent) {
  if (Array.isArray(got)) return got.map((one, i) => compared(one, expected?.[i], sent))
  if (got === null || typeof got !== 'object') return got
  return Object.fromEntries(Object.entries(got).map(([name, value]) => {
    // The ids of sessions are random. Others of this form are not.
    const form = name === 'id' && SESSION_ID.test(expected?.id) ? SESSION_ID : VARYING[name]
    if (!form || sent?.[name] !== undefined || typeof value !== 'string' || typeof expected?.[name] !== 'string') return [name, compared(value, expected?.[name], sent)]
    assert.match(value, form, name)
    assert.match(expected[name], form, name)
    return [name, expected[name]]
  }))
}

test('every example of the description is answered as it says', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const api = await startApi({
    vars: {
      CHEVERETO_TENANTS_PUBLIC_KEY: Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url').toString('base64'),
      TENANTS_DEVELOPMENT: 'true',
      TENANTS_CONSOLE: 'true',
      TENANTS_PUBLIC_URL: 'https://tenants.example.com',
      CHEVERETO_PROXY_IP_ALLOW_LIST: '192.0.2.0/24',
    },
  })
  await api.sql("UPDATE api_keys SET name = 'billing' WHERE id = ?", api.keyId)
  await api.sql("UPDATE registry SET epoch = '5f1d2c3b4a596877'")
  assert.deepEqual(operations.map(({ operation }) => operation.operationId).filter((id) => !ORDER.includes(id)), [], 'operations that ORDER does not have')
  let sent = 0
  let session
  for (const id of ORDER) {
    const found = operations.find(({ operation }) => operation.operationId === id)
    assert.ok(found, `ORDER has ${id}, and the description has not`)
    // A request without parameters and body, and a response without a body, have nothing to show.
    const examples = id === 'signOut' ? [{ name: id, parameters: [], answers: [[204]] }] : examplesOf(found)
    // The example of the description would hold itself.
    assert.ok(examples.length > 0 || id === 'getDescription', `${id} has no example`)
    for (const { name, parameters, body, answers: [[status, expected]] } of examples) {
      const security = found.operation.security[0] ?? {}
      const options = { base: '', body }
      if (!security.ApiKey) options.key = null
      if (security.Ed25519) options.signature = sign(null, Buffer.from(body === undefined ? '' : JSON.stringify(body)), privateKey).toString('base64')
      else if (!security.Hmac) options.signature = null
      let target = targetOf(found.path, parameters)
      if (id === 'signIn') Object.assign(options, signIn(await boundKey(api), body, { origin: 'https://tenants.example.com' }))
      else if (security.Session) options.headers = session.headers
      // The session that the example names was another one.
      if (id === 'endSession') target = `/_/console/sessions/${cookieOf(await api.expect(201, 'POST', '/_/console/session', signIn(await boundKey(api), undefined, { origin: 'https://tenants.example.com' }))).id}`
      const answer = await api.expect(status, found.method, target, options)
      if (id === 'signIn') session = cookieOf(answer)
      // The example of a page is its beginning.
      if (id === 'getHeldPage') assert.ok(answer.text.startsWith(expected), answer.text)
      else assert.deepEqual(compared(answer.json, expected, body), expected, `${id}: ${name}: ${answer.text}`)
      sent++
    }
  }
  assert.ok(sent >= operations.length - 1, `${sent} examples`)
})

test('the Worker serves the committed description, with or without a key', async () => {
  const api = await startApi({ schema: false })
  const { description } = await import('./description.mjs')
  const { json, headers } = await api.expect(200, 'GET', '/openapi.json', { key: null, signature: null })
  assert.deepEqual(json, description)
  const known = await api.expect(304, 'GET', '/openapi.json', { headers: { 'If-None-Match': headers.etag } })
  assert.equal(known.headers.etag, headers.etag)
  await api.expect(200, 'GET', '/openapi.json', { headers: { 'If-None-Match': '"another"' } })
})
