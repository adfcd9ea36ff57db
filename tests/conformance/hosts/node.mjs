// The host for Node and for other runtimes that have node:sqlite.
import { DatabaseSync } from 'node:sqlite'
import { nodeSqlite } from 'tenants-core/node-sqlite'
import { onPackage } from './package.mjs'

export const onNodeSqlite = onPackage(async () => {
  const db = new DatabaseSync(':memory:')
  return { database: nodeSqlite(db), close: () => db.close() }
})
