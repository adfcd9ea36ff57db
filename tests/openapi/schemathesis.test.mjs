// Schemathesis makes some two thousand requests of the description, right ones and wrong ones, sends them to the built Worker, and checks
// every response by all of its checks.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { startApi } from '../e2e/harness.mjs'
import { description, folder, operations } from './description.mjs'
import { noSchemathesis, schemathesis } from './python.mjs'

const skip = noSchemathesis()

/** Kills the program after this many milliseconds. It takes half a minute on two cores that do nothing else, and ten times that on busy ones. */
const LIFETIME = 600_000

const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const raw = (key, part) => Buffer.from(key.export({ format: 'jwk' })[part], 'base64url')

/** Runs the program in a folder of its own, in which it leaves caches. `document` is a file's text. */
async function run(document, ...args) {
  const own = mkdtempSync(path.join(os.tmpdir(), 'tenants-schemathesis-'))
  after(() => rmSync(own, { recursive: true, force: true }))
  writeFileSync(path.join(own, 'openapi.json'), JSON.stringify(document))
  const api = await startApi({
    vars: { TENANTS_CONSOLE: 'true',
      CHEVERETO_TENANTS_PUBLIC_KEY: raw(publicKey, 'x').toString('base64'), TENANTS_DEVELOPMENT: 'true', TENANTS_LOG_LEVEL: 'error',
      // No cell leases a job here, so waiting for one would be in vain.
      TENANTS_JOB_WAIT_SECONDS: '0',
      TENANTS_PASSWORD_MEMORY_KIB: '7168', TENANTS_PASSWORD_PASSES: '5',
    },
  })
  const all = ['--config-file', path.join(folder, 'schemathesis.toml'), 'run', 'openapi.json', '--url', api.url, '--checks', 'all', '--continue-on-failure', ...args]
  const env = {
    ...process.env, TENANTS_API_KEY: api.key, TENANTS_REQUEST_SECRET: api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET,
    SCHEMATHESIS_HOOKS: path.join(folder, 'schemathesis_hooks.py'), TENANTS_LEGACY_SEED: raw(privateKey, 'd').toString('hex'), PYTHONDONTWRITEBYTECODE: '1', PYTHONUTF8: '1',
  }
  const child = spawn(schemathesis, all, { cwd: own, env, stdio: ['ignore', 'pipe', 'pipe'], timeout: LIFETIME })
  const chunks = []
  child.stdout.on('data', (chunk) => chunks.push(chunk))
  child.stderr.on('data', (chunk) => chunks.push(chunk))
  // The code is null if the program was killed.
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  const errors = api.logs.filter((line) => line.includes('"level":"error"'))
  return { code, errors, output: Buffer.concat(chunks).toString() }
}

test('the Worker answers every request that Schemathesis makes of the description as it says', { skip, timeout: LIFETIME + 20_000 }, async () => {
  const { code, errors, output } = await run(description)
  assert.equal(code, 0, output)
  assert.deepEqual(errors, [])
  assert.match(output, new RegExp(`Tested: ${operations.length}\n`))
  const made = /Test cases:\n {2}(\d+) generated, (\d+) passed/.exec(output)
  assert.ok(made, output)
  assert.equal(made[1], made[2], output)
  assert.ok(Number(made[1]) > 1000, output)
})

test('Schemathesis finds rules, statuses, members and needed keys that a description has wrong', { skip, timeout: LIFETIME }, async () => {
  const wrong = structuredClone(description)
  const plans = wrong.paths['/_/api/4/tenants-plans']
  plans.post.requestBody.content['application/json'].schema.properties.id = { type: 'string', pattern: '^x[a-z]{70,80}$' }
  plans.get.parameters.find(({ name }) => name === 'limit').schema.maximum = 5
  plans.get.responses['200'].content['application/json'].schema = { type: 'object' }
  wrong.paths['/_/health'].get.security = [{ ApiKey: [] }]
  delete wrong.paths['/_/api/4/tenants-plans/{id}'].get.responses['404']
  const { code, output } = await run(wrong, '--phases', 'coverage', ...['createPlan', 'listPlans', 'getPlan', 'getHealth'].flatMap((id) => ['--include-operation-id', id]))
  assert.equal(code, 1, output)
  const expected = ['Schema-valid request rejected', 'Schema-violating request accepted', 'Undocumented status code', 'Response violates schema', 'API accepts requests without authentication']
  assert.deepEqual(expected.filter((found) => !output.includes(found)), [], output)
})
