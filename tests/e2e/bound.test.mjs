// Bound keys (API.md §13): clients of other makers sign whole requests, and the Worker accepts them.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { environment } from '../../scripts/lib/python.mjs'
import { missing, ROOT, startApi } from './harness.mjs'

const api = await startApi()
const here = path.join(ROOT, 'tests', 'e2e')

/** Makes a bound key through the API. */
async function bound(fields = {}) {
  const { json } = await api.expect(201, 'POST', '/keys', { body: { scopes: ['*'], ...fields, bound: true } })
  return { id: json.id, key: json.api_key, secret: json.signing_secret }
}

/** Signs a request by the text of API.md alone. */
function sign({ key, secret }, method, where, { body, headers = {}, created = Math.floor(Date.now() / 1000), origin = api.url } = {}) {
  const bytes = body === undefined ? '' : JSON.stringify(body)
  const digest = bytes === '' ? {} : { 'Content-Digest': `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:` }
  const components = Object.entries({ '@method': method, '@target-uri': `${origin}/_/api/4${where}`, 'x-api-key': key, ...digest, ...headers }).map(([n, v]) => [n.toLowerCase(), v])
  const params = `(${components.map(([name]) => `"${name}"`).join(' ')});created=${created}`
  const base = [...components, ['@signature-params', params]].map(([name, value]) => `"${name}": ${value}`).join('\n')
  const signature = createHmac('sha256', secret).update(base).digest('base64')
  return { body, key, signature: null, headers: { ...headers, ...digest, 'Signature-Input': `s=${params}`, Signature: `s=:${signature}:` } }
}

test('a bound key signs requests of every kind, and takes no other signature', async () => {
  const key = await bound()
  const tenant = api.fresh()
  await api.expect(201, 'POST', '/tenants', sign(key, 'POST', '/tenants', { body: tenant, headers: { 'Idempotency-Key': 'first' } }))
  const { headers } = await api.expect(200, 'GET', `/tenants/${tenant.id}?x=%41`, sign(key, 'GET', `/tenants/${tenant.id}?x=%41`))
  await api.expect(304, 'GET', `/tenants/${tenant.id}`, sign(key, 'GET', `/tenants/${tenant.id}`, { headers: { 'If-None-Match': headers.etag } }))
  await api.expect(200, 'HEAD', '/tenants', sign(key, 'HEAD', '/tenants'))
  await api.expect(200, 'POST', '/auth/verify', sign(key, 'POST', '/auth/verify'))
  await api.expect(204, 'PATCH', `/tenants/${tenant.id}`, sign(key, 'PATCH', `/tenants/${tenant.id}`, { body: { is_enabled: false }, headers: { Prefer: 'return=minimal' } }))
  await api.expect(204, 'DELETE', `/tenants/${tenant.id}`, sign(key, 'DELETE', `/tenants/${tenant.id}`))
  await api.refuse(401, 'unauthorized', 'GET', '/tenants', { key: key.key })
  await api.refuse(401, 'unauthorized', 'GET', '/tenants', sign({ ...key, key: api.key }, 'GET', '/tenants'))
})

test('a captured request opens no other route, query, body or host, and nothing after its time', async () => {
  const key = await bound()
  const tenant = await api.tenant()
  const where = `/tenants/${tenant.id}`
  const captured = sign(key, 'PATCH', `${where}?validate_only=false`, { body: { is_enabled: false } })
  await api.expect(204, 'PATCH', `${where}?validate_only=false`, captured)
  const digest = { 'Content-Digest': `sha-256=:${createHash('sha256').update('{}').digest('base64')}:` }
  const without = (name) => ({ ...captured, headers: Object.fromEntries(Object.entries(captured.headers).filter(([n]) => n !== name)) })
  for (const [method, path, options] of [
    ['PATCH', `/tenants/${(await api.tenant()).id}?validate_only=false`, captured],
    ['PATCH', where, captured],
    ['PATCH', `${where}?validate_only=true`, captured],
    ['DELETE', `${where}?validate_only=false`, captured],
    ['PATCH', `${where}?validate_only=false`, { ...captured, body: {} }],
    ['PATCH', `${where}?validate_only=false`, { ...captured, body: {}, headers: { ...captured.headers, ...digest } }],
    ['PATCH', `${where}?validate_only=false`, { ...captured, headers: { ...captured.headers, 'Idempotency-Key': 'k' } }],
    ['PATCH', `${where}?validate_only=false`, { ...captured, headers: { ...captured.headers, Prefer: 'return=minimal' } }],
    ['PATCH', `${where}?validate_only=false`, { ...captured, headers: { ...captured.headers, 'If-Match': '*' } }],
    ['PATCH', `${where}?validate_only=false`, { ...captured, headers: { ...captured.headers, Host: 'other.example.com' } }],
    ['PATCH', `${where}?validate_only=false`, without('Signature')],
    ['PATCH', `${where}?validate_only=false`, without('Signature-Input')],
    ['PATCH', `${where}?validate_only=false`, without('Content-Digest')],
    ['GET', where, sign(key, 'GET', where, { created: Math.floor(Date.now() / 1000) - 310 })],
    ['GET', where, sign(key, 'GET', where, { created: Math.floor(Date.now() / 1000) + 310 })],
    ['GET', where, sign(key, 'GET', where, { origin: 'https://other.example.com' })],
  ]) {
    const { headers } = await api.refuse(401, 'unauthorized', method, path, options)
    assert.ok(Math.abs(Date.parse(headers.date) - Date.now()) < 5_000, headers.date)
  }
})

