// Starts the built Worker in workerd with its own local D1, and sends it HTTP requests.
//
// `call` checks the rules for all responses (request id, caching, sniffing, content type, the form of a problem) on every response
// of every test, and that the response is as docs/openapi.json describes it. When a test file ends, the harness checks that no console line contains a secret.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Log, LogLevel, Miniflare } from 'miniflare'
import { parse as parseToml } from 'smol-toml'
import { bundle } from '../../scripts/lib/bundle.mjs'
import { skipUnlessCi } from '../../scripts/lib/ci.mjs'
import { withConsole } from '../../scripts/lib/console.mjs'
import { splitStatements } from '../../scripts/lib/sql.mjs'
import { atEnd } from '../lifetime.mjs'
import { assertDescribed } from '../openapi/description.mjs'
import { until } from '../until.mjs'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const CURRENT = '/_/api/4'
export const LEGACY = '/api/4/_'
export const BODY_LIMIT = 64 * 1024
export const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/
/** The codes of a 409 that is about a cell or a job, and not about a field. */
const OF_CELLS = ['deletion_protected', 'agent_conflict', 'cell_conflict', 'cell_in_use', 'job_not_waiting', 'job_under_way', 'lease_lost', 'proof_missing']
export const NO_STATS = {
  tags: 0, files: 0, pages: 0, users: 0, admins: 0, albums: 0, managers: 0, storages: 0, cron_time: 0, categories: 0,
  file_likes: 0, file_views: 0, album_likes: 0, album_views: 0, storage_used: 0, login_providers: 0,
}

/** Reads a file of tests/vectors. */
export const vectors = (name) => JSON.parse(readFileSync(path.join(ROOT, 'tests/vectors', `${name}.json`), 'utf8'))

/** Formats a time as the database stores it. */
export const utc = (date) => date.toISOString().slice(0, 19).replace('T', ' ')

/** HMAC-SHA256 in lower-case hex, the form of X-Signature. */
export const hmac = (secret, body) => createHmac('sha256', secret).update(body).digest('hex')

/** Generates the secrets of one instance. */
export const freshSecrets = () => ({
  CHEVERETO_TENANTS_API_KEY_SECRET: randomBytes(32).toString('hex'),
  CHEVERETO_TENANTS_API_REQUEST_SECRET: randomBytes(32).toString('hex'),
  CHEVERETO_ENCRYPTION_KEY: randomBytes(32).toString('base64'),
})

/** Forges `chv_<id>_<secret>` with a valid MAC, whether or not the database has a row for it. */
export function forgeKey(keySecret, id, random = randomBytes(16)) {
  const mac = createHmac('sha256', keySecret).update(`chv_${id}_`).update(random).digest()
  return `chv_${id}_${Buffer.concat([random, mac]).toString('base64url')}`
}

export const digestOf = (key) => createHash('sha256').update(key).digest('hex')

/** Returns the statements of an SQL file, without comments. */
export const statements = (file) => splitStatements(readFileSync(file, 'utf8'))

export const migrations = () => readdirSync(path.join(ROOT, 'migrations')).filter((f) => f.endsWith('.sql')).sort()
  .map((f) => path.join(ROOT, 'migrations', f))

/** Returns the statements that make the record which wrangler keeps of the migrations that it applied. */
export const record = (files) => [
  'CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)',
  ...files.map((file) => `INSERT INTO d1_migrations (name) VALUES ('${path.basename(file)}')`),
]

/**
 * A Worker beside the tested one, which runs the tests' own statements on its database. Miniflare's objects of a database make three round trips for
 * each statement, and two of them block this process.
 */
const DOOR = 'door'
const door = `export default {
  async fetch(request, { DB }) {
    try {
      const all = (await request.json()).map(([text, ...params]) => DB.prepare(text).bind(...params))
      return Response.json((await DB.batch(all)).map(({ results }) => results))
    } catch (error) {
      return new Response(error.message, { status: 500 })
    }
  },
}`

/** How long a line of the log may take through workerd's pipe. */
const LOGGED = { within: 15_000 }

