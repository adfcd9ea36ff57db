// The packed npm package: its size, its types, its README, and all functions but request handling, which tests/conformance covers.
import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { build } from 'esbuild'
import * as core from 'tenants-core'
import { nodeSqlite } from 'tenants-core/node-sqlite'
import { SIZE_LIMIT_BYTES, packageFolder, tarball, wasmSize } from '../../scripts/package.mjs'
import { environment } from '../../scripts/lib/environment.mjs'
import { quiet, root } from '../../scripts/lib/run.mjs'

const installed = path.join(root, 'node_modules', 'tenants-core')
const vectors = (name) => JSON.parse(readFileSync(path.join(root, 'tests', 'vectors', `${name}.json`), 'utf8'))
const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-package-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const config = {
  CHEVERETO_TENANTS_API_KEY_SECRET: 'the secret of keys', CHEVERETO_TENANTS_API_REQUEST_SECRET: 'the secret of requests', CHEVERETO_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
}
const thrown = (call) => {
  try {
    call()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}

/** Returns the error of a call that throws or rejects. */
async function rejected(call) {
  try {
    await call()
  } catch (error) {
    return error
  }
  return assert.fail('nothing was thrown')
}

async function world(options) {
  const database = nodeSqlite(new DatabaseSync(':memory:'))
  await core.prepareDatabase(database)
  const api = new core.TenantsApi(config, options)
  const { key } = await api.createApiKey(database)
  const list = () => new Request('http://x/_/api/4/tenants', { headers: { 'X-API-Key': key, 'X-Signature': core.sign(config.CHEVERETO_TENANTS_API_REQUEST_SECRET) } })
  return { api, database, list, key }
}

test('the gzipped .wasm is within its limit', () => {
  const size = wasmSize()
  assert.ok(size > 10_000 && size <= SIZE_LIMIT_BYTES, `${size} of ${SIZE_LIMIT_BYTES} bytes`)
})

test('the package contains every file that package.json names, and no code that evaluates text', () => {
  const { exports, main, version } = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8'))
  assert.match(version, /^\d+\.\d+\.\d+$/)
  assert.deepEqual([main, exports['.'].default], ['./index.js', './index.js'])
  assert.equal(createRequire(import.meta.url)('tenants-core').TenantsApi, core.TenantsApi)
  const files = readdirSync(installed)
  const named = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry))).map((file) => file.replace('./', ''))
  assert.deepEqual(named.filter((file) => !files.includes(file)), [])
  assert.deepEqual(files.filter((file) => !file.endsWith('.wasm')).filter((file) => /\beval\s*\(|\bnew\s+Function\b|\bFunction\s*\(/.test(readFileSync(path.join(installed, file), 'utf8'))), [])
  for (const file of ['README.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'tenants_core_bg.wasm']) assert.ok(files.includes(file), file)
  const notices = readFileSync(path.join(installed, 'THIRD-PARTY-NOTICES.txt'), 'utf8')
  for (const crate of ['curve25519-dalek', 'ed25519-dalek', 'subtle', 'wasm-bindgen']) assert.match(notices, new RegExp(`^${crate} \\d+\\.`, 'm'))
})

test('the types declare exactly the exports of the package', () => {
  const declared = [...readFileSync(path.join(installed, 'index.d.ts'), 'utf8').matchAll(/^export (?:class|function) (\w+)/gm)].map(([, name]) => name)
  assert.deepEqual(declared.sort(), Object.keys(core).sort())
  assert.deepEqual(Object.getOwnPropertyNames(core.TenantsApi.prototype).sort(), ['constructor', 'countStatistics', 'createApiKey', 'deleteApiKeys', 'deliverWebhooks', 'fetch', 'listApiKeys', 'lookUpHostnames', 'scheduled'])
})

test('a program that uses the types compiles under --strict', async () => {
  writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { strict: true, exactOptionalPropertyTypes: true, noEmit: true, target: 'es2022', module: 'nodenext', lib: ['es2023', 'dom'], types: ['node'], typeRoots: [path.join(root, 'node_modules', '@types')] },
    files: [path.join(root, 'tests', 'package', 'types.ts')],
  }))
  await quiet(process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], { label: 'tsc' })
})

