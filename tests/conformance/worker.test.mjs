// Runs the conformance set against the Worker in workerd, over HTTP.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { ROOT } from '../e2e/harness.mjs'
import { runAll } from './compare.mjs'
import { apart, assertApart, report, scenarios } from './results.mjs'
import { startWorker } from './worker.mjs'

// Each of the two has Workers of its own.
describe('the Worker', { concurrency: true }, () => {
  test('passes the conformance set', async () => {
    const { version } = JSON.parse(readFileSync(path.join(ROOT, 'node_modules', 'workerd', 'package.json'), 'utf8'))
    report('worker', { host: 'The Worker, in workerd', version, database: 'D1' }, await runAll(scenarios, startWorker))
  })
  test('passes it with a database for each site', async () => assertApart(await runAll(apart, startWorker)))
})
