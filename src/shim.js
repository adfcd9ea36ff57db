// The Worker's main module: worker-build takes it by CUSTOM_SHIM. Its own shim has a class with proxies, which cost each request more than
// the rest of the glue. This one calls the handlers of src/lib.rs. It answers a request whose wasm trapped (a panic, or no memory or stack
// left), and then starts the wasm anew.
import * as bindings from './index_bg.js'
import wasmModule from './index.wasm'
$SNIPPET_JS_IMPORTS

const imports = { './index_bg.js': bindings, $SNIPPET_WASM_IMPORTS }

// wasm-bindgen's restart (`schedule_reinit` in src/running.rs) uses these names, which worker-build's own shim defines. After a restart,
// closures of the old instance throw, so they cannot call into the new one.
Object.assign(globalThis, { wasmModule, wasmInstance: undefined, __wbg_get_imports: () => imports })

const { exports } = new WebAssembly.Instance(wasmModule, imports)
bindings.__wbg_set_wasm(exports)
exports.__wbindgen_start()

/** The longest time that a trapped instance is kept for the requests in it that wait for the database. */
const PATIENCE_MS = 10_000

/** Running requests and cron runs. The key is the object of bindings that each got; the value ends it, in case the wasm cannot. */
const running = new Map()

/** Counts the instances of the wasm. A handle belongs to one of them. */
let generation = 0

/** The time at which the instance trapped, or 0. */
let trappedAt = 0

/** Calls a handler. Resolves to its result, or to the error that ended it. */
async function outcomeOf(handler, event, env, ctx) {
  if (trappedAt !== 0) restartIfQuiet()
  // The key is not the event itself, since a request that was a key of a Map costs the garbage collector more.
  const own = Object.create(env)
  const outcome = new Promise((resolve) => {
    running.set(own, resolve)
    handler(event, own, ctx).then(resolve, resolve)
  })
  // Runs the request to its end even if the caller hangs up. Only then does the wasm free the request's memory.
  ctx.waitUntil(outcome)
  try {
    return await outcome
  } catch (error) {
    // The wasm trapped before it returned a promise.
    trappedAt ||= Date.now()
    return error
  } finally {
    running.delete(own)
  }
}

/** Starts the wasm anew, unless requests go on in the one that trapped and may do so for a while. */
function restartIfQuiet() {
  if (running.size > 0 && Date.now() - trappedAt < PATIENCE_MS) return
  for (const end of running.values()) end(new Error('the wasm started anew while this waited'))
  running.clear()
  bindings.restart()
  // The next call starts the new instance. It must have no arguments: wasm-bindgen writes those first, into the old one.
  bindings.takeRunning()
  trappedAt = 0
  generation++
}

/** Adds the body to the head of a long list. A stream of the runtime's own costs less than one with a source in JavaScript. */
function inParts(head, request, env, ctx, began) {
  const { readable, writable } = new IdentityTransformStream()
  ctx.waitUntil(sendParts(head.parts, writable.getWriter(), request, env, ctx, began))
  return new Response(readable, head)
}

/** Sends each part when the client has taken the one before. If one fails, the response breaks off, so that nobody takes the list for a whole one. */
async function sendParts(handle, writer, request, env, ctx, began) {
  const born = generation
  for (let isLast = false; !isLast;) {
    const part = generation === born ? await outcomeOf(bindings.part, handle, env, ctx) : new Error('the wasm started anew during this response')
    if (!Array.isArray(part)) {
      // The wasm has logged a failure of the list's own.
      if (part !== null) fail(request, env, began, part)
      await writer.abort(new Error('the list broke off'))
      return
    }
    isLast = part[1]
    try {
      await writer.write(part[0])
    } catch {
      // The client has gone.
      if (!isLast && generation === born && trappedAt === 0) bindings.dropParts(handle, env)
      return
    }
  }
  await writer.close().catch(() => {})
}

/** Logs why a request failed, and makes its 500. */
function fail(request, env, began, outcome) {
  // A trapped instance may have no memory left, so use a new one.
  if (trappedAt !== 0) restartIfQuiet()
  return bindings.fail(request, env, began, textOf(outcome))
}

/** Ends the request whose later turn trapped. */
function trapped(error) {
  trappedAt ||= Date.now()
  const key = bindings.takeRunning()
  running.get(key)?.(bindings.takePanic() || error)
  running.delete(key)
}

// The wasm's later turns are microtasks. The runtime's `queueMicrotask` makes a new function for each call, and a reaction of a promise does not:
// a poll by Traefik then takes 5 % less processor time.
const settled = Promise.resolve()
globalThis.queueMicrotask = (turn) => {
  settled.then(() => {
    try {
      turn()
    } catch (error) {
      trapped(error)
    }
  })
}

// Errors of turns that a timer began.
addEventListener('error', ({ error }) => trapped(error))

export default {
  async fetch(request, env, ctx) {
    const began = Date.now()
    const outcome = await outcomeOf(bindings.fetch, request, env, ctx)
    if (!(outcome instanceof Response)) return fail(request, env, began, outcome)
    return outcome.parts ? inParts(outcome, request, env, ctx, began) : outcome
  },

  /** The cron trigger. */
  async scheduled(controller, env, ctx) {
    const began = Date.now()
    const outcome = await outcomeOf(bindings.scheduled, controller, env, ctx)
    if (outcome === undefined) return
    console.error(JSON.stringify({ level: 'error', job: 'stats', duration_ms: Date.now() - began, cause: textOf(outcome) }))
  },
}

/** The database of one tenant's site (src/sites.rs). Each call makes the Rust object anew, since the wasm may have started anew in between. */
export class TenantDatabase {
  #state
  #env

  constructor(state, env) {
    this.#state = state
    this.#env = env
  }

  async fetch(request) {
    const run = async (request, env, state) => {
      const born = generation
      const site = new bindings.TenantDatabase(state, env)
      const response = await site.fetch(request)
      if (generation === born) site.free()
      return response
    }
    const outcome = await outcomeOf(run, request, this.#env, this.#state)
    if (outcome instanceof Response) return outcome
    if (trappedAt !== 0) restartIfQuiet()
    // The Worker that asked logs it.
    throw outcome instanceof Error ? outcome : new Error(textOf(outcome))
  }
}

const textOf = (error) => String(error?.stack ?? error)