test("the README's commands and program work in an empty folder", async () => {
  const readme = readFileSync(path.join(installed, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```(\w+)\n([^]*?)^```/gm)].map(([, language, text]) => ({ language, text }))
  assert.deepEqual(blocks.map(({ language }) => language), ['sh', 'js', 'sh'])
  const app = mkdtempSync(path.join(folder, 'app-'))
  writeFileSync(path.join(app, 'tenants-core.tgz'), readFileSync(tarball))
  writeFileSync(path.join(app, 'main.mjs'), blocks[1].text)
  let printed
  for (const { text } of [blocks[0], blocks[2]]) {
    for (const line of text.trim().split('\n')) printed = await quiet('sh', ['-c', line], { cwd: app, env: { ...environment(), npm_config_audit: 'false', npm_config_fund: 'false' } })
  }
  const [status, json] = [printed.slice(0, 3), JSON.parse(printed.slice(4))]
  assert.deepEqual([status, json.id, json.hostname], ['201', 'acme', 'acme.example.com'])
})

for (const platform of ['browser', 'neutral']) {
  test(`a bundle that esbuild builds for the platform ${platform} runs`, async () => {
    const outfile = path.join(folder, `bundle-${platform}.mjs`)
    await build({
      stdin: { contents: "import { sign } from 'tenants-core'\nexport const signed = sign('Jefe', 'what do ya want for nothing?')", resolveDir: root },
      bundle: true, format: 'esm', platform, outfile, logLevel: 'silent',
    })
    const { signed } = await import(outfile)
    // RFC 4231 §4.3, test case 2.
    assert.equal(signed, '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')
  })
}

describe('errors are typed objects', () => {
  test('the error of a configuration lists every variable that does not parse', () => {
    const error = thrown(() => new core.TenantsApi({ ...config, CHEVERETO_ENCRYPTION_KEY: 'c2hvcnQ=', CHEVERETO_SERVICE_PORT: 80, TENANTS_DEVELOPMENT: 'yes', UNKNOWN: {} }))
    assert.ok(error instanceof Error)
    assert.deepEqual([error.name, error.code, error.field], ['TenantsError', 'invalid_configuration', null])
    assert.deepEqual(error.errors, [
      { code: 'invalid_variable', message: 'CHEVERETO_ENCRYPTION_KEY: expected base64 of 32 bytes; got 5 bytes', field: 'CHEVERETO_ENCRYPTION_KEY' },
      { code: 'invalid_variable', message: 'CHEVERETO_SERVICE_PORT: expected a string; got a number', field: 'CHEVERETO_SERVICE_PORT' },
      { code: 'invalid_variable', message: 'TENANTS_DEVELOPMENT: expected `true` or `false`; got `yes`', field: 'TENANTS_DEVELOPMENT' },
    ])
    for (const { message } of error.errors) assert.ok(error.message.includes(message))
    for (const none of [undefined, null, 'text', 1]) assert.deepEqual([thrown(() => new core.TenantsApi(none)).code, thrown(() => new core.TenantsApi(none)).field], ['invalid_argument', 'config'])
  })

  test('the error of an invalid argument names the argument', async () => {
    const { api, database } = await world()
    const fieldOf = async (call) => {
      const { name, code, field } = await rejected(call)
      assert.deepEqual([name, code], ['TenantsError', 'invalid_argument'])
      return field
    }
    assert.equal(await fieldOf(() => core.sign('')), 'secret')
    for (const id of [0, -1, 1.5, NaN, Infinity, 1e15]) assert.equal(await fieldOf(() => api.deleteApiKeys(database, { id })), 'id')
    assert.equal(await fieldOf(() => api.deleteApiKeys(database, {})), 'id')
    for (const name of ['', 'x'.repeat(256), 'a\0']) {
      assert.equal(await fieldOf(() => api.createApiKey(database, { name })), 'name')
      assert.equal(await fieldOf(() => api.deleteApiKeys(database, { name })), 'name')
    }
    for (const body of [null, 5, { a: 1 }, new URLSearchParams('a=b')]) {
      assert.equal(await fieldOf(() => core.sign('s', body)), 'body')
      assert.equal(await fieldOf(() => core.signRequest({ key: 'k', signingSecret: 's', url: 'http://x/', body })), 'body')
    }
    for (const secret of [undefined, null, 5]) assert.equal(await fieldOf(() => core.sign(secret, 'a')), 'secret')
    for (const [field, wrong] of Object.entries({ method: 5, nonce: 5, headers: { 'a b': 'c' } })) {
      assert.equal(await fieldOf(() => core.signRequest({ key: 'k', signingSecret: 's', url: 'http://x/', [field]: wrong })), field)
    }
    for (const [field, wrong] of Object.entries({ name: 5, expiresAt: 5, scopes: [1], bound: 'no' })) assert.equal(await fieldOf(() => api.createApiKey(database, { [field]: wrong })), field)
    for (const [field, wrong] of Object.entries({ id: '1', name: 5 })) assert.equal(await fieldOf(() => api.deleteApiKeys(database, { [field]: wrong })), field)
    for (const [field, wrong] of Object.entries({ clientAddress: 5, now: '0' })) assert.equal(await fieldOf(() => api.fetch(new Request('http://x/'), database, { [field]: wrong })), field)
    for (const expiresAt of ['', 'tomorrow', '2030-02-30 00:00:00']) assert.equal(await fieldOf(() => api.createApiKey(database, { expiresAt })), 'expiresAt')
  })

  test('the error of a missing secret names its variable', async () => {
    const { database } = await world()
    const { name, code, field, message } = await rejected(() => new core.TenantsApi({}).createApiKey(database))
    assert.deepEqual([name, code, field], ['TenantsError', 'not_configured', 'CHEVERETO_TENANTS_API_KEY_SECRET'])
    assert.match(message, /CHEVERETO_TENANTS_API_KEY_SECRET is not configured/)
  })
})

