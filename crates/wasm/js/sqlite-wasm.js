// SQLite's official WebAssembly build, `@sqlite.org/sqlite-wasm`: in a browser, or wherever else it runs.
import { transaction } from './transaction.js'

/**
 * @typedef {object} Oo1Database What is used of an `oo1.DB` or one of its kin (`oo1.JsStorageDb`, `oo1.OpfsDb`).
 * @property {(...args: any[]) => any} exec
 */

/**
 * @param {Oo1Database} db
 * @returns {import('./index.js').Database}
 */
export function sqliteWasm(db) {
  db.exec('PRAGMA foreign_keys = ON')
  return {
    batch: (statements) => transaction((sql) => db.exec(sql), () => statements.map(({ sql, params }) =>
      db.exec({ sql, bind: params.length > 0 ? params : undefined, rowMode: 'array', returnValue: 'resultRows' }))),
  }
}
