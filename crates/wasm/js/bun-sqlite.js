// The adapter for Bun's own SQLite, `bun:sqlite`.
import { prepareConnection, transaction } from './transaction.js'

/**
 * @typedef {object} BunDatabase The parts of `bun:sqlite`'s `Database` that the adapter uses.
 * @property {(sql: string) => any} run
 * @property {(sql: string) => any} prepare
 */

/**
 * @param {BunDatabase} db open it with `safeIntegers: true` to read integers beyond 2^53 exactly; without it, the core refuses them
 * @returns {import('./index.js').Database}
 */
export function bunSqlite(db) {
  /** @param {string} sql @param {any[]} params */
  const rows = (sql, params) => {
    const statement = db.prepare(sql)
    try {
      return statement.values(...params)
    } finally {
      // Until its statements have ended, a database that was closed keeps its file open.
      statement.finalize()
    }
  }
  prepareConnection((sql) => db.run(sql), (sql) => rows(sql, [])[0][0])
  return {
    batch: (statements) => transaction((sql) => db.run(sql), () => statements.map(({ sql, params }) => rows(sql, params))),
  }
}