/** Lists every file below a directory. */
export const filesBelow = (dir) => readdirSync(dir, { recursive: true, withFileTypes: true })
  .filter((e) => e.isFile()).map((e) => path.join(e.parentPath, e.name))

/**
 * Checks that a program which a test needs is installed and accepts these arguments. If not, returns the reason to skip the test; in CI
 * it throws instead.
 * @returns {string | false} for `{ skip }`
 */
export function missing(program, ...args) {
  const { error, status } = spawnSync(program, args)
  if (!error && status === 0) return false
  return skipUnlessCi(`${error ? program : [program, ...args].join(' ')} is not installed`)
}

/** Runs a program with `input` on its standard input. Resolves with its standard output, in `encoding`. */
export const run = (program, args, input = '', encoding = 'utf8') => new Promise((resolve, reject) => {
  const child = execFile(program, args, { encoding }, (error, stdout, stderr) => {
    if (error) reject(new Error(`${program}: ${stderr || error.message}`))
    else resolve(stdout)
  })
  // A program that does not read its input may exit before the input is written. Its exit code decides whether it failed.
  child.stdin.on('error', (error) => error.code === 'EPIPE' || reject(error))
  child.stdin.end(input)
})

/**
 * Starts a Worker, which stops when the test file that started it ends.
 * @param {object} [options]
 * @param {Record<string, string | undefined>} [options.vars] added to those of wrangler.toml and to fresh secrets; `undefined` removes one
 * @param {string} [options.persist] the database's directory; by default a new temporary one
 * @param {boolean | string[]} [options.schema] whether to apply the migrations, or the statements to run instead
 * @param {{ manifest: object, compatibilityDate: string }} [options.worker] another Worker than the built one
 * @param {{ limit: number, period: 10 | 60 }} [options.limiter] the binding RATE_LIMITER
 * @param {string} [options.assets] the folder of the console's files; by default there are none
 * @param {string} [options.front] the source of a module in front of the Worker's own, which it imports as './shim.mjs'
 * @param {boolean} [options.sites] whether there are databases of sites, whose class a module in front must export, too
 */
