// Reads the files of the conformance set, and writes the runners' results.
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = fileURLToPath(new URL('.', import.meta.url))
const results = path.join(folder, '..', '..', 'build', 'conformance')

/** All scenarios of the set. */
export const scenarios = readdirSync(folder).filter((name) => name.endsWith('.json')).sort()
  .flatMap((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')))

const requests = scenarios.flatMap((scenario) => scenario.steps).filter((step) => step.request).length

/** Writes a host's result to the file `<name>.json`. Fails if any response differs from the expected one. */
export function report(name, { host, version, database }, { passed, failed, failures }) {
  mkdirSync(results, { recursive: true })
  writeFileSync(path.join(results, `${name}.json`), `${JSON.stringify({ host, version, database, passed, failed })}\n`)
  assert.equal(failures.length, failed)
  assert.equal(failed, 0, failures.slice(0, 20).join('\n'))
  // A runner that sent no request must fail too.
  assert.equal(passed, requests, `the set has ${requests} requests`)
}
