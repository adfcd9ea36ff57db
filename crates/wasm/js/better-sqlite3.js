// The adapter for better-sqlite3.
import { prepareConnection, transaction } from './transaction.js'

/**
 * @typedef {object} BetterSqlite3 The parts of better-sqlite3's `Database` that the adapter uses.
 * @property {(sql: string) => unknown} exec
 * @property {(sql: string) => any} prepare
 */

/**
 * @param {BetterSqlite3} db
 * @returns {import('./index.js').Database}
 */
export function betterSqlite3(db) {
  prepareConnection((sql) => db.exec(sql), (sql) => db.prepare(sql).pluck().get())
  return {
    batch: (statements) => transaction((sql) => db.exec(sql), () => statements.map(({ sql, params }) => {
      const statement = db.prepare(sql)
      // better-sqlite3 treats `?1` as a named parameter.
      const bound = params.length > 0 ? [Object.fromEntries(params.map((value, i) => [i + 1, value]))] : []
      // better-sqlite3 refuses `all` for statements that return no rows.
      if (statement.reader) return statement.raw(true).safeIntegers(true).all(...bound)
      statement.run(...bound)
      return []
    })),
  }
}
