// The conformance set's files, and where runners leave their results.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const results = path.join(folder, '..', '..', 'build', 'conformance')

/** All scenarios. */
export const scenarios = readdirSync(folder).filter((name) => name.endsWith('.json')).sort()
  .flatMap((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')))

const requests = scenarios.flatMap((scenario) => scenario.steps).filter((step) => step.request).length

/** Writes a host's result, under a name that is a file's, and fails where an answer was otherwise than expected. */
export function report(name, { host, version, database }, { passed, failed, failures }) {
  mkdirSync(results, { recursive: true })
  writeFileSync(path.join(results, `${name}.json`), `${JSON.stringify({ host, version, database, passed, failed })}\n`)
  assert.equal(failures.length, failed)
  assert.equal(failed, 0, failures.slice(0, 20).join('\n'))
  // A runner that sent nothing passes nothing.
  assert.equal(passed, requests, `${requests} requests are in the set`)
}