test('sign returns the same signatures as openssl and PHP, for text and for bytes', () => {
  for (const { secret, body, signature } of vectors('signatures')) {
    assert.equal(core.sign(secret, body), signature)
    assert.equal(core.sign(secret, new TextEncoder().encode(body)), signature)
    assert.equal(core.sign(secret, new TextEncoder().encode(body).buffer), signature)
  }
  // All bytes of a view, and only those.
  const bytes = new TextEncoder().encode('abcdefgh').buffer
  assert.equal(core.sign('s', new Uint16Array(bytes, 2, 2)), core.sign('s', 'cdef'))
})

test('createApiKey adds a key in the form of the contract to the database, and the key opens the API', async () => {
  const { api, database, list } = await world()
  assert.equal((await api.fetch(list(), database)).status, 200)
  const { id, key } = await api.createApiKey(database, { name: 'named', expiresAt: '2020-01-01 00:00:00' })
  const [, number, secret] = /^chv_(\d+)_([\w-]{64})$/.exec(key)
  const bytes = Buffer.from(secret, 'base64url')
  assert.deepEqual([Number(number), id], [2, 2])
  assert.deepEqual(bytes.subarray(16), createHmac('sha256', config.CHEVERETO_TENANTS_API_KEY_SECRET).update(`chv_${id}_`).update(bytes.subarray(0, 16)).digest())
  const [rows, audit] = await database.batch(['SELECT id, name, digest, expires_at FROM api_keys WHERE id = 2', 'SELECT action, subject FROM audit_log'].map((sql) => ({ sql, params: [] })))
  assert.deepEqual(rows, [[2n, 'named', createHash('sha256').update(key).digest('hex'), '2020-01-01 00:00:00']])
  assert.deepEqual(audit, [['api_key.create', '1'], ['api_key.create', '2']])
  assert.notEqual((await api.createApiKey(database)).key, (await api.createApiKey(database)).key)
})

