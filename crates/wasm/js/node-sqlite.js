// The adapter for Node's own SQLite, `node:sqlite`. Needs Node 22.16 or 24, or later.
import { prepareConnection, transaction } from './transaction.js'

/**
 * @typedef {object} DatabaseSync The parts of `DatabaseSync` that the adapter uses.
 * @property {(sql: string) => void} exec
 * @property {(sql: string) => any} prepare
 */

/**
 * @param {DatabaseSync} db
 * @returns {import('./index.js').Database}
 */
export function nodeSqlite(db) {
  prepareConnection((sql) => db.exec(sql), (sql) => Object.values(db.prepare(sql).get())[0])
  return {
    // Deno's errors of `exec` have no code; those of statements have.
    batch: (statements) => transaction((sql) => db.prepare(sql).run(), () => statements.map(({ sql, params }) => {
      const statement = db.prepare(sql)
      statement.setReadBigInts(true)
      statement.setReturnArrays(true)
      return statement.all(...params)
    })),
  }
}
