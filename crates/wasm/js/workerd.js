// For Cloudflare's runtime, which compiles no wasm at run time: the file is a module of the Worker's.
import module from './tenants_core_bg.wasm'
import { start } from './api.js'

start(module)

export { TenantsApi, createApiKey, sign } from './api.js'