test('a key may have scopes, and a bound one signs whole requests at the URL that the Request has', async () => {
  const { api, database } = await world()
  const { key, signingSecret } = await api.createApiKey(database, { scopes: ['tenants:read'], bound: true })
  assert.match(signingSecret, /^[0-9a-f]{64}$/)
  assert.equal((await api.createApiKey(database)).signingSecret, undefined)
  assert.deepEqual((await api.listApiKeys(database)).map(({ id, scopes, bound, lastUsedAt }) => [id, scopes, bound, lastUsedAt]), [
    [1, ['*'], false, null], [2, ['tenants:read'], true, null], [3, ['*'], false, null],
  ])
  const signed = (url, to = url, path = '/_/api/4/tenants?limit=1') => {
    const params = `("@method" "@target-uri" "x-api-key");created=${Math.floor(Date.now() / 1000)}`
    const base = `"@method": GET\n"@target-uri": ${url}${path}\n"x-api-key": ${key}\n"@signature-params": ${params}`
    const signature = createHmac('sha256', signingSecret).update(base).digest('base64')
    return api.fetch(new Request(`${to}${path}`, { headers: { 'X-API-Key': key, 'Signature-Input': `s=${params}`, Signature: `s=:${signature}:` } }), database)
  }
  assert.equal((await signed('https://tenants.example.com:8443')).status, 200)
  assert.equal((await signed('http://localhost')).status, 200)
  const other = await signed('https://tenants.example.com', 'https://other.example.com')
  assert.equal(other.status, 401)
  assert.ok(Math.abs(Date.parse(other.headers.get('date')) - Date.now()) < 60_000)
  assert.equal((await signed('http://localhost', undefined, '/_/api/4/tenants-plans')).status, 403)
  // signRequest does the same, and covers a body and the headers that it must.
  const send = (method, path, { body, headers = {}, secret = signingSecret } = {}) => {
    const request = { method, url: `https://tenants.example.com${path}`, headers: { ...headers, ...(body && { 'Content-Type': 'application/json' }) }, body }
    return api.fetch(new Request(request.url, { ...request, headers: { ...request.headers, ...core.signRequest({ key, signingSecret: secret, ...request }) } }), database)
  }
  assert.equal((await send('GET', '/_/api/4/tenants?limit=1&q=a%20b', { headers: { 'If-None-Match': '"a"' } })).status, 200)
  // A Request keeps the `?` of an empty query.
  for (const end of ['?', '?#part', '#part']) assert.equal((await send('GET', `/_/api/4/tenants${end}`)).status, 200)
  assert.equal((await send('GET', '/_/api/4/tenants', { secret: '0'.repeat(64) })).status, 401)
  // 403, and not 401: the signature is good, and the key may not write.
  assert.equal((await send('POST', '/_/api/4/tenants', { body: '{"id": "a", "hostname": "a.example.com", "is_enabled": true}', headers: { 'Idempotency-Key': 'k' } })).status, 403)
  assert.match(core.signRequest({ key, signingSecret, url: 'https://a.example/', nonce: 'n1' })['Signature-Input'], /;nonce="n1";/)
  for (const [field, wrong] of Object.entries({ key: '', signingSecret: undefined, url: '/tenants', nonce: 'a"b' })) {
    assert.throws(() => core.signRequest({ key, signingSecret, url: 'https://a.example/', [field]: wrong }), { name: 'TenantsError', code: 'invalid_argument', field })
  }
  await assert.rejects(api.createApiKey(database, { scopes: ['tenants:red'] }), { code: 'invalid_argument', field: 'scopes' })
})

test('a request waits for the cell of its tenant, as long as its caller would like', async () => {
  const { api, database, key } = await world()
  const ask = (method, target, value, headers = {}) => {
    const body = JSON.stringify(value)
    const signature = core.sign(config.CHEVERETO_TENANTS_API_REQUEST_SECRET, body)
    return api.fetch(new Request(`http://x/_/api/4${target}`, { method, body, headers: { 'X-API-Key': key, 'X-Signature': signature, 'Content-Type': 'application/json', ...headers } }), database)
  }
  assert.equal((await ask('PUT', '/cells/eu', {})).status, 201)
  assert.equal((await ask('POST', '/tenants', { id: 'far', hostname: 'far.example.com', is_enabled: true, cell_id: 'eu' })).status, 201)
  const admin = { username: 'admin', email: 'admin@example.com', password: 'correct horse' }
  const began = Date.now()
  const accepted = await ask('POST', '/tenants/far/install', admin, { Prefer: 'wait=1' })
  assert.deepEqual([accepted.status, accepted.headers.get('preference-applied')], [202, 'wait=1'])
  assert.ok(Date.now() - began >= 1000, 'it did not wait')

  const installed = ask('POST', '/tenants/far/install', admin)
  const { jobs: [job] } = await (await ask('POST', '/cells/eu/jobs/lease', { max: 1, seconds: 60 })).json()
  assert.equal(job.id, (await accepted.json()).id)
  assert.equal((await ask('POST', `/jobs/${job.id}/finish`, { lease: job.lease, state: 'done' })).status, 200)
  assert.equal((await installed).status, 201)
})

test("a request whose caller goes away waits for its tenant's cell no longer", async () => {
  const { api, database, key } = await world()
  const caller = new AbortController()
  const ask = (method, target, value) => {
    const body = JSON.stringify(value)
    const headers = { 'X-API-Key': key, 'X-Signature': core.sign(config.CHEVERETO_TENANTS_API_REQUEST_SECRET, body), 'Content-Type': 'application/json' }
    return api.fetch(new Request(`http://x/_/api/4${target}`, { method, body, headers, signal: caller.signal }), database)
  }
  assert.equal((await ask('PUT', '/cells/eu', {})).status, 201)
  assert.equal((await ask('POST', '/tenants', { id: 'far', hostname: 'far.example.com', is_enabled: true, cell_id: 'eu' })).status, 201)
  const began = performance.now()
  const waiting = ask('POST', '/tenants/far/install', { username: 'admin', email: 'admin@example.com', password: 'correct horse' })
  setTimeout(() => caller.abort(), 50)
  assert.equal((await waiting).status, 202)
  assert.ok(performance.now() - began < 2_000, 'it waited')
})

