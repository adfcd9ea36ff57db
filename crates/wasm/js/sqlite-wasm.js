// The adapter for SQLite's official WebAssembly build, `@sqlite.org/sqlite-wasm`, in a browser or elsewhere.
import { prepareConnection, transaction } from './transaction.js'

/**
 * @typedef {object} Oo1Database The parts of `oo1.DB` and its subclasses (`oo1.JsStorageDb`, `oo1.OpfsDb`) that the adapter uses.
 * @property {(...args: any[]) => any} exec
 */

/**
 * @param {Oo1Database} db
 * @returns {import('./index.js').Database}
 */
export function sqliteWasm(db) {
  prepareConnection((sql) => db.exec(sql), (sql) => db.exec({ sql, rowMode: 'array', returnValue: 'resultRows' })[0][0])
  return {
    batch: (statements) => transaction((sql) => db.exec(sql), () => statements.map(({ sql, params }) =>
      db.exec({ sql, bind: params.length > 0 ? params : undefined, rowMode: 'array', returnValue: 'resultRows' }))),
  }
}
