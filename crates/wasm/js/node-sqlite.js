// Node's own SQLite: `node:sqlite`, from Node 22.16 or 24 on.
import { transaction } from './transaction.js'

/**
 * @typedef {object} DatabaseSync What is used of a `DatabaseSync`.
 * @property {(sql: string) => void} exec
 * @property {(sql: string) => any} prepare
 */

/**
 * @param {DatabaseSync} db
 * @returns {import('./index.js').Database}
 */
export function nodeSqlite(db) {
  db.exec('PRAGMA foreign_keys = ON')
  return {
    batch: (statements) => transaction((sql) => db.exec(sql), () => statements.map(({ sql, params }) => {
      const statement = db.prepare(sql)
      statement.setReadBigInts(true)
      statement.setReturnArrays(true)
      return statement.all(...params)
    })),
  }
}
