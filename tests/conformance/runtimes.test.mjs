// Runs the npm package in Bun, in Deno, and in a JavaScript Worker in workerd.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { Log, LogLevel, Miniflare } from 'miniflare'
import { parse as parseToml } from 'smol-toml'
import { bundle } from '../../scripts/lib/bundle.mjs'
import { bun, deno } from '../../scripts/lib/runtimes.mjs'
import { ROOT, run } from '../e2e/harness.mjs'
import { apart, assertApart, report, scenarios } from './results.mjs'

const host = (name) => path.join(ROOT, 'tests', 'conformance', 'hosts', name)

test('the npm package in Bun passes the conformance set', async () => {
  const { version, result, ofApart } = JSON.parse(await run(bun(), ['run', host('bun.mjs')]))
  report('bun', { host: 'The npm package, in Bun', version, database: 'bun:sqlite' }, result)
  assertApart(ofApart)
})

test('the npm package in Deno passes the conformance set', async () => {
  const { version, result, ofApart } = JSON.parse(await run(deno(), ['run', '--quiet', '--no-lock', '--allow-read', '--allow-env', host('deno.mjs')]))
  report('deno', { host: 'The npm package, in Deno', version, database: 'node:sqlite' }, result)
  assertApart(ofApart)
})

test('the npm package in a JavaScript Worker passes the conformance set', async () => {
  const { compatibility_date: compatibilityDate } = parseToml(readFileSync(path.join(ROOT, 'wrangler.toml'), 'utf8'))
  const { version } = JSON.parse(readFileSync(path.join(ROOT, 'node_modules', 'workerd', 'package.json'), 'utf8'))
  const miniflare = new Miniflare({
    workers: [{
      config: {
        name: 'embedder',
        compatibilityDate,
        compatibilityFlags: [],
        manifest: await bundle(host('workerd.mjs')),
        // One for each scenario in each mode, and for each site.
        env: Object.fromEntries(Array.from({ length: 2 * scenarios.length + 60 }, (_, i) => [`DB${i}`, { type: 'd1', id: `db-${i}` }])),
      },
    }],
    host: '127.0.0.1', port: 0, cf: false, enableDevRegistry: false, log: new Log(LogLevel.NONE), telemetry: { enabled: false },
  })
  try {
    const url = await miniflare.ready
    const run = async (set) => (await fetch(url, { method: 'POST', body: JSON.stringify(set) })).json()
    report('workerd', { host: 'The npm package, in a JavaScript Worker', version, database: 'D1' }, await run(scenarios))
    assertApart(await run(apart))
  } finally {
    await miniflare.dispose()
  }
})
