// The package's JavaScript around the wasm, which ./index.js or ./workerd.js passes to `start`. It moves bytes between the
// platform's Request and Response, the core and a database. The core makes every decision.
import * as bindings from './tenants_core_bg.js'
import { checkedSender, sendBy } from './outbound.js'

let module
let memory = null
/** The number of the current wasm instance. A handle is valid only in the instance that issued it. */
let generation = 0
/** The request headers that the core reads. @type {string[]} */
let headerNames = []
/** The version that each log entry has. */
let version = ''

/** Sends a request of the service's own, unless the host has a function for that: `undefined` on a platform without a network of its own. */
let platformSender

/** Keeps the compiled wasm and starts an instance of it. */
export function start(compiled, sender = checkedSender()) {
  module = compiled
  platformSender = sender
  instantiate()
}

function instantiate() {
  const { exports } = new WebAssembly.Instance(module, { './tenants_core_bg.js': bindings })
  // `grow(0)` detaches the old memory's buffer. By that, wasm-bindgen's glue notices that its views of the buffer are stale.
  memory?.grow(0)
  memory = exports.memory
  generation++
  bindings.__wbg_set_wasm(exports)
  exports.__wbindgen_start()
  headerNames = bindings.headerNames().split('\n')
  version = bindings.versionText()
}

/** Calls into the wasm. An instance that trapped cannot be trusted, so start a new one. Requests that still wait in the old one are rejected. */
function guarded(call) {
  try {
    return call()
  } catch (error) {
    if (!isTrap(error)) throw error
    const cause = panicMessage() || error.message
    instantiate()
    throw crashed(cause)
  }
}

/**
 * Calls into the wasm for a turn, and notes which instance issued its handle or that of its rest. When the handle is used, another instance may be
 * the current one, and have a handle with the same number.
 */
function turnOf(call) {
  const text = guarded(call)
  if (text === undefined) return undefined
  const turn = JSON.parse(text)
  turn.issued = generation
  if (turn.rest) turn.rest.issued = generation
  return turn
}

/** A stack overflow is a RangeError, or an InternalError in Firefox. It ends the wasm's functions midway, as a trap does. */
function isTrap(error) {
  return error instanceof WebAssembly.RuntimeError || error instanceof RangeError || error?.name === 'InternalError'
}

function panicMessage() {
  try {
    return bindings.takePanic()
  } catch {
    // The instance is too broken to tell.
    return ''
  }
}

const crashed = (cause) => failed('crashed', `the core crashed: ${cause}`)

function failed(code, message, field = null) {
  return Object.assign(new Error(message), { name: 'TenantsError', code, field, errors: [] })
}

/** Refuses an argument of another type than the declared one: the wasm would take it for something else. */
function expect(isRight, field, what) {
  if (!isRight) throw failed('invalid_argument', `${field}: expected ${what}`, field)
}

const isText = (value) => typeof value === 'string'
const isAbsent = (value) => value === undefined || value === null
const isTextOrAbsent = (value) => isText(value) || isAbsent(value)

/** The time to pass to the core, in milliseconds. */
function timeOf(now) {
  expect(isAbsent(now) || Number.isFinite(now), 'now', 'a number of milliseconds')
  return now ?? Date.now()
}

const onceCollected = (release) => (typeof FinalizationRegistry === 'undefined' ? undefined
  : new FinalizationRegistry((held) => { if (held.generation === generation) release(held.handle) }))

const forgotten = onceCollected((handle) => bindings.release(handle))
/** If a host drops a request whose batch never ends, its exchange goes, too. */
const abandoned = onceCollected((handle) => bindings.abandon(handle))

/** The time for which a scheduled run goes on to send events: the next one comes after a minute. */
const DELIVERIES_MS = 50_000

export class TenantsApi {
  #config
  #log
  #warn
  #host
  /** The configuration's handle, and the instance that issued it. The registry has a reference to this object, and releases the handle. */
  #api = { handle: 0, generation: 0 }