test("a key's use that could not be noted changes no response, and is a warning", async () => {
  const texts = []
  const { api, database, list } = await world({ warn: (text) => texts.push(text) })
  let batches = 0
  const failing = { batch: (statements) => { if (++batches === 1) return database.batch(statements); throw new Error('the disk is full') } }
  assert.equal((await api.fetch(list(), failing)).status, 200)
  assert.deepEqual(texts, ["a key's use could not be noted: the disk is full"])
})

test("a body of which something was already read is a TypeError, and never another signature's 401", async () => {
  const { api, database, key } = await world()
  const request = new Request('http://x/_/api/4/tenants', { method: 'POST', body: '{}', headers: { 'X-API-Key': key } })
  const reader = request.body.getReader()
  await reader.read()
  reader.releaseLock()
  await assert.rejects(api.fetch(request, database), TypeError)
})

test('listApiKeys and deleteApiKeys use the keys of the database', async () => {
  const { api, database, list } = await world()
  const time = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/
  for (const name of ['twin', 'twin', 'other']) await api.createApiKey(database, { name, expiresAt: '2040-01-01 00:00:00' })
  assert.deepEqual(await api.deleteApiKeys(database, { id: 4, name: 'twin' }), [])
  assert.deepEqual(await api.deleteApiKeys(database, { name: 'twin' }), [2, 3])
  assert.deepEqual(await api.deleteApiKeys(database, { name: 'twin' }), [])
  const rows = await api.listApiKeys(database)
  assert.deepEqual(rows.map(({ id, name, expiresAt, deletedAt }) => [id, name, expiresAt, deletedAt !== null]), [
    [1, null, null, false], [2, 'twin', '2040-01-01 00:00:00', true], [3, 'twin', '2040-01-01 00:00:00', true], [4, 'other', '2040-01-01 00:00:00', false],
  ])
  for (const { createdAt, deletedAt } of rows) for (const at of [createdAt, deletedAt ?? createdAt]) assert.match(at, time)
  assert.deepEqual(await api.deleteApiKeys(database, { id: 1 }), [1])
  assert.equal((await api.fetch(list(), database)).status, 401)
})

test('a failing database and malformed rows are a 500, and only the log has the cause', async () => {
  const lines = []
  const { api, list } = await world({ log: (entry) => lines.push(entry) })
  for (const [batch, cause] of [
    [() => { throw new Error('the disk is on fire') }, /the disk is on fire/], [() => Promise.reject(new Error('timed out')), /timed out/],
    [() => [[[2 ** 53]]], /statement 0, row 0, column 0: expected .*; got a number/], [() => [[[1.5]]], /got a number/], [() => [[['a', new Uint8Array(1)]]], /column 1: .*; got an object/],
    // An object without a text.
    [() => { throw Object.create(null) }, /an error without a message/],
    [() => [[{ id: 'a' }]], /statement 0, row 0: expected an array; got an object/], [() => undefined, /the results: expected an array; got undefined/], [() => [], /0 results of 1/],
  ]) {
    const response = await api.fetch(list(), { batch })
    const { code, detail } = await response.json()
    assert.deepEqual([response.status, code], [500, 'internal'])
    assert.doesNotMatch(detail, cause)
    const { status, level, requestId, cause: logged, keyId, durationMs } = lines.pop()
    assert.deepEqual([status, level, requestId, keyId, typeof durationMs], [500, 'error', response.headers.get('x-request-id'), 1, 'number'])
    assert.match(logged, cause)
  }
})

test('a host can pass the time', async () => {
  const { api, database, key } = await world()
  const body = JSON.stringify({ id: 'a', hostname: 'a.example.com', is_enabled: true })
  const request = new Request('http://x/_/api/4/tenants#part', { method: 'POST', body, headers: { 'Content-Type': 'application/json', 'X-API-Key': key, 'X-Signature': core.sign(config.CHEVERETO_TENANTS_API_REQUEST_SECRET, body) } })
  const response = await api.fetch(request, database, { now: Date.UTC(2031, 1, 3, 4, 5, 6) })
  assert.deepEqual([response.status, (await response.json()).created_at], [201, '2031-02-03 04:05:06'])
})

/** Crashes the core. Releases the configurations behind the package's back, so that the next request finds none and the core panics. */
async function crash({ api, database, list }) {
  const bindings = await import(path.join(installed, 'tenants_core_bg.js'))
  for (let handle = 0; handle < 1000; handle++) bindings.release(handle)
  await assert.rejects(api.fetch(list(), database), { name: 'TenantsError', code: 'crashed', message: /no configuration goes by/ })
}

