// Bun's own SQLite: `bun:sqlite`.
import { transaction } from './transaction.js'

/**
 * @typedef {object} BunDatabase What is used of a `Database` of `bun:sqlite`.
 * @property {(sql: string) => any} run
 * @property {(sql: string) => any} prepare
 */

/**
 * @param {BunDatabase} db opened with `safeIntegers: true`, where integers beyond 2^53 are to come exactly and not be refused
 * @returns {import('./index.js').Database}
 */
export function bunSqlite(db) {
  db.run('PRAGMA foreign_keys = ON')
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
