// What worker-build puts around the wasm (CUSTOM_SHIM), in place of its own class, whose proxies cost each request more than the
// rest of the glue. Calls the handlers of src/lib.rs, and answers requests whose wasm trapped: a panic, or memory or stack that ran out.
import * as bindings from './index_bg.js'
import wasmModule from './index.wasm'
$SNIPPET_JS_IMPORTS

const imports = { './index_bg.js': bindings, $SNIPPET_WASM_IMPORTS }

// wasm-bindgen's way to start anew (`schedule_reinit` in src/running.rs) uses these names of worker-build's other shim. It makes
// closures of the instance before throw rather than call into the new one.
Object.assign(globalThis, { wasmModule, wasmInstance: undefined, __wbg_get_imports: () => imports })

const { exports } = new WebAssembly.Instance(wasmModule, imports)
bindings.__wbg_set_wasm(exports)
exports.__wbindgen_start()

/** For how long an instance that trapped is kept for the requests that wait for the database in it, at the most. */
const PATIENCE_MS = 10_000

/** Requests and runs that go on: the bindings that each got, an object of its own, and how to end it where the wasm cannot. */
const running = new Map()

/** When the instance trapped; 0 for one that did not. */
let trappedAt = 0

/** What becomes of a handler's work: its result, or the error that ended it. */
async function outcomeOf(handler, event, env, ctx) {
  if (trappedAt !== 0) restartIfQuiet()
  // Not the event itself: a request that a Map has seen costs the garbage collector more.
  const own = Object.create(env)
  const outcome = new Promise((resolve) => {
    running.set(own, resolve)
    handler(event, own, ctx).then(resolve, resolve)
  })
  // To its end even where the caller hangs up: only then the wasm lets go of what it has of a request.
  ctx.waitUntil(outcome)
  try {
    return await outcome
  } catch (error) {
    // The wasm trapped at once, before there was a promise.
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

// An error in one of the wasm's turns, which are microtasks, comes here.
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
    // Rather a new instance than one that may have no memory left.
    if (trappedAt !== 0) restartIfQuiet()
    return bindings.fail(request, began, textOf(outcome))
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