test('when the core crashes, waiting requests reject with `crashed`, and later requests are served', async () => {
  const lines = []
  const one = await world({ log: (entry) => lines.push(entry) })
  const { api, database, list } = one
  const waiting = Promise.withResolvers()
  const beside = api.fetch(list(), { batch: (statements) => waiting.promise.then(() => database.batch(statements)) })
  await crash(one)
  waiting.resolve()
  await assert.rejects(beside, { code: 'crashed', message: /it restarted while/ })
  const { version } = JSON.parse(readFileSync(path.join(installed, 'package.json'), 'utf8'))
  const entry = { level: 'error', method: 'GET', route: null, status: 500, keyId: null, requestId: '', version }
  for (const line of lines) assert.ok(Number.isInteger(line.durationMs))
  assert.deepEqual(lines.map(({ cause, durationMs, ...rest }) => rest), [entry, entry])
  assert.match(lines[0].cause, /no configuration goes by/)
  assert.match(lines[1].cause, /it restarted while/)
  for (let i = 0; i < 3; i++) assert.equal((await api.fetch(list(), database)).status, 200)
})

test('an adapter says which errors will soon be over: the response is a 503 with Retry-After', async () => {
  const { api, list } = await world({ log() {} })
  const { sqliteWasm } = await import('tenants-core/sqlite-wasm')
  const { d1 } = await import('tenants-core/d1')
  const thrower = (error) => () => { throw error }
  const wasm = (resultCode) => sqliteWasm({ exec: (sql) => (sql === 'BEGIN IMMEDIATE' ? thrower(Object.assign(new Error('SQLITE_ERROR'), { resultCode }))() : [[1]]) })
  const cloud = (message) => d1({ prepare: () => ({ bind: () => ({ raw: async () => { throw new Error(message) } }) }), batch: async () => [] })
  const unavailable = Object.assign(new Error('later'), { code: 'unavailable' })
  for (const [database, status] of [
    [{ batch: thrower(unavailable) }, 503], [{ batch: () => Promise.reject(unavailable) }, 503],
    // SQLITE_BUSY_RECOVERY, SQLITE_LOCKED, SQLITE_FULL
    [wasm(261), 503], [wasm(6), 503], [wasm(13), 500],
    [cloud('D1_ERROR: D1 DB is overloaded. Too many requests queued.'), 503], [cloud('D1_ERROR: Network connection lost.'), 503], [cloud('Durable Object is overloaded. Requests queued for too long.'), 503], [cloud('D1_ERROR: no such table: tenants: SQLITE_ERROR'), 500],
  ]) {
    const response = await api.fetch(list(), database)
    const { code } = await response.json()
    assert.deepEqual([response.status, response.headers.get('retry-after'), code], status === 503 ? [503, '1', 'unavailable'] : [500, null, 'internal'])
  }
})

