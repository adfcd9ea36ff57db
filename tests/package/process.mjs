// A process that shares a database file with others, in Node, Bun or Deno. Arguments: the adapter, the file, and the task with its
// arguments. Prints its result as JSON.
import { TenantsApi, prepareDatabase, sign } from 'tenants-core'

const [adapter, file, task, ...rest] = (globalThis.Deno?.args ?? process.argv.slice(2))

const config = {
  CHEVERETO_TENANTS_API_KEY_SECRET: 'the secret of keys', CHEVERETO_TENANTS_API_REQUEST_SECRET: 'the secret of requests', CHEVERETO_ENCRYPTION_KEY: btoa('k'.repeat(32)),
}

/** Opens the file. Returns functions that run SQL outside of the adapter and close the file, and the adapter. */
const open = {
  async 'node-sqlite'() {
    const { DatabaseSync } = await import('node:sqlite')
    const { nodeSqlite } = await import('tenants-core/node-sqlite')
    const db = new DatabaseSync(file)
    return { exec: (sql) => db.exec(sql), close: () => db.close(), database: () => nodeSqlite(db) }
  },
  async 'better-sqlite3'() {
    const { default: Database } = await import('better-sqlite3')
    const { betterSqlite3 } = await import('tenants-core/better-sqlite3')
    const db = new Database(file)
    return { exec: (sql) => db.exec(sql), close: () => db.close(), database: () => betterSqlite3(db) }
  },
  async 'bun-sqlite'() {
    const { Database } = await import('bun:sqlite')
    const { bunSqlite } = await import('tenants-core/bun-sqlite')
    const db = new Database(file, { create: true, safeIntegers: true })
    return { exec: (sql) => db.run(sql), close: () => db.close(), database: () => bunSqlite(db) }
  },
}[adapter]

const tasks = {
  async prepare() {
    const database = (await open()).database()
    return patiently(() => prepareDatabase(database))
  },

  /** Opens the file for one batch, as the examples do with a site's, many times. Returns the number of its descriptors that stay. */
  async descriptors() {
    const { readdirSync, readlinkSync } = await import('node:fs')
    // Of the file, and of those that SQLite keeps beside it. The runtime opens and closes others.
    const isOwn = (descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`).startsWith(file)
      } catch (error) {
        if (error.code === 'ENOENT') return false
        throw error
      }
    }
    const count = () => readdirSync('/proc/self/fd').filter(isOwn).length
    const once = async () => {
      const { database, close } = await open()
      await database().batch([{ sql: 'SELECT ?1', params: [1] }])
      close()
    }
    for (let i = 0; i < 50; i++) await once()
    return count()
  },

  /** Creates a key and then tenants, and repeats what was 503. Returns the number of the other responses of each status. */
  async create(prefix, count) {
    const database = (await open()).database()
    await patiently(() => prepareDatabase(database))
    const api = new TenantsApi(config)
    const { key } = await patiently(() => api.createApiKey(database))
    const statuses = {}
    for (let i = 0; i < Number(count); i++) {
      const tenant = { id: `${prefix}-${i}`, hostname: `${prefix}-${i}.example.com`, is_enabled: true }
      let response
      do {
        response = await api.fetch(request(key, tenant), database)
        // A disk that is slow may keep a process waiting for longer than the busy timeout.
        if (response.status === 503) await sleep(Number(response.headers.get('retry-after')))
      } while (response.status === 503)
      statuses[response.status] = (statuses[response.status] ?? 0) + 1
    }
    return statuses
  },

  /** Sends a request while another connection holds the database for longer than the busy timeout. */
  async busy() {
    const other = await open()
    const mine = await open()
    // The adapter keeps a timeout that its connection already has.
    mine.exec('PRAGMA busy_timeout = 1')
    const database = mine.database()
    await prepareDatabase(database)
    const lines = []
    const api = new TenantsApi(config, { log: (entry) => lines.push(entry) })
    const { key } = await api.createApiKey(database)
    const tenant = { id: 'a', hostname: 'a.example.com', is_enabled: true }
    other.exec('BEGIN IMMEDIATE')
    const held = await api.fetch(request(key, tenant), database)
    other.exec('COMMIT')
    const free = await api.fetch(request(key, tenant), database)
    const { code } = await held.json()
    return { held: [held.status, held.headers.get('retry-after'), code], cause: lines[0].cause, free: free.status }
  },
}

const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000))

/** Repeats a call while the database is busy. */
async function patiently(call) {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (error.code !== 'unavailable') throw error
      await sleep(0.1)
    }
  }
}

function request(key, tenant) {
  const body = JSON.stringify(tenant)
  return new Request('http://x/_/api/4/tenants', {
    method: 'POST', body, headers: { 'Content-Type': 'application/json', 'X-API-Key': key, 'X-Signature': sign(config.CHEVERETO_TENANTS_API_REQUEST_SECRET, body) },
  })
}

console.log(JSON.stringify(await tasks[task](...rest)))
