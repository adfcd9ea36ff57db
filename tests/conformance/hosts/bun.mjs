// Runs the conformance set in Bun, with bun:sqlite. Prints the result.
import { Database } from 'bun:sqlite'
import { bunSqlite } from 'tenants-core/bun-sqlite'
import { runAll } from '../compare.mjs'
import { apart, scenarios } from '../results.mjs'
import { onPackage } from './package.mjs'

const host = onPackage(async () => {
  const db = new Database(':memory:', { safeIntegers: true })
  return { database: bunSqlite(db), close: () => db.close() }
})
console.log(JSON.stringify({ version: Bun.version, result: await runAll(scenarios, host), ofApart: await runAll(apart, host) }))
