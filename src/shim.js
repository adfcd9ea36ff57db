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
}

// The wasm's later turns are microtasks, so their errors arrive here.
addEventListener('error', ({ error }) => {
  trappedAt ||= Date.now()
  const key = bindings.takeRunning()
  running.get(key)?.(bindings.takePanic() || error)
  running.delete(key)
})

export default {
  async fetch(request, env, ctx) {
    const began = Date.now()
    const outcome = await outcomeOf(bindings.fetch, request, env, ctx)
    if (outcome instanceof Response) return outcome
    // A trapped instance may have no memory left, so use a new one.
    if (trappedAt !== 0) restartIfQuiet()
    return bindings.fail(request, env, began, textOf(outcome))
  },

  /** The cron trigger. */
  async scheduled(controller, env, ctx) {
    const began = Date.now()
    const outcome = await outcomeOf(bindings.scheduled, controller, env, ctx)
    if (outcome === undefined) return
    console.error(JSON.stringify({ level: 'error', job: 'stats', duration_ms: Date.now() - began, cause: textOf(outcome) }))
  },
}

const textOf = (error) => String(error?.stack ?? error)
