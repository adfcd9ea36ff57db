// The entry for Cloudflare's runtime, which cannot compile wasm at run time. It imports the .wasm file as a module of the Worker.
import module from './tenants_core_bg.wasm'
import { start } from './api.js'
import { sendBy } from './outbound.js'

start(module, (request) => sendBy(fetch, request))

export { TenantsApi, prepareDatabase, sign, signRequest } from './api.js'
