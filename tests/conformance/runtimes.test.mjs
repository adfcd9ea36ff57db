// Runs the npm package in Bun, in Deno, and in a JavaScript Worker in workerd.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { Log, LogLevel, Miniflare } from 'miniflare'
import { parse as parseToml } from 'smol-toml'
import { bundle } from '../../scripts/lib/bundle.mjs'
import { bun, deno } from '../../scripts/lib/runtimes.mjs'
import { ROOT, run } from '../e2e/harness.mjs'
import { assertApart, report, scenarios } from './results.mjs'

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
        env: Object.fromEntries(scenarios.map((_, i) => [`DB${i}`, { type: 'd1', id: `db-${i}` }])),
      },
    }],
    host: '127.0.0.1', port: 0, cf: false, enableDevRegistry: false, log: new Log(LogLevel.NONE), telemetry: { enabled: false },
  })
  try {
    const response = await fetch(await miniflare.ready, { method: 'POST', body: JSON.stringify(scenarios) })
    report('workerd', { host: 'The npm package, in a JavaScript Worker', version, database: 'D1' }, await response.json())
  } finally {
    await miniflare.dispose()
  }
})
