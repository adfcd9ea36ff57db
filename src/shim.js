// What worker-build puts around the wasm (CUSTOM_SHIM): the exports by their names, and a way to start the wasm anew, in place
// of its own class, whose proxies cost each request more than the rest of the glue.
import * as bindings from './index_bg.js'
import wasmModule from './index.wasm'

export * from './index_bg.js'

let memory = null

/** A part of the wasm's memory: only until the wasm is called again, since its memory is another once it has grown. */
export const bytesAt = (start, length) => new Uint8Array(memory.buffer, start, length)

/** Starts the wasm: once when the isolate starts, and again when it cannot go on. Nothing of the old instance is left. */
export function instantiate() {
  const { exports } = new WebAssembly.Instance(wasmModule, { './index_bg.js': bindings })
  // Growing by nothing detaches the old memory's buffer, which is how wasm-bindgen's glue sees that its views of it are stale.
  memory?.grow(0)
  memory = exports.memory
  bindings.__wbg_set_wasm(exports)
  exports.__wbindgen_start()
}

instantiate()

export default {}