test("the adapter for D1 and the Worker know the same of D1's errors", () => {
  const listed = (file, start) => /\[\s*(['"][^\]]*)\]/.exec(readFileSync(path.join(root, file), 'utf8').split(start)[1])[1].match(/(?<=['"])[^'",][^'"]*(?=['"])/g)
  const worker = listed('src/d1.rs', 'const TEMPORARY: [&str; 6] =')
  assert.equal(worker.length, 6)
  assert.deepEqual(listed('crates/wasm/js/d1.js', 'const PASSING ='), worker)
})

test('a body that breaks off is a 400, and a body that is too long is a 413 although its stream cannot be cancelled', async () => {
  const lines = []
  const { api, database, key } = await world({ log: (entry) => lines.push(entry) })
  const send = (source) => api.fetch(new Request('http://x/_/api/4/tenants', {
    method: 'POST', duplex: 'half', body: new ReadableStream(source), headers: { 'Content-Type': 'application/json', 'X-API-Key': key, 'X-Signature': core.sign('requests', '{}') },
  }), database)
  let pulls = 0
  const broken = await send({ pull: (controller) => (++pulls === 1 ? controller.enqueue(new TextEncoder().encode('{')) : controller.error(new Error('the client is gone'))) })
  assert.deepEqual([broken.status, (await broken.json()).code, lines[0].status], [400, 'body_incomplete', 400])
  const long = await send({ pull: (controller) => controller.enqueue(new Uint8Array(40_000)), cancel: () => { throw new Error('it cannot be cancelled') } })
  assert.deepEqual([long.status, (await long.json()).code], [413, 'payload_too_large'])
})

test('a log callback that fails changes no response', async (t) => {
  const printed = t.mock.method(console, 'error', () => {})
  for (const log of [() => { throw new Error('the log is full') }, () => Promise.reject(new Error('the log is full'))]) {
    const { api, database, list } = await world({ log })
    assert.equal((await api.fetch(list(), database)).status, 200)
    await new Promise(setImmediate)
    const { arguments: [text, error] } = printed.mock.calls.at(-1)
    assert.match(`${text} ${error.message}`, /the log callback failed: the log is full/)
  }
  assert.equal(printed.mock.callCount(), 2)
})

test('a variable that is not known is a warning with the closest name, once', async (t) => {
  const texts = []
  const misspelt = { ...config, TENANTS_LOG_LEVLE: 'error', PATH: '/bin' }
  const api = new core.TenantsApi(misspelt, { warn: (text) => texts.push(text) })
  await api.fetch(new Request('http://x/_/api/4/tenants'), nodeSqlite(new DatabaseSync(':memory:')))
  const expected = 'TENANTS_LOG_LEVLE is not a variable of this service, and has no effect; the closest name is TENANTS_LOG_LEVEL'
  assert.deepEqual(texts, [expected])
  const printed = t.mock.method(console, 'warn', () => {})
  new core.TenantsApi(misspelt)
  assert.deepEqual(printed.mock.calls.map(({ arguments: [text] }) => text), [expected])
})

test("a request's own time does not end the wait of another one", async () => {
  const { api, database, list } = await world()
  const { promise, resolve } = Promise.withResolvers()
  const slow = { batch: (statements) => promise.then(() => database.batch(statements)) }
  const waiting = [api.fetch(list(), slow, { now: 0 }), api.fetch(list(), slow)]
  for (const now of [0, Date.now(), Date.UTC(2100, 0, 1)]) assert.equal((await api.fetch(list(), database, { now })).status, 200)
  resolve()
  assert.deepEqual((await Promise.all(waiting)).map(({ status }) => status), [200, 200])
})

test('a request that its host drops leaves nothing behind', async () => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  const { waitingCount } = await import(path.join(installed, 'tenants_core_bg.js'))
  const before = waitingCount()
  const { api, list } = await world()
  for (let i = 0; i < 20; i++) void api.fetch(list(), { batch: () => new Promise(() => {}) })
  await new Promise(setImmediate)
  assert.equal(waitingCount(), before + 20)
  for (let tries = 0; tries < 100 && waitingCount() > before; tries++) {
    collect()
    await new Promise((done) => setTimeout(done, 10))
  }
  assert.equal(waitingCount(), before)
})

test('a stack overflow in the core is a crash, even if the instance cannot tell its panic', async () => {
  const { api, database, list } = await world()
  const bindings = await import(path.join(installed, 'tenants_core_bg.js'))
  for (const error of [new RangeError('Maximum call stack size exceeded'), Object.assign(new Error('too much recursion'), { name: 'InternalError' })]) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path.join(installed, 'tenants_core_bg.wasm'))), { './tenants_core_bg.js': bindings })
    const broken = { ...exports, begin: () => { throw error }, takePanic: () => { throw new WebAssembly.RuntimeError('unreachable') } }
    const request = list()
    bindings.__wbg_set_wasm(broken)
    await assert.rejects(api.fetch(request, database), { name: 'TenantsError', code: 'crashed', message: `the core crashed: ${error.message}` })
    assert.equal((await api.fetch(list(), database)).status, 200)
  }
})

test('countStatistics counts a tenant\'s own tables, as the cron trigger does', async () => {
  const { api, database, key, list } = await world()
  const post = (where, value) => {
    const body = JSON.stringify(value)
    return api.fetch(new Request(`http://x/_/api/4${where}`, { method: 'POST', body, headers: { 'Content-Type': 'application/json', 'X-API-Key': key, 'X-Signature': core.sign(config.CHEVERETO_TENANTS_API_REQUEST_SECRET, body) } }), database)
  }
  assert.deepEqual(await api.countStatistics(database), { counted: 0, gone: 0, failed: [] })
  assert.equal((await post('/tenants', { id: 'a', hostname: 'a.example.com', is_enabled: true })).status, 201)
  assert.equal((await post('/tenants/a/install', { username: 'admin', email: 'a@example.com', password: 'long enough' })).status, 201)
  assert.deepEqual(await api.countStatistics(database, { now: Date.UTC(2031, 0, 1) }), { counted: 1, gone: 0, failed: [] })
  const [{ stats, last_job_at }] = await (await api.fetch(list(), database)).json()
  assert.deepEqual([stats.users, stats.admins, last_job_at], [1, 1, '2031-01-01 00:00:00'])
  await assert.rejects(api.countStatistics({ batch: () => { throw new Error('no disk') } }), { name: 'TenantsError', code: 'task_failed', message: /no disk/ })
})

