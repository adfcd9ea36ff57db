// The built Worker as a host of the conformance set: in workerd, over HTTP, with a local D1.
import path from 'node:path'
import { freshSecrets, ROOT, startApi } from '../e2e/harness.mjs'

export const folder = path.join(ROOT, 'tests', 'conformance')

/** Those of its secrets that a scenario does not set are not set. */
const none = Object.fromEntries(Object.keys(freshSecrets()).map((name) => [name, undefined]))

/** One instance for each configuration: starting one takes longer than a scenario. */
const running = new Map()

const TABLES = ['api_keys', 'tenants', 'tenants_plans', 'audit_log', 'sqlite_sequence']

async function instance(config) {
  const name = JSON.stringify(config)
  if (!running.has(name)) running.set(name, await startApi({ vars: { ...none, ...config } }))
  const api = running.get(name)
  // As a fresh database: tenants' own tables are gone, and ids begin anew.
  const own = await api.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'chv\\_%' ESCAPE '\\'")
  for (const { name: table } of own) await api.sql(`DROP TABLE "${table}"`)
  for (const table of TABLES) await api.sql(`DELETE FROM ${table}`)
  return api
}

export const stopWorkers = () => Promise.all([...running.values()].map((api) => api.stop()))

export async function startWorker({ config }) {
  const api = await instance(config)
  return {
    async run(statements) {
      for (const { sql, params } of statements) await api.sql(sql, ...params)
    },
    async send({ method, target, headers, client_address: address }, bytes) {
      const answer = await api.call(method, target, {
        base: '',
        // Past Miniflare's own entry, where a client without an address has none.
        origin: address === undefined ? api.direct : api.url,
        body: bytes && Buffer.from(bytes),
        key: null,
        signature: null,
        headers: { 'Content-Type': null, ...headers, ...(address === undefined ? {} : { 'cf-connecting-ip': address }) },
      })
      return { status: answer.status, header: (name) => answer.headers[name], body: answer.text }
    },
  }
}