export async function startApi({ vars = {}, persist, schema = true, front, worker, limiter, assets, sites = !front && !worker } = {}) {
  const own = persist ?? mkdtempSync(path.join(os.tmpdir(), 'tenants-e2e-'))
  const config = parseToml((assets ? withConsole : String)(readFileSync(path.join(ROOT, 'wrangler.toml'), 'utf8')))
  const secrets = { ...freshSecrets(), ...vars }
  const bindings = Object.fromEntries(Object.entries({ ...config.vars, ...secrets }).filter(([, v]) => v !== undefined))
  const keySecret = secrets.CHEVERETO_TENANTS_API_KEY_SECRET ?? ''
  const requestSecret = secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET ?? ''
  const logs = []
  const miniflare = new Miniflare({
    workers: [{
      config: {
        name: config.name,
        compatibilityDate: worker?.compatibilityDate ?? config.compatibility_date,
        compatibilityFlags: config.compatibility_flags ?? [],
        manifest: worker?.manifest ?? await bundle(path.join(ROOT, config.main), front),
        env: {
          ...Object.fromEntries(Object.entries(bindings).map(([name, value]) => [name, { type: 'text', value }])),
          ...Object.fromEntries(config.d1_databases.map((d) => [d.binding, { type: 'd1', id: d.database_id }])),
          ...(sites && Object.fromEntries(config.durable_objects.bindings.map((d) => [d.name, { type: 'durable-object', worker: config.name, exportName: d.class_name }]))),
          ...(assets && { [config.assets.binding]: { type: 'assets' } }),
          ...(limiter && { RATE_LIMITER: { type: 'rate-limit', namespace: '1001', simple: limiter } }),
        },
        ...(assets && { assets: { directory: assets, runWorkerFirst: config.assets.run_worker_first, htmlHandling: config.assets.html_handling, hasUserWorker: true } }),
        ...(sites && { exports: Object.fromEntries(config.migrations[0].new_sqlite_classes.map((name) => [name, { type: 'durable-object', storage: 'sqlite' }])) }),
      },
      // Miniflare's own entry adds a CF-Connecting-IP to every request. This socket bypasses it, for requests without one.
      dev: { unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] },
    }, {
      config: {
        name: DOOR,
        compatibilityDate: config.compatibility_date,
        manifest: { mainModule: 'door.js', modules: { 'door.js': { type: 'esm', contents: door } } },
        env: Object.fromEntries(config.d1_databases.map((d) => ['DB', { type: 'd1', id: d.database_id }])),
      },
      dev: { unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }] },
    }],
    resourcePersistencePath: own,
    host: '127.0.0.1',
    port: 0,
    cf: false,
    enableDevRegistry: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: ({ message }) => logs.push(message),
    telemetry: { enabled: false },
  })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
  let stopped = false
  const stop = async () => {
    if (stopped) return
    stopped = true
    agent.destroy()
    try {
      await miniflare.dispose()
    } finally {
      if (!persist) rmSync(own, { recursive: true, force: true })
    }
  }
  atEnd(stop)
  const url = (await miniflare.ready).origin
  const direct = (await miniflare.unsafeGetDirectURL()).origin
  const database = await miniflare.unsafeGetDirectURL(DOOR)
  const issued = []

  const api = {
    url, direct, secrets, logs, stop, dir: own,

    /** Runs one statement and returns its rows. */
    sql: async (text, ...params) => (await api.batch([[text, ...params]]))[0],

    /** Runs statements in one transaction, and returns the rows of each. A statement is its text and its parameters. */
    async batch(all) {
      const answer = await fetch(database, { method: 'POST', body: JSON.stringify(all) })
      if (!answer.ok) throw new Error(await answer.text())
      return answer.json()
    },

    /** Runs the cron trigger once, as the platform does. Each run counts, though runs in service do so every ten minutes. */
    async scheduled() {
      // Earlier schemas have no such column.
      if ((await api.sql("SELECT 1 FROM pragma_table_info('registry') WHERE name = 'upkeep_at'")).length > 0) await api.sql('UPDATE registry SET upkeep_at = NULL')
      const [cron] = config.triggers.crons
      const { outcome } = await (await miniflare.getWorker()).scheduled({ cron })
      assert.equal(outcome, 'ok')
    },

    /** Runs the cron trigger once, and returns its log line. */
    async cron() {
      const ran = () => logs.map(parsed).filter((l) => l?.job === 'stats')
      const before = ran().length
      await api.scheduled()
      await until(() => ran().length > before, 'the log line of the run', LOGGED)
      const lines = ran().slice(before)
      assert.equal(lines.length, 1, `a run logs one line: ${JSON.stringify(lines)}`)
      return lines[0]
    },

    /** Creates a key in the database as the CLI does. */
    async makeKey({ name = null, expires_at = null, deleted_at = null } = {}) {
      const [{ id }] = await api.sql(
        "INSERT INTO api_keys (name, digest, created_at, expires_at, deleted_at) VALUES (?, '', ?, ?, ?) RETURNING id",
        name, utc(new Date()), expires_at, deleted_at)
      const key = forgeKey(keySecret, id)
      await api.sql('UPDATE api_keys SET digest = ? WHERE id = ?', digestOf(key), id)
      issued.push(key)
      return { id, key }
    },

    sign: (body) => hmac(requestSecret, body),

    /**
     * Sends one request, with a key and a signature unless the options differ (`null` omits a header).
     * @param {string} where the path below /_/api/4, sent as it is, without encoding
     * @param {object} [o]
     * @param {unknown} [o.body] text and bytes are sent as they are, anything else as JSON
     * @param {boolean} [o.chunked] sends the body without a Content-Length
     */
    async call(method, where, { body, headers = {}, key = api.key, signature, chunked = false, base = CURRENT, origin = url } = {}) {
      const bytes = body === undefined ? Buffer.alloc(0)
        : Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
      const all = {
        'X-API-Key': key,
        'X-Signature': signature === undefined ? api.sign(bytes) : signature,
        'Content-Type': body === undefined ? null : 'application/json',
        'Content-Length': body === undefined || chunked ? null : String(bytes.length),
        'Transfer-Encoding': chunked ? 'chunked' : null,
        ...headers,
      }
      const sent = Object.fromEntries(Object.entries(all).filter(([, v]) => v !== null && v !== undefined))
      const answer = await exchange({ method, url: origin + base + where, headers: sent, bytes, agent })
      assertEveryAnswersRules(answer, `${method} ${base}${where}`, !worker)
      // Another Worker, such as the last release's, has a description of its own.
      if (!worker) assertDescribed(method, base + where, answer)
      return answer
    },

    /** Sends a request and asserts the response's status. */
    async expect(status, method, where, options) {
      const answer = await api.call(method, where, options)
      assert.equal(answer.status, status, `${method} ${where}: expected ${status}, got ${answer.status}: ${answer.text}`)
      return answer
    },

    /** Sends a request and asserts that it is refused with this problem. `errors` are the pointers (or parameters) that it names, in any order. */
    async refuse(status, code, method, where, options, errors) {
      const answer = await api.expect(status, method, where, options)
      assert.equal(answer.json.code, code, answer.text)
      const named = answer.json.errors?.map((e) => e.pointer ?? e.parameter).sort()
      // Without wrong fields, the current dialect has an empty list, and the legacy one none.
      const none = worker || options?.base === '/api/4/_' ? undefined : []
      assert.deepEqual(named, errors ? [...errors].sort() : none, answer.text)
      return answer
    },

    /** Generates an id and a hostname that no other test uses. */
    fresh() {
      const id = `t${randomBytes(6).toString('hex')}`
      return { id, hostname: `${id}.example.com`, is_enabled: true }
    },

    /** Creates a tenant through the API. */
    tenant: async (fields = {}) => (await api.expect(201, 'POST', '/tenants', { body: { ...api.fresh(), ...fields } })).json,

    /** Creates a plan through the API. */
    plan: async (fields = {}) => (await api.expect(201, 'POST', '/tenants-plans', { body: { id: api.fresh().id, ...fields } })).json,

    /** Returns the parsed log lines of one request. Waits until the request's own line has come through workerd's pipe. */
    async linesOf(requestId) {
      const found = () => logs.map(parsed).filter((l) => l?.request_id === requestId && 'status' in l)
      await until(() => found().length > 0, () => `the log line of the request ${requestId}`, LOGGED)
      // Give the pipe time to deliver any further line of this request.
      await sleep(50)
      return found()
    },

    /** Waits for a console line that contains the text, and returns it. */
    logged: (text) => until(() => logs.find((line) => line.includes(text)), () => `a console line that contains ${text}:\n${logs.join('\n')}`, LOGGED),

    /** Asserts that no console line contains a secret, a key or the secret part of a key. */
    assertNothingSecretLogged(...more) {
      const hidden = [...Object.entries(secrets).filter(([n]) => /SECRET|ENCRYPTION/.test(n)).map(([, v]) => v),
        ...issued, ...issued.map((k) => k.split('_').slice(2).join('_')), ...more].filter((v) => v?.length >= 8)
      for (const line of logs) for (const value of hidden) assert.ok(!line.includes(value), `a console line contains ${value}: ${line}`)
    },
  }
  atEnd(() => api.assertNothingSecretLogged())
  if (schema) {
    await api.batch((Array.isArray(schema) ? schema : [...migrations().flatMap(statements), ...record(migrations())]).map((text) => [text]))
    const first = await api.makeKey({ name: 'end to end' })
    api.key = first.key
    api.keyId = first.id
  } else api.key = forgeKey(keySecret, 1)
  return api
}

