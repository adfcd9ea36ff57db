// Runs the conformance set in a browser, with SQLite's official wasm. Posts the result to the page's server.
import sqlite3InitModule from '@sqlite.org/sqlite-wasm'
import { sqliteWasm } from 'tenants-core/sqlite-wasm'
import { runAll } from '../compare.mjs'
import { onPackage } from './package.mjs'

const post = (value) => fetch('/result', { method: 'POST', body: JSON.stringify(value) })
try {
  const sqlite3 = await sqlite3InitModule()
  const [scenarios, apart] = await (await fetch('/scenarios')).json()
  const host = onPackage(async () => {
    const db = new sqlite3.oo1.DB(':memory:')
    return { database: sqliteWasm(db), close: () => db.close() }
  })
  await post({
    version: /Chrome\/([\d.]+)/.exec(navigator.userAgent)[1],
    result: await runAll(scenarios, host),
    ofApart: await runAll(apart, host),
  })
} catch (error) {
  await post({ error: String(error?.stack ?? error) })
}
