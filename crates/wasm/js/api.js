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
  #host
  /** The configuration's handle, and the instance that issued it. The registry has a reference to this object, and releases the handle. */
  #api = { handle: 0, generation: 0 }

  constructor(config, { log = logErrors, warn = (text) => console.warn(text), siteDatabase, fetch } = {}) {
    // Copy: the caller may change its object later, and a restarted instance reads the configuration again.
    this.#config = config !== null && typeof config === 'object' ? { ...config } : config
    this.#log = log
    this.#host = { siteDatabase, send: fetch === undefined ? platformSender : (request) => sendBy(fetch, request) }
    this.#handle()
    forgotten?.register(this, this.#api)
    for (const text of bindings.unknownVariables(Object.keys(this.#config))) warn(text)
  }

  async fetch(request, database, { clientAddress, now } = {}) {
    const reading = readBody(request)
    const body = reading instanceof Promise ? await reading : reading
    const headers = headerNames.map((name) => {
      const value = request.headers.get(name)
      return value === null ? '' : `=${value}`
    })
    const begun = guarded(() => bindings.begin(
      this.#handle(), request.method, ...partsOf(request.url), clientAddress ?? undefined, headers.join('\n'), body, now ?? Date.now()))
    const turn = await finished(begun, database, now, this.#host)
    if (turn.afterwards) await noteUse(turn.afterwards, database)
    const init = { status: turn.status, headers: turn.headers }
    if (turn.rest) return new Response(this.#listOf(turn.body, turn.rest, database, now), init)
    this.#note(entryOf(turn.log))
    return new Response(turn.body === '' ? null : turn.body, init)
  }

  /** The body of a long list. Each part is read when the client has taken the one before. */
  #listOf(text, rest, database, now) {
    const encoder = new TextEncoder()
    let waiting = { ...rest, issued: generation }
    const source = {
      pull: async (controller) => {
        if (text === undefined) {
          const turn = JSON.parse(await proceed(waiting, database, now))
          abandoned?.unregister(source)
          if (turn.log) this.#note(entryOf(turn.log))
          // The body breaks off, so that nobody takes the list for a whole one.
          if (turn.part === undefined) throw failed('broken_off', 'the list broke off; the log says why')
          text = turn.part
          waiting = turn.rest && { ...turn.rest, issued: generation }
          if (waiting) abandoned?.register(source, { handle: waiting.handle, generation }, source)
        }
        controller.enqueue(encoder.encode(text))
        text = undefined
        if (!waiting) controller.close()
      },
      cancel: () => {
        abandoned?.unregister(source)
        if (waiting?.issued !== generation) return
        const log = guarded(() => bindings.abandonList(waiting.handle))
        if (log !== undefined) this.#note(entryOf(JSON.parse(log)))
      },
    }
    abandoned?.register(source, { handle: waiting.handle, generation }, source)
    return new ReadableStream(source, { highWaterMark: 0 })
  }

  async countStatistics(database, { now } = {}) {
    return reported(await finished(guarded(() => bindings.beginStats(this.#handle(), now ?? Date.now())), database, now, this.#host))
  }

  async deliverWebhooks(database, { now } = {}) {
    const { given_up: givenUp, is_cut: isCut, ...report } = reported(await finished(
      guarded(() => bindings.beginDelivery(this.#handle(), now ?? Date.now())), database, now, this.#host))
    return { ...report, givenUp, isCut }
  }

  async lookUpHostnames(database, { now } = {}) {
    const { counted: lookedUp, failed } = reported(await finished(
      guarded(() => bindings.beginProofs(this.#handle(), now ?? Date.now())), database, now, this.#host))
    return { lookedUp, failed }
  }

  async scheduled(database, { now } = {}) {
    const until = Date.now() + DELIVERIES_MS
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
      while (webhooks.at(-1).isCut && Date.now() < until)
    })
    const hostnames = await attempt(() => this.lookUpHostnames(database, { now }))
    if (errors.length > 0) throw new AggregateError(errors, `scheduled work failed: ${errors.map(({ message }) => message).join('; ')}`)
    const sum = (name) => webhooks.reduce((total, report) => total + report[name], 0)
    const sums = Object.fromEntries(['accepted', 'refused', 'givenUp', 'disabled'].map((name) => [name, sum(name)]))
    return { statistics, webhooks: { ...webhooks.at(-1), ...sums }, hostnames }
  }

  async createApiKey(database, { name, expiresAt, scopes, bound } = {}) {
    const { signing_secret: signingSecret, ...made } = reported(await finished(guarded(() => (
      bindings.createKey(this.#handle(), name, expiresAt, scopes, bound === true, Date.now()))), database))
    return { ...made, ...(signingSecret !== undefined && { signingSecret }) }
  }

  async listApiKeys(database) {
    const rows = reported(await finished(guarded(() => bindings.listKeys(this.#handle(), Date.now())), database))
    return rows.map(({ id, name, scopes, bound, created_at: createdAt, expires_at: expiresAt, last_used_at: lastUsedAt, deleted_at: deletedAt }) => (
      { id, name, scopes, bound, createdAt, expiresAt, lastUsedAt, deletedAt }))
  }

  async deleteApiKeys(database, { id, name } = {}) {
    return reported(await finished(guarded(() => bindings.deleteKeys(this.#handle(), id, name, Date.now())), database))
  }

  /** Calls the host's log. An error in it must not make a caller believe that a write failed. */
  #note(entry) {
    try {
      const logged = this.#log(entry)
      if (typeof logged?.then === 'function') logged.then(undefined, logFailed)
    } catch (error) {
      logFailed(error)
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
async function finished(begun, database, now, host) {
  let turn = JSON.parse(begun)
  while (turn.statements || turn.wait !== undefined || turn.fetch) turn = JSON.parse(await proceed(turn, database, now, host))
  return turn
}

/** Runs a batch, or sends a request of the service's own, or lets the milliseconds `wait` pass: a request waits for the job of a tenant's cell. */
async function proceed({ handle, site, statements, wait, fetch, issued = generation }, registry, now, host) {
  const began = Date.now()
  const waiting = { handle, generation: issued }
  abandoned?.register(waiting, { ...waiting }, waiting)
  let results
  let failure
  let isUnavailable = false
  try {
    if (fetch) {
      const mayConnectTo = (address) => waiting.generation === generation && guarded(() => bindings.mayConnectTo(handle, address))
      const answer = await host?.send?.(fetch, mayConnectTo)
      results = answer && [Date.now() - began, ...answer]
    } else if (wait === undefined) {
      const database = site === undefined ? registry : await host.siteDatabase(site)
      results = await database.batch(statements.map(([sql, params]) => ({ sql, params })))
    } else await new Promise((resolve) => setTimeout(resolve, wait))
  } catch (error) {
    failure = String(error?.message ?? error)
    if (fetch) results = [Date.now() - began]
    isUnavailable = error?.code === 'unavailable'
  }
  abandoned?.unregister(waiting)
  // In a new instance, the old handle may belong to another request.
  const next = waiting.generation === generation ? guarded(() => bindings.resume(handle, results, failure, isUnavailable, now ?? Date.now())) : undefined
  if (next === undefined) throw crashed('it restarted while this request waited for the database')
  return next
}

/** Notes that a key was used, once an hour. Here and not after the response, since a platform may stop the program then. */
async function noteUse(statements, database) {
  try {
    await database.batch(statements.map(([sql, params]) => ({ sql, params })))
  } catch (error) {
    console.error("tenants-core: a key's use could not be noted:", error)
  }
}

/** Returns a task's report. Throws the reason if it failed. */
function reported({ report, failure, missing, unavailable }) {
  if (failure === undefined) return report
  if (missing !== null) throw failed('not_configured', failure, missing)
  throw failed(unavailable ? 'unavailable' : 'task_failed', failure)
}

export function sign(secret, body = '') {
  const bytes = bytesOf(body)
  return guarded(() => bindings.signBytes(secret, bytes))
}

/** The headers that a bound key's signature must cover where they are sent (docs/API.md §13). */
const COVERED = ['idempotency-key', 'if-match', 'if-none-match', 'prefer']

export function signRequest({ key, signingSecret, method = 'GET', url, headers, body = '', nonce }) {
  for (const [name, value] of Object.entries({ key, signingSecret })) {
    if (typeof value !== 'string' || value === '') throw failed('invalid_argument', `${name}: expected a text that is not empty`, name)
  }
  if (nonce !== undefined && !/^[!#-[\]-~]{1,128}$/.test(nonce)) throw failed('invalid_argument', 'nonce: expected 1 to 128 visible ASCII characters, without " and \\', 'nonce')
  if (!URL.canParse(url)) throw failed('invalid_argument', 'url: expected a whole URL', 'url')
  const { origin, pathname, search } = new URL(url)
  const sent = new Headers(headers)
  const lines = COVERED.filter((name) => sent.has(name)).map((name) => `${name}: ${sent.get(name)}`).join('\n')
  const bytes = bytesOf(body)
  const [input, signature, digest] = guarded(() => bindings.signParts(key, signingSecret, method, origin, pathname + search, lines, bytes, nonce, Date.now())).split('\n')
  return { 'X-API-Key': key, 'Signature-Input': input, Signature: signature, ...(digest && { 'Content-Digest': digest }) }
}

const bytesOf = (body) => (typeof body === 'string' ? new TextEncoder().encode(body) : body instanceof ArrayBuffer ? new Uint8Array(body) : body)

export async function prepareDatabase(database) {
  return reported(await finished(guarded(() => bindings.beginPreparation()), database))
}

function logFailed(error) {
  console.error('tenants-core: the log callback failed:', error)
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
