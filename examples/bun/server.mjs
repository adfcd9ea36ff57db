// Serves the Tenants API with Bun's own server and SQLite: `bun run server.mjs`. Reads secrets and settings from environment variables.
import { Database } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { TenantsApi, prepareDatabase } from 'tenants-core'
import { bunSqlite } from 'tenants-core/bun-sqlite'

const file = process.env.DATABASE ?? 'tenants.db'
const open = (name) => new Database(name, { create: true, safeIntegers: true })
const api = new TenantsApi(process.env, { siteDatabase })
const database = bunSqlite(open(file))

await prepareDatabase(database)
if ((await api.listApiKeys(database)).length === 0) {
  const { key } = await api.createApiKey(database, { name: 'first' })
  console.log(`API key, shown once: ${key}`)
}

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.env.PORT ?? 8080),
  // In seconds. A request may wait for a tenant's cell for up to 60.
  idleTimeout: 75,
  async fetch(request, server) {
    const response = await api.fetch(request, database, { clientAddress: server.requestIP(request)?.address })
    // The event of a write goes out at once.
    if (!['GET', 'HEAD'].includes(request.method) && response.ok) api.deliverWebhooks(database).catch(console.error)
    return response
  },
  // Bun's own pages for errors show source code.
  development: false,
  error(error) {
    console.error(error)
    return new Response(null, { status: 500 })
  },
})

/** Does the regular work: ends holds, counts statistics, sends events, looks up hostnames. */
async function scheduled() {
  try {
    const { statistics, hostnames } = await api.scheduled(database)
    for (const { tenant, reason } of [...statistics.failed, ...hostnames.failed]) console.error(`${tenant}: ${reason}`)
  } catch (error) {
    console.error(error)
  }
}
setInterval(scheduled, 60_000).unref()

console.log(`Serving ${server.url}_/api/4`)

/** The database of one site, if CHEVERETO_TENANTS_DB_ISOLATION_MODE is "database": a file each. It is open during a batch only. */
function siteDatabase(id) {
  return {
    batch(statements) {
      mkdirSync(`${file}.sites`, { recursive: true })
      const db = open(`${file}.sites/site-${id}.db`)
      try {
        return bunSqlite(db).batch(statements)
      } finally {
        db.close()
      }
    },
  }
}
