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

const MODE = 'CHEVERETO_TENANTS_DB_ISOLATION_MODE'

/** The set once more, with a database for each site. Scenarios that set the mode, or make a site's tables in the registry, are left out. */
export const apart = scenarios
  .filter(({ config, steps }) => !(MODE in config) && !steps.some(({ setup = [] }) => setup.some(({ sql }) => sql.startsWith('CREATE TABLE'))))
  .map((scenario) => ({ ...scenario, config: { ...scenario.config, [MODE]: 'database' } }))

/** Fails if any response of the scenarios `apart` differs from the expected one. */
export function assertApart({ passed, failures }) {
  assert.deepEqual(failures, [])
  assert.equal(passed, apart.flatMap((scenario) => scenario.steps).filter((step) => step.request).length)
  assert.ok(passed > 1000, `${passed} requests`)
}

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
