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

/** The requests that go on (for the cron trigger, its bindings), and how to end each where the wasm cannot. */
const running = new Map()

/** When the instance trapped; 0 for one that did not. */
let trappedAt = 0

/** Starts the wasm anew if it trapped and nothing goes on in it, or goes on for too long. */
function prepare() {
  if (trappedAt === 0 || (running.size > 0 && Date.now() - trappedAt < PATIENCE_MS)) return
  for (const end of running.values()) end({ cause: 'the wasm started anew while this waited' })
  running.clear()
  bindings.restart()
  // The next call starts the new instance. It must have no arguments: wasm-bindgen writes those first, into the old one.
  bindings.takeRunning()
  trappedAt = 0
}

/** Does a handler's work. */
async function run(key, work, fail) {
  prepare()
  const result = await new Promise((resolve) => {
    running.set(key, resolve)
    work().then(resolve, (error) => resolve({ cause: textOf(error) }))
  })
  running.delete(key)
  if (result?.cause === undefined) return result
  prepare()
  return fail(result.cause)
}

// An error in one of the wasm's turns, which are microtasks, comes here.
addEventListener('error', ({ error }) => {
  trappedAt ||= Date.now()
  const key = bindings.takeRunning()
  running.get(key)?.({ cause: bindings.takePanic() || textOf(error) })
  running.delete(key)
})

const textOf = (error) => String(error?.stack ?? error)

export default {
  fetch(request, env, ctx) {
    const began = Date.now()
    const response = run(request, () => bindings.fetch(request, env, ctx), (cause) => bindings.fail(request, began, cause))
    // To its end even where the caller hangs up: only then the wasm lets go of what it has of a request.
    ctx.waitUntil(response)
    return response
  },

  /** The cron trigger. */
  scheduled(controller, env, ctx) {
    const began = Date.now()
    const own = { ...env }
    return run(own, () => bindings.scheduled(controller, own, ctx), (cause) => {
      console.error(JSON.stringify({ level: 'error', job: 'stats', duration_ms: Date.now() - began, cause }))
    })
  },
}