function parsed(line) {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}

/** Sends one HTTP request byte for byte: does not normalise the path, and allows a GET with a body. */
const exchange = ({ method, url, headers, bytes, agent }) => new Promise((resolve, reject) => {
  const { hostname, port } = new URL(url)
  const request = http.request({ method, hostname, port, path: url.slice(new URL(url).origin.length), headers, agent, timeout: 20_000 })
  let answered = false
  request.on('response', (response) => {
    answered = true
    const chunks = []
    response.on('data', (c) => chunks.push(c))
    response.on('error', reject)
    response.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      const type = response.headers['content-type'] ?? ''
      // Node has a list of this one header, and the service sends one of each.
      const headers = { ...response.headers, ...(response.headers['set-cookie'] && { 'set-cookie': response.headers['set-cookie'].join('\n') }) }
      resolve({ method, status: response.statusCode, headers, text, json: /json$/.test(type) && text ? JSON.parse(text) : undefined })
    })
  })
  request.on('timeout', () => request.destroy(new Error(`${method} ${url}: no answer`)))
  // The Worker may respond before it has received the whole body. The connection may then fail, but the response counts.
  request.on('error', (error) => answered || reject(error))
  request.end(bytes.length ? bytes : undefined)
})

/** Asserts the rules of API.md §3 for all responses. `isCurrent`: the Worker is the built one, not an earlier release's. */
function assertEveryAnswersRules({ method, status, headers, text, json }, what, isCurrent) {
  assert.match(headers['x-request-id'] ?? '', /^[A-Za-z0-9._-]{1,64}$/, `${what}: X-Request-Id`)
  assert.equal(headers['cache-control'], 'no-store', `${what}: Cache-Control`)
  assert.equal(headers['x-content-type-options'], 'nosniff', `${what}: X-Content-Type-Options`)
  if (status === 204 || status === 304) {
    assert.equal(text, '', `${what}: ${status} has no body`)
    assert.equal(headers['content-type'], undefined, `${what}: ${status} has no Content-Type`)
    return
  }
  // Visitors get a page, whatever its status.
  if (headers['content-type'] === 'text/html; charset=utf-8') return assert.match(what, / \/_\/held\/[^/]*$/)
  assert.equal(headers['content-type'], status < 400 ? 'application/json' : 'application/problem+json', `${what}: Content-Type`)
  if (method === 'HEAD') return assert.equal(text, '', `${what}: HEAD has no body`)
  if (status < 400) return
  const members = ['code', 'detail', ...('errors' in json ? ['errors'] : []), 'request_id', ...('scope' in json ? ['scope'] : []), 'status', 'title', 'type']
  assert.deepEqual(Object.keys(json).sort(), members, `${what}: ${text}`)
  for (const member of ['type', 'title', 'detail', 'code']) assert.ok(typeof json[member] === 'string' && json[member], `${what}: ${member} of ${text}`)
  assert.equal(json.status, status)
  assert.equal(json.request_id, headers['x-request-id'])
  if (status === 401) assert.ok(headers['www-authenticate'], `${what}: WWW-Authenticate`)
  if (status === 405) assert.ok(headers.allow, `${what}: Allow`)
  const isLegacy = what.includes(' /api/4/_/')
  // The 409 of a tenant that is already installed names no field, and an `Idempotency-Key` is none.
  if ((status === 422 && json.code !== 'idempotency_key_reused') || (status === 409 && !/\/install(\?|$)/.test(what) && !OF_CELLS.includes(json.code))) assert.ok(json.errors?.length, `${what}: ${text}`)
  // Without wrong fields, the current dialect has an empty list, and the legacy one and earlier releases have none.
  // A path that is no legacy route is nobody's.
  else if (isCurrent && !(isLegacy && json.detail === 'no route has this path')) assert.deepEqual(json.errors, isLegacy ? undefined : [], `${what}: ${text}`)
  // Only the current dialect says who has a taken value.
  const holder = isCurrent && json.code === 'conflict' && !isLegacy ? ['holder'] : []
  for (const error of json.errors ?? []) {
    assert.deepEqual(Object.keys(error).sort(), ['detail', ...holder, 'parameter' in error ? 'parameter' : 'pointer'], `${what}: ${text}`)
    assert.ok(typeof error.detail === 'string' && error.detail, `${what}: ${text}`)
  }
}
