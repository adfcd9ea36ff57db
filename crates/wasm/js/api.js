// The API and what belongs to it, on the wasm that ./index.js or ./workerd.js has handed in. Moves bytes between the platform's
// Request and Response, the core and a database, and decides nothing.
import * as bindings from './tenants_core_bg.js'

let module
let memory = null
/** Which instance of the wasm serves. A handle is of the instance that gave it. */
let generation = 0

/** Takes the compiled wasm, and starts it. */
export function start(compiled) {
  module = compiled
  instantiate()
}

function instantiate() {
  const { exports } = new WebAssembly.Instance(module, { './tenants_core_bg.js': bindings })
  // Growing by nothing detaches the old memory's buffer, which is how wasm-bindgen's glue sees that its views of it are stale.
  memory?.grow(0)
  memory = exports.memory
  generation++
  bindings.__wbg_set_wasm(exports)
  exports.__wbindgen_start()
}

/** Calls into the wasm. One that trapped cannot be trusted: it is started anew, and whoever still waits in it is told. */
function guarded(call) {
  try {
    return call()
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error
    const cause = bindings.takePanic() || error.message
    instantiate()
    throw crashed(cause)
  }
}

const crashed = (cause) => failed('crashed', `the core broke: ${cause}`)

function failed(code, message) {
  return Object.assign(new Error(message), { name: 'TenantsError', code, field: null, errors: [] })
}

const forgotten = typeof FinalizationRegistry === 'undefined' ? undefined
  : new FinalizationRegistry((api) => { if (api.generation === generation) bindings.release(api.handle) })

export class TenantsApi {
  #config
  #log
  /** The configuration's number, and the instance that gave it. Shared with the registry, which frees it. */
  #api = { handle: 0, generation: 0 }

  constructor(config, { log = logErrors } = {}) {
    // A copy: what the caller does to its own later is not half read.
    this.#config = config !== null && typeof config === 'object' ? { ...config } : config
    this.#log = log
    this.#handle()
    forgotten?.register(this, this.#api)
  }

  async fetch(request, database, { clientAddress, now } = {}) {
    const began = Date.now()
    const reading = readBody(request)
    const body = reading instanceof Promise ? await reading : reading
    const { headers } = request
    const text = (name) => headers.get(name) ?? undefined
    let turn = JSON.parse(guarded(() => bindings.begin(
      this.#handle(), request.method, targetOf(request.url), clientAddress ?? undefined, text('x-api-key'), text('x-signature'), text('content-type'),
      text('x-request-id'), text('if-none-match'), body, now ?? began)))
    while (turn.statements) turn = await this.#proceed(turn, database, now)
    this.#log(entryOf(turn.log))
    return new Response(turn.body === '' ? null : turn.body, { status: turn.status, headers: turn.headers })
  }

  async countStatistics(database, { now } = {}) {
    let turn = JSON.parse(guarded(() => bindings.beginStats(this.#handle(), now ?? Date.now())))
    while (turn.statements) turn = await this.#proceed(turn, database, now)
    if (turn.failure !== undefined) throw failed('job_failed', turn.failure)
    return turn.report
  }

  #handle() {
    if (this.#api.generation !== generation) {
      const handle = guarded(() => bindings.configure(this.#config))
      Object.assign(this.#api, { handle, generation })
    }
    return this.#api.handle
  }

  async #proceed({ handle, statements }, database, now) {
    const mine = generation
    let results
    let failure
    try {
      results = await database.batch(statements.map(([sql, params]) => ({ sql, params })))
    } catch (error) {
      failure = String(error?.message ?? error)
    }
    // Another instance's handle may be another request's there.
    const next = mine === generation ? guarded(() => bindings.resume(handle, results, failure, now ?? Date.now())) : undefined
    if (next === undefined) throw crashed('it started anew while this request waited for its rows')
    return JSON.parse(next)
  }
}

export function sign(secret, body = '') {
  const bytes = typeof body === 'string' ? new TextEncoder().encode(body) : body instanceof ArrayBuffer ? new Uint8Array(body) : body
  return guarded(() => bindings.signBytes(secret, bytes))
}

export function createApiKey(keySecret, id, { name, expiresAt } = {}) {
  return JSON.parse(guarded(() => bindings.issueKey(keySecret, id, name, expiresAt, Date.now())))
}

function logErrors(entry) {
  if (entry.level === 'error') console.error(JSON.stringify(entry))
}

function entryOf({ key_id: keyId, duration_ms: durationMs, request_id: requestId, ...rest }) {
  return { ...rest, keyId, durationMs, requestId }
}

/** Path and query of an absolute URL, as they came. */
function targetOf(url) {
  const path = url.indexOf('/', url.indexOf('://') + 3)
  const end = url.indexOf('#')
  return path < 0 ? '/' : url.slice(path, end < 0 ? undefined : end)
}

const EMPTY = new Uint8Array()

/** The body's bytes, or `undefined` where it is longer than the core takes. */
function readBody(request) {
  const limit = bindings.bodyLimitBytes()
  if (Number(request.headers.get('content-length') ?? 0) > limit) return undefined
  if (request.body === null) return EMPTY
  // A platform without streams in requests has the body whole already.
  if (request.body === undefined) return request.arrayBuffer().then((all) => (all.byteLength > limit ? undefined : new Uint8Array(all)))
  return readStream(request.body.getReader(), limit)
}

async function readStream(reader, limit) {
  const chunks = []
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    length += value.length
    if (length > limit) {
      await reader.cancel()
      return undefined
    }
    chunks.push(value)
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
