// Serves the Tenants API with Bun's own server and SQLite: `bun run server.mjs`. Reads secrets and settings from environment variables.
import { Database } from 'bun:sqlite'
import { TenantsApi, prepareDatabase } from 'tenants-core'
import { bunSqlite } from 'tenants-core/bun-sqlite'

const api = new TenantsApi(process.env)
const database = bunSqlite(new Database(process.env.DATABASE ?? 'tenants.db', { create: true, safeIntegers: true }))

await prepareDatabase(database)
if ((await api.listApiKeys(database)).length === 0) {
  const { key } = await api.createApiKey(database, { name: 'first' })
  console.log(`API key, shown once: ${key}`)
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT ?? 8080),
  fetch: (request, server) => api.fetch(request, database, { clientAddress: server.requestIP(request)?.address }),
})
console.log(`Serving ${server.url}_/api/4`)
