// The entry for Node, Bun, Deno, browsers and bundlers. The wasm is embedded as text, so nothing has to locate or await a file.
import { start } from './api.js'
import { base64 } from './wasm.js'

start(new WebAssembly.Module(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))))

export { TenantsApi, prepareDatabase, sign, signRequest } from './api.js'
