// Serves the Tenants API with Node's own http server and SQLite: `node server.mjs`. Reads secrets and settings from environment variables.
import { mkdirSync } from 'node:fs'
import http from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { TenantsApi, prepareDatabase } from 'tenants-core'
import { nodeSqlite } from 'tenants-core/node-sqlite'

const file = process.env.DATABASE ?? 'tenants.db'
const api = new TenantsApi(process.env, { siteDatabase })
const database = nodeSqlite(new DatabaseSync(file))

await prepareDatabase(database)
if ((await api.listApiKeys(database)).length === 0) {
  const { key } = await api.createApiKey(database, { name: 'first' })
  console.log(`API key, shown once: ${key}`)
}

const server = http.createServer(async (incoming, outgoing) => {
  try {
    const response = await api.fetch(requestOf(incoming, outgoing), database, { clientAddress: incoming.socket.remoteAddress })
    // The event of a write goes out at once.
    if (!['GET', 'HEAD'].includes(incoming.method) && response.ok) api.deliverWebhooks(database).catch(console.error)
    outgoing.writeHead(response.status, Object.fromEntries(response.headers))
    if (response.body) await pipeline(Readable.fromWeb(response.body), outgoing)
    else outgoing.end()
  } catch (error) {
    console.error(error)
    // A list that breaks off ends its connection, so that nobody takes it for a whole one. Before that, a TypeError means that no Request can be made
    // of the message, and any other error that the core crashed.
    if (outgoing.headersSent) outgoing.destroy()
    else outgoing.writeHead(error instanceof TypeError ? 400 : 500).end()
  } finally {
    // Skips the rest of a body that is too long, so that the connection can serve the next request.
    incoming.resume()
  }
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

/** The database of one site, if CHEVERETO_TENANTS_DB_ISOLATION_MODE is "database": a file each. It is open during a batch only. */
function siteDatabase(id) {
  return {
    batch(statements) {
      mkdirSync(`${file}.sites`, { recursive: true })
      const db = new DatabaseSync(`${file}.sites/site-${id}.db`)
      try {
        return nodeSqlite(db).batch(statements)
      } finally {
        db.close()
      }
    },
  }
}

/** Converts Node's message to the platform's Request. */
function requestOf(incoming, outgoing) {
  const headers = new Headers()
  for (const [name, values] of Object.entries(incoming.headersDistinct)) for (const value of values) headers.append(name, value)
  // Not `Readable.toWeb`: if the rest of a body is not wanted, that ends the connection before there is a response.
  const body = ['GET', 'HEAD'].includes(incoming.method) ? undefined : ReadableStream.from(incoming.iterator({ destroyOnReturn: false }))
  // A request that waits for a tenant's cell waits no longer if its client is gone.
  const gone = new AbortController()
  outgoing.on('close', () => gone.abort())
  const { method } = incoming
  return new Request(urlOf(incoming), { method, headers, body, duplex: 'half', signal: gone.signal })
}

/** The URL of a message. The request line may be a whole URL (RFC 9112 §3.2.2); otherwise `Host` says the host, and nothing else. */
function urlOf(incoming) {
  if (!incoming.url.startsWith('/')) return incoming.url
  const { href, origin } = new URL(`http://${incoming.headers.host ?? 'localhost'}`)
  if (href !== `${origin}/`) throw new TypeError('expected a host in the header Host')
  return origin + incoming.url
}

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => console.log(`Serving http://127.0.0.1:${server.address().port}/_/api/4`))
