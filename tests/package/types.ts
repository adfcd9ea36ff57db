// A test compiles this file but never runs it. It uses the package's types as a new user's program would.
import { DatabaseSync } from 'node:sqlite'
import { TenantsApi, prepareDatabase, sign, signRequest, type ApiKey, type ApiKeyRow, type Database, type LogEntry, type Rows, type Statement, type TenantsError } from 'tenants-core'
import { betterSqlite3 } from 'tenants-core/better-sqlite3'
import { bunSqlite } from 'tenants-core/bun-sqlite'
import { d1 } from 'tenants-core/d1'
import { nodeSqlite } from 'tenants-core/node-sqlite'
import { sqliteWasm } from 'tenants-core/sqlite-wasm'

const lines: LogEntry[] = []
const api: TenantsApi = new TenantsApi(process.env, { log: (entry) => lines.push(entry), warn: (text: string) => console.log(text) })
const database: Database = nodeSqlite(new DatabaseSync(':memory:'))
const applied: string[] = await prepareDatabase(database)
const response: Response = await api.fetch(new Request('http://localhost/'), database, { clientAddress: null, now: 0 })
// What `process.env` and a socket have may be undefined.
const fromSocket = (remoteAddress: string | undefined) => api.fetch(new Request('http://localhost/'), database, { clientAddress: remoteAddress, now: undefined })
const bare = new TenantsApi(process.env, { log: undefined, warn: undefined, siteDatabase: undefined, fetch: undefined })
await bare.scheduled(database, { now: undefined })
const key: ApiKey = await api.createApiKey(database, { name: 'a', expiresAt: '2030-01-01 00:00:00' })
const keys: ApiKeyRow[] = await api.listApiKeys(database)
const deleted: number[] = await api.deleteApiKeys(database, { id: key.id, name: undefined })
const signature: string = sign('secret', new Uint8Array())
const headers: Record<string, string> = signRequest({ key: key.key, signingSecret: 'secret', url: new URL('http://localhost/'), headers: new Headers(), nonce: undefined })
const own: Database = { batch: async (statements: Statement[]): Promise<Rows[]> => statements.map(() => [[1, 'a', null, 2n]]) }
const adapters: ((db: never) => Database)[] = [betterSqlite3, bunSqlite, d1, sqliteWasm]

try {
  sign('')
} catch (error) {
  const { code, field, errors } = error as TenantsError
  if (code === 'invalid_configuration') console.log(field, errors.map((e) => e.message))
  // @ts-expect-error: no error has this code
  if (code === 'nonsense') console.log(code)
}

// @ts-expect-error: fetch needs a database
await api.fetch(new Request('http://localhost/'))
// @ts-expect-error: an id must be a number
await api.deleteApiKeys(database, { id: '1' })
// @ts-expect-error: a secret must be a string
sign(1)
// @ts-expect-error: a request has a URL
signRequest({ key: 'a', signingSecret: 'b' })
// @ts-expect-error: a row must be an array of values
const wrong: Database = { batch: () => [[{ a: 1 }]] }

console.log(fromSocket, applied, response.status, key, keys, deleted, signature, headers, own, adapters, wrong, lines)
