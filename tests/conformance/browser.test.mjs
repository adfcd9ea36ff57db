// Runs the npm package in headless Chromium, with SQLite's official wasm.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { browse, noBrowser } from '../browser.mjs'
import { apart, assertApart, report, scenarios } from './results.mjs'

const page = `<!doctype html><meta charset="utf-8"><script type="importmap">${JSON.stringify({
  imports: {
    'tenants-core': '/node_modules/tenants-core/index.js',
    'tenants-core/sqlite-wasm': '/node_modules/tenants-core/sqlite-wasm.js',
    '@sqlite.org/sqlite-wasm': '/node_modules/@sqlite.org/sqlite-wasm/dist/index.mjs',
  },
})}</script><script type="module" src="/tests/conformance/hosts/browser.mjs"></script>`

/** The scenarios without the header that no page sees in a Response. */
const withoutSetCookie = (all) => all.map((scenario) => ({ ...scenario, steps: scenario.steps.map((step) => step.expect ? { ...step, expect: { ...step.expect, headers: Object.fromEntries(Object.entries(step.expect.headers).filter(([name]) => name !== 'set-cookie')) } } : step) }))

test('the npm package in Chromium passes the conformance set', { skip: noBrowser() }, async () => {
  // More than two thousand requests on SQLite as WebAssembly take a minute, and longer beside other tests.
  const { version, result, ofApart, error } = await browse({ '/': ['text/html', page], '/scenarios': ['application/json', JSON.stringify([scenarios, apart].map(withoutSetCookie))] }, { timeoutMs: 480_000 })
  assert.equal(error, undefined)
  report('chromium', { host: 'The npm package, in Chromium', version, database: '@sqlite.org/sqlite-wasm' }, result)
  assertApart(ofApart)
})
