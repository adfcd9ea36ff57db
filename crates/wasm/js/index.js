// For Node, Bun, Deno, browsers and bundlers: the wasm comes along as text, so that there is no file to find and nothing to wait for.
import { start } from './api.js'
import { base64 } from './wasm.js'

start(new WebAssembly.Module(Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))))

export { TenantsApi, createApiKey, sign } from './api.js'