test('behind a proxy, TENANTS_PUBLIC_URL is the address that is signed', async () => {
  const own = await startApi({ vars: { TENANTS_PUBLIC_URL: 'https://registry.example.com/tenants/', TENANTS_SIGNATURE_AGE_SECONDS: '5' } })
  const { json } = await own.expect(201, 'POST', '/keys', { body: { scopes: ['tenants:read'], bound: true } })
  const key = { key: json.api_key, secret: json.signing_secret }
  await own.expect(200, 'GET', '/tenants', sign(key, 'GET', '/tenants', { origin: 'https://registry.example.com/tenants' }))
  await own.refuse(401, 'unauthorized', 'GET', '/tenants', sign(key, 'GET', '/tenants', { origin: own.url }))
  await own.refuse(401, 'unauthorized', 'GET', '/tenants', sign(key, 'GET', '/tenants', { origin: 'https://registry.example.com/tenants', created: Math.floor(Date.now() / 1000) - 8 }))
  await own.stop()
})

test('the example of API.md signs a request with openssl', { skip: missing('openssl', 'version') || missing('curl', '--version') }, async () => {
  const key = await bound()
  await api.tenant({ id: 'acme' })
  const text = readFileSync(path.join(ROOT, 'docs', 'API.md'), 'utf8')
  const [, example] = /signs a request with openssl[^`]*```sh\n(.*?)```/s.exec(text)
  const variables = { TENANTS_URL: api.url, TENANTS_API_KEY: key.key, TENANTS_SIGNING_SECRET: key.secret }
  // Not `spawnSync`: the Worker needs this thread's event loop.
  const { status, output } = await shell(example, variables)
  assert.equal(status, 0, output)
  assert.equal((await api.expect(200, 'GET', '/tenants/acme')).json.is_enabled, false)
  const wrong = await shell(example, { ...variables, TENANTS_SIGNING_SECRET: 'another' })
  assert.match(wrong.output, /"code":"unauthorized"/)
})

const python = environment('bound-1', ['-r', path.join(here, 'bound.requirements.txt')], (folder) => (
  spawnSync(path.join(folder, 'bin', 'python'), ['-c', 'import http_message_signatures, requests']).status === 0))

test('a client library of another language signs requests that the Worker accepts', { skip: python.missing() }, async () => {
  const key = await bound()
  const client = spawn(python.python, [path.join(here, 'bound.py')], {
    stdio: ['pipe', 'pipe', 'inherit'], env: { PATH: process.env.PATH, TENANTS_API_KEY: key.key, TENANTS_SIGNING_SECRET: key.secret },
  })
  const answers = createInterface({ input: client.stdout })[Symbol.asyncIterator]()
  const ask = async (method, where, { body = '', headers = {}, to = api.url } = {}) => {
    client.stdin.write(`${JSON.stringify({ method, url: `${to}/_/api/4${where}`, body, headers })}\n`)
    return JSON.parse((await answers.next()).value)
  }
  const tenant = api.fresh()
  const made = await ask('POST', '/tenants', { body: JSON.stringify({ ...tenant, labels: { city: 'Zürich' } }), headers: { 'Idempotency-Key': 'python' } })
  assert.equal(made.status, 201, made.body)
  const got = await ask('GET', `/tenants?label=city:Z%C3%BCrich&limit=1&fields=id`)
  assert.deepEqual([got.status, JSON.parse(got.body)], [200, [{ id: tenant.id }]])
  // The library writes the host in lower case, as RFC 9421 has it.
  const upper = await ask('GET', `/tenants/${tenant.id}`, { to: api.url.replace('127.0.0.1', 'LOCALHOST') })
  assert.equal(upper.status, 200, upper.body)
  assert.equal((await ask('DELETE', `/tenants/${tenant.id}`)).status, 204)
  client.stdin.end()
})

/** Runs a script in the shell, and resolves with its exit code and all its output. */
const shell = (script, variables) => new Promise((resolve) => {
  const child = spawn('sh', ['-c', script], { env: { PATH: process.env.PATH, ...variables } })
  const output = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => output.push(bytes))
  child.on('close', (status) => resolve({ status, output: Buffer.concat(output).toString() }))
})
