// Runs the conformance set in a browser, with SQLite's official wasm. Posts the result to the page's server.
import sqlite3InitModule from '@sqlite.org/sqlite-wasm'
import { sqliteWasm } from 'tenants-core/sqlite-wasm'
import { runAll } from '../compare.mjs'
import { onPackage } from './package.mjs'

const post = (value) => fetch('/result', { method: 'POST', body: JSON.stringify(value) })
try {
  const sqlite3 = await sqlite3InitModule()
  const scenarios = await (await fetch('/scenarios')).json()
  await post({
    version: /Chrome\/([\d.]+)/.exec(navigator.userAgent)[1],
    result: await runAll(scenarios, onPackage(async () => {
      const db = new sqlite3.oo1.DB(':memory:')
      return { database: sqliteWasm(db), close: () => db.close() }
    })),
  })
} catch (error) {
  await post({ error: String(error?.stack ?? error) })
}