  constructor(config, { log = logErrors, warn = (text) => console.warn(text), siteDatabase, fetch } = {}) {
    // Copy: the caller may change its object later, and a restarted instance reads the configuration again.
    this.#config = config !== null && typeof config === 'object' ? { ...config } : config
    this.#log = log
    this.#warn = warn
    this.#host = { siteDatabase, send: fetch === undefined ? platformSender : (request) => sendBy(fetch, request) }
    this.#handle()
    forgotten?.register(this, this.#api)
    for (const text of bindings.unknownVariables(Object.keys(this.#config))) warn(text)
  }

  async fetch(request, database, options = {}) {
    const began = performance.now()
    const noteCrash = (error) => {
      const durationMs = Math.round(performance.now() - began)
      this.#note({ level: 'error', method: request.method, route: null, status: 500, keyId: null, durationMs, requestId: '', version, cause: error.message })
    }
    try {
      return await this.#answer(request, database, options, noteCrash)
    } catch (error) {
      if (error?.code === 'crashed') noteCrash(error)
      throw error
    }
  }

  async #answer(request, database, { clientAddress, now }, noteCrash) {
    if (request.bodyUsed) throw new TypeError("the request's body has already been read")
    expect(isTextOrAbsent(clientAddress), 'clientAddress', 'a text')
    const reading = readBody(request)
    const body = reading instanceof Promise ? await reading : reading
    const headers = headerNames.map((name) => {
      const value = request.headers.get(name)
      return value === null ? '' : `=${value}`
    })
    const begun = turnOf(() => bindings.begin(
      this.#handle(), request.method, ...partsOf(request.url), clientAddress ?? undefined, headers.join('\n'), body, timeOf(now)))
    const turn = await finished(begun, database, now, this.#host, request)
    if (turn.afterwards) await this.#noteUse(turn.afterwards, database)
    const init = { status: turn.status, headers: turn.headers }
    if (turn.rest) return new Response(this.#listOf(turn.body, turn.rest, database, now, noteCrash), init)
    this.#note(entryOf(turn.log))
    return new Response(turn.body === '' ? null : turn.body, init)
  }

  /** The body of a long list. Each part is read when the client has taken the one before. */
  #listOf(text, waiting, database, now, noteCrash) {
    const encoder = new TextEncoder()
    let isLeft = false
    const keep = () => abandoned?.register(source, { handle: waiting.handle, generation: waiting.issued }, source)
    const source = {
      pull: async (controller) => {
        if (text === undefined) {
          abandoned?.unregister(source)
          const turn = await proceed(waiting, database, now).catch((error) => {
            // A reader that left while its part was read has an entry already.
            if (!isLeft) noteCrash(error)
            throw error
          })
          if (turn.log) this.#note(entryOf(turn.log))
          // The body breaks off, so that nobody takes the list for a whole one.
          if (turn.part === undefined) throw failed('broken_off', 'the list broke off; the log says why')
          text = turn.part
          waiting = turn.rest
          if (waiting) keep()
        }
        controller.enqueue(encoder.encode(text))
        text = undefined
        if (!waiting) controller.close()
      },
      cancel: () => {
        isLeft = true
        abandoned?.unregister(source)
        if (!waiting) return
        if (waiting.issued !== generation) {
          noteCrash(crashed('it restarted while this list waited for its reader'))
          return
        }
        const log = guarded(() => bindings.abandonList(waiting.handle))
        if (log !== undefined) this.#note(entryOf(JSON.parse(log)))
      },
    }
    keep()
    return new ReadableStream(source, { highWaterMark: 0 })
  }

  async countStatistics(database, { now } = {}) {
    return reported(await finished(turnOf(() => bindings.beginStats(this.#handle(), timeOf(now))), database, now, this.#host))
  }

  async deliverWebhooks(database, { now } = {}) {
    const { given_up: givenUp, is_cut: isCut, ...report } = reported(await finished(
      turnOf(() => bindings.beginDelivery(this.#handle(), timeOf(now))), database, now, this.#host))
    return { ...report, givenUp, isCut }
  }

  async lookUpHostnames(database, { now } = {}) {
    const { counted: lookedUp, failed } = reported(await finished(
      turnOf(() => bindings.beginProofs(this.#handle(), timeOf(now))), database, now, this.#host))
    return { lookedUp, failed }
  }

  async scheduled(database, { now } = {}) {
    const until = performance.now() + DELIVERIES_MS
    const errors = []
    const attempt = async (work) => {
      try {
        return await work()
      } catch (error) {
        errors.push(error)
      }
    }
    const statistics = await attempt(() => this.countStatistics(database, { now }))
    const webhooks = []
    await attempt(async () => {
      do webhooks.push(await this.deliverWebhooks(database, { now }))
      while (webhooks.at(-1).isCut && performance.now() < until)
    })
    const hostnames = await attempt(() => this.lookUpHostnames(database, { now }))
    if (errors.length > 0) throw new AggregateError(errors, `scheduled work failed: ${errors.map(({ message }) => message).join('; ')}`)
    const sum = (name) => webhooks.reduce((total, report) => total + report[name], 0)
    const sums = Object.fromEntries(['accepted', 'refused', 'givenUp', 'disabled'].map((name) => [name, sum(name)]))
    return { statistics, webhooks: { ...webhooks.at(-1), ...sums }, hostnames }
  }

  async createApiKey(database, { name, expiresAt, scopes, bound } = {}) {
    expect(isTextOrAbsent(name), 'name', 'a text')
    expect(isTextOrAbsent(expiresAt), 'expiresAt', 'a text')
    expect(isAbsent(scopes) || (Array.isArray(scopes) && scopes.every(isText)), 'scopes', 'a list of texts')
    expect(isAbsent(bound) || typeof bound === 'boolean', 'bound', '`true` or `false`')
    const { signing_secret: signingSecret, ...made } = reported(await finished(turnOf(() => (
      bindings.createKey(this.#handle(), name, expiresAt, scopes, bound === true, Date.now()))), database))
    return { ...made, ...(signingSecret !== undefined && { signingSecret }) }
  }

  async listApiKeys(database) {
    const rows = reported(await finished(turnOf(() => bindings.listKeys(this.#handle(), Date.now())), database))
    return rows.map(({ id, name, scopes, bound, created_at: createdAt, expires_at: expiresAt, last_used_at: lastUsedAt, deleted_at: deletedAt }) => (
      { id, name, scopes, bound, createdAt, expiresAt, lastUsedAt, deletedAt }))
  }

  async deleteApiKeys(database, { id, name } = {}) {
    expect(isAbsent(id) || typeof id === 'number', 'id', 'a whole number, 1 to 999999999999999')
    expect(isTextOrAbsent(name), 'name', 'a text')
    return reported(await finished(turnOf(() => bindings.deleteKeys(this.#handle(), id, name, Date.now())), database))
  }

  #note(entry) {
    tell('log', this.#log, entry)
  }

  /** Notes that a key was used, once an hour. Here and not after the response, since a platform may stop the program then. */
  async #noteUse(statements, database) {
    try {
      await database.batch(statements.map(([sql, params]) => ({ sql, params })))
    } catch (error) {
      tell('warn', this.#warn, `a key's use could not be noted: ${reasonOf(error)}`)
    }
  }

  #handle() {
    if (this.#api.generation !== generation) {
      const handle = guarded(() => bindings.configure(this.#config, this.#host.siteDatabase !== undefined))
      Object.assign(this.#api, { handle, generation })
    }
    return this.#api.handle
  }
}

/** Runs batches until the core needs no more. Returns its last turn. */
async function finished(turn, database, now, host, request) {
  while (turn.statements || turn.wait !== undefined || turn.fetch) turn = await proceed(turn, database, now, host, request)
  return turn
}

/** Runs a batch, or sends a request of the service's own, or lets the milliseconds `wait` pass: a request waits for the job of a tenant's cell. */
async function proceed({ handle, site, statements, wait, fetch, issued }, registry, now, host, request) {
  const began = performance.now()
  const waiting = { handle, generation: issued }
  abandoned?.register(waiting, { ...waiting }, waiting)
  let results
  let failure
  let isUnavailable = false
  try {
    if (fetch) {
      const mayConnectTo = (address) => waiting.generation === generation && guarded(() => bindings.mayConnectTo(handle, address))
      const answer = await host?.send?.(fetch, mayConnectTo)
      results = answer && [performance.now() - began, ...answer]
    } else if (wait === undefined) {
      const database = site === undefined ? registry : await host.siteDatabase(site)
      results = await database.batch(statements.map(([sql, params]) => ({ sql, params })))
    } else results = await pause(wait, request?.signal)
  } catch (error) {
    failure = reasonOf(error)
    if (fetch) results = [performance.now() - began]
    isUnavailable = error?.code === 'unavailable'
  }
  abandoned?.unregister(waiting)
  // In a new instance, the old handle may belong to another request.
  const next = issued === generation ? turnOf(() => bindings.resume(handle, results, failure, isUnavailable, timeOf(now))) : undefined
  if (next === undefined) throw crashed('it restarted while this request waited for the database')
  return next
}

/** Lets a time pass. Resolves with `null`, and at once, if the caller goes away. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    const end = (result) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', leave)
      resolve(result)
    }
    const leave = () => end(null)
    const timer = setTimeout(() => end(), milliseconds)
    signal?.addEventListener('abort', leave)
    if (signal?.aborted) leave()
  })
}

/** An error of a host, as a text. It may be anything, even an object that has no text. The platform's `fetch` tells the reason of a failure only in its cause. */
function reasonOf(error) {
  try {
    const text = String(error?.message ?? error)
    const cause = error?.cause?.message || error?.cause?.code
    return cause ? `${text}: ${cause}` : text
  } catch {
    return 'an error without a message'
  }
}

/** Returns a task's report. Throws the reason if it failed. */
function reported({ report, failure, missing, unavailable }) {
  if (failure === undefined) return report
  if (missing !== null) throw failed('not_configured', failure, missing)
  throw failed(unavailable ? 'unavailable' : 'task_failed', failure)
}

export function sign(secret, body = '') {
  expect(isText(secret), 'secret', 'a text')
  const bytes = bytesOf(body)
  return guarded(() => bindings.signBytes(secret, bytes))
}

/** The headers that a bound key's signature must cover where they are sent (docs/API.md §13). */
const COVERED = ['idempotency-key', 'if-match', 'if-none-match', 'prefer']

export function signRequest({ key, signingSecret, method = 'GET', url, headers, body = '', nonce } = {}) {
  for (const [name, value] of Object.entries({ key, signingSecret })) {
    expect(isText(value) && value !== '', name, 'a text that is not empty')
  }
  expect(isText(method), 'method', 'a text')
  expect(nonce === undefined || (isText(nonce) && /^[!#-[\]-~]{1,128}$/.test(nonce)), 'nonce', '1 to 128 visible ASCII characters, without " and \\')
  expect(URL.canParse(url), 'url', 'a whole URL')
  // The URL as a Request has it. Its `search` would lack a `?` with nothing after it.
  const [origin, target] = partsOf(new URL(url).href)
  const sent = headersOf(headers)
  const lines = COVERED.filter((name) => sent.has(name)).map((name) => `${name}: ${sent.get(name)}`).join('\n')
  const bytes = bytesOf(body)
  const [input, signature, digest] = guarded(() => bindings.signParts(key, signingSecret, method, origin, target, lines, bytes, nonce, Date.now())).split('\n')
  return { 'X-API-Key': key, 'Signature-Input': input, Signature: signature, ...(digest && { 'Content-Digest': digest }) }
}

/** The bytes that a Request with this body sends. */
function bytesOf(body) {
  if (isText(body)) return new TextEncoder().encode(body)
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
  expect(body instanceof ArrayBuffer, 'body', 'a text or bytes')
  return new Uint8Array(body)
}

function headersOf(headers) {
  try {
    return new Headers(headers)
  } catch (error) {
    throw failed('invalid_argument', `headers: ${reasonOf(error)}`, 'headers')
  }
}

export async function prepareDatabase(database) {
  return reported(await finished(turnOf(() => bindings.beginPreparation()), database))
}

/** Calls a function of the host. An error in it must not make a caller believe that a write failed. */
function tell(name, callback, what) {
  const fail = (error) => console.error(`tenants-core: the ${name} callback failed:`, error)
  try {
    const told = callback(what)
    if (typeof told?.then === 'function') told.then(undefined, fail)
  } catch (error) {
    fail(error)
  }
}

function logErrors(entry) {
  if (entry.level === 'error') console.error(JSON.stringify(entry))
}

function entryOf({ key_id: keyId, duration_ms: durationMs, request_id: requestId, client_address: clientAddress, ...rest }) {
  return { ...rest, keyId, durationMs, requestId, ...(clientAddress !== undefined && { clientAddress }) }
}

/** Returns the two parts of an absolute URL, unchanged: scheme and authority, and path and query. */
function partsOf(url) {
  const path = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('#')
  return path < 0 ? [url, '/'] : [url.slice(0, path), url.slice(path, end < 0 ? undefined : end)]
}

const EMPTY = new Uint8Array()

/** Reads the body's bytes. Returns `undefined` if the body is longer than the core accepts, and `null` if it breaks off before its end. */
function readBody(request) {
  const limit = bindings.bodyLimitBytes()
  if (Number(request.headers.get('content-length') ?? 0) > limit) return undefined
  if (request.body === null) return EMPTY
  // A platform without request streams already has the whole body.
  if (request.body === undefined) return request.arrayBuffer().then((all) => (all.byteLength > limit ? undefined : new Uint8Array(all)), () => null)
  return readStream(request.body.getReader(), limit)
}

async function readStream(reader, limit) {
  const chunks = []
  let length = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      length += value.length
      if (length > limit) {
        // Whether the rest can be cancelled makes no difference to the response.
        reader.cancel().catch(() => {})
        return undefined
      }
      chunks.push(value)
    }
  } catch {
    return null
  }
  if (chunks.length === 1) return chunks[0]
  const all = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}
