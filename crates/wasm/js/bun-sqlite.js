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
  prepareConnection((sql) => db.run(sql), (sql) => db.prepare(sql).values()[0][0])
  return {
    batch: (statements) => transaction((sql) => db.run(sql), () => statements.map(({ sql, params }) => {
      const statement = db.prepare(sql)
      try {
        return statement.values(...params)
      } finally {
        statement.finalize()
      }
    })),
  }
}
