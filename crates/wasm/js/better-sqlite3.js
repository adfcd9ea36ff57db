// better-sqlite3.
import { transaction } from './transaction.js'

/**
 * @typedef {object} BetterSqlite3 What is used of a `Database` of better-sqlite3.
 * @property {(sql: string) => unknown} exec
 * @property {(sql: string) => any} prepare
 */

/**
 * @param {BetterSqlite3} db
 * @returns {import('./index.js').Database}
 */
export function betterSqlite3(db) {
  db.exec('PRAGMA foreign_keys = ON')
  return {
    batch: (statements) => transaction((sql) => db.exec(sql), () => statements.map(({ sql, params }) => {
      const statement = db.prepare(sql)
      // To it `?1` is a name.
      const bound = params.length > 0 ? [Object.fromEntries(params.map((value, i) => [i + 1, value]))] : []
      // It tells statements that answer rows from those that do not, and refuses `all` for the second kind.
      if (statement.reader) return statement.raw(true).safeIntegers(true).all(...bound)
      statement.run(...bound)
      return []
    })),
  }
}
