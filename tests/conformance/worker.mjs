// The built Worker as a host of the conformance set, in workerd with a local D1. It receives the requests over HTTP.
import path from 'node:path'
import { freshSecrets, ROOT, startApi } from '../e2e/harness.mjs'

export const folder = path.join(ROOT, 'tests', 'conformance')

/** Unsets every secret, so that only those of the scenario are set. */
const none = Object.fromEntries(Object.keys(freshSecrets()).map((name) => [name, undefined]))

/** The running instances by configuration. To start an instance takes longer than a scenario, so scenarios share them. */
const running = new Map()

/** Tables that stay as they are: the registry's own row, the clock of feeds, the numbers of sites, and what belongs to the platform. */
const KEPT = ['registry', 'feed_clock', 'site_databases', 'd1_migrations']

async function instance(config) {
  const name = JSON.stringify(config)
  if (!running.has(name)) running.set(name, await startApi({ vars: { ...none, ...config } }))
  const api = running.get(name)
  // Empty the database: drop the tenants' own tables, delete all rows, and restart the ids.
  const tables = await api.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\'")
  const names = tables.map((table) => table.name).filter((table) => !KEPT.includes(table))
  await api.batch([
    // The deletion of tenants leaves marks in other tables, so it comes first.
    ['DELETE FROM tenants'],
    ...names.map((table) => [`${table.startsWith('chv_') ? 'DROP TABLE' : 'DELETE FROM'} "${table}"`]),
    // A site keeps its newest number, so its row stays, too.
    ['UPDATE site_databases SET state = 0'],
  ])
  return api
}

export async function startWorker({ config }) {
  const api = await instance(config)
  return {
    async run(statements) {
      if (statements.length > 0) await api.batch(statements.map(({ sql, params }) => [sql, ...params]))
    },
    async send({ method, target, headers, client_address: address }, bytes) {
      const answer = await api.call(method, target, {
        base: '',
        // Without an address, bypass Miniflare's own entry, which would add one.
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