test('the installed package has exactly the packed files', () => {
  assert.deepEqual(readdirSync(installed).sort(), readdirSync(packageFolder).sort())
})

describe('a list of several parts', () => {
  const COUNT = 6000
  const filled = async () => {
    const entries = []
    const sqlite = new DatabaseSync(':memory:')
    const database = nodeSqlite(sqlite)
    await core.prepareDatabase(database)
    const api = new core.TenantsApi(config, { log: (entry) => entries.push(entry) })
    const { key } = await api.createApiKey(database)
    sqlite.exec(`WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ${COUNT}) INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) SELECT 't' || n, 'h' || n, 1, '', '' FROM c`)
    let batches = 0
    const counted = { batch: (statements) => { batches++; return database.batch(statements) } }
    const get = (path, of, own = key) => api.fetch(new Request(`http://x/_/api/4${path}`, { headers: { 'X-API-Key': own, 'X-Signature': core.sign(config.CHEVERETO_TENANTS_API_REQUEST_SECRET) } }), of)
    // The first request of a key in an hour runs one more batch: it notes when the key was used.
    assert.equal((await get('/tenants?limit=1', database)).status, 200)
    entries.length = 0
    return { sqlite, database, api, entries, list: () => get('/tenants', counted), another: ({ key }, of) => get('/tenants', of, key), batches: () => batches }
  }

  test('is read as the client takes it, and is logged at its end', async () => {
    const { entries, list, batches } = await filled()
    const response = await list()
    assert.equal(response.status, 200)
    assert.deepEqual([batches(), entries], [1, []])
    const reader = response.body.getReader()
    await reader.read()
    assert.equal(batches(), 1)
    await reader.read()
    assert.equal(batches(), 2)
    const { value } = await reader.read()
    assert.equal(new TextDecoder().decode(value).at(-1), ']')
    assert.equal((await reader.read()).done, true)
    assert.equal(batches(), 3)
    assert.deepEqual(entries.map(({ status, cause }) => [status, cause]), [[200, undefined]])
    assert.equal((await (await list()).json()).length, COUNT)
  })

  test('fails as a stream if a part fails, and the log has the cause', async () => {
    const { sqlite, entries, list } = await filled()
    sqlite.exec("UPDATE tenants SET limits = 'x' WHERE id = 't999'")
    const response = await list()
    const error = await rejected(() => response.text())
    assert.deepEqual([error.name, error.code], ['TenantsError', 'broken_off'])
    assert.equal(entries.length, 1)
    assert.equal(entries[0].status, 500)
    assert.match(entries[0].cause, /^the list broke off: .*t999/)
  })

  test('never goes on with the rest of another list, after a restart of the core', async () => {
    const { database, api, list, another } = await filled()
    const key = await api.createApiKey(database)
    const restart = () => crash({ api, database, list: () => new Request('http://x/_/api/4/tenants') })
    await restart()
    const noted = Promise.withResolvers()
    let batches = 0
    // The second batch notes the use of a new key. While it runs, the core restarts, and issues the same handles again.
    const first = another(key, { batch: async (statements) => {
      if (++batches === 2) await noted.promise
      return database.batch(statements)
    } })
    while (batches < 2) await new Promise(setImmediate)
    await restart()
    const lists = [await list(), await list()]
    noted.resolve()
    await assert.rejects(async () => (await first).text(), { code: 'crashed' })
    for (const other of lists) assert.equal((await other.json()).length, COUNT)
  })

  test('is given up if the client goes away', async () => {
    const { entries, list } = await filled()
    const response = await list()
    await response.body.cancel()
    assert.equal(entries.length, 1)
    assert.match(entries[0].cause, /client went away/)
  })

  test('is given up once if the client goes away while a part is read', async () => {
    const { database, api, entries, another } = await filled()
    const key = await api.createApiKey(database)
    const { promise, resolve } = Promise.withResolvers()
    let batches = 0
    // The first batch is the first part's, and the second one notes the use of the key.
    const response = await another(key, { batch: async (statements) => {
      if (++batches > 2) await promise
      return database.batch(statements)
    } })
    const reader = response.body.getReader()
    await reader.read()
    const next = reader.read()
    while (batches < 3) await new Promise(setImmediate)
    await reader.cancel()
    resolve()
    await next
    await new Promise(setImmediate)
    assert.deepEqual(entries.map(({ cause }) => /client went away/.test(cause)), [true])
  })
})
