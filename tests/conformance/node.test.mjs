// Runs the npm package in Node, with node:sqlite and with better-sqlite3.
import { test } from 'node:test'
import Database from 'better-sqlite3'
import { betterSqlite3 } from 'tenants-core/better-sqlite3'
import { runAll } from './compare.mjs'
import { onNodeSqlite } from './hosts/node.mjs'
import { onPackage } from './hosts/package.mjs'
import { apart, assertApart, report, scenarios } from './results.mjs'

const version = process.versions.node

test('the npm package in Node with node:sqlite passes the conformance set', async () => {
  report('node', { host: 'The npm package, in Node', version, database: 'node:sqlite' }, await runAll(scenarios, onNodeSqlite))
})

test('the npm package in Node passes it with a database for each site', async () => assertApart(await runAll(apart, onNodeSqlite)))

test('the npm package in Node with better-sqlite3 passes the conformance set', async () => {
  const result = await runAll(scenarios, onPackage(async () => {
    const db = new Database(':memory:')
    return { database: betterSqlite3(db), close: () => db.close() }
  }))
  report('node-better-sqlite3', { host: 'The npm package, in Node', version, database: 'better-sqlite3' }, result)
})
