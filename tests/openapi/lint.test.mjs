// Redocly's linter reads the description, with its strict rules.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { description, file, folder, operations } from './description.mjs'

const program = path.join(folder, 'node_modules', '@redocly', 'cli', 'bin', 'cli.js')

/** Lints a file, and returns the exit code and what was found. */
function lint(name) {
  // Without these it would ask for its newest version, and send statistics.
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
  const args = [program, 'lint', '--config', path.join(folder, 'redocly.yaml'), '--format', 'json', name]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8', timeout: 60_000, maxBuffer: 1 << 26 })
  return { status, problems: stdout ? JSON.parse(stdout).problems : [], stderr }
}

test('the linter finds nothing in the description', () => {
  const { status, problems, stderr } = lint(file)
  assert.deepEqual(problems.map(({ ruleId, message }) => `${ruleId}: ${message}`), [])
  assert.equal(status, 0, stderr)
})

test('every operation has a response that is a success, but for the page of a held tenant', () => {
  const without = operations.filter(({ operation }) => Object.keys(operation.responses).every((status) => !status.startsWith('2')))
  assert.deepEqual(without.map(({ operation }) => operation.operationId), ['getHeldPage'])
})

test('the linter finds an example that is not as its schema says', () => {
  const own = mkdtempSync(path.join(os.tmpdir(), 'tenants-lint-'))
  try {
    const broken = structuredClone(description)
    broken.paths['/_/api/4/tenants'].post.requestBody.content['application/json'].examples.created.value.id = '-'
    const name = path.join(own, 'openapi.json')
    writeFileSync(name, JSON.stringify(broken))
    const { status, problems } = lint(name)
    assert.equal(status, 1)
    assert.deepEqual(problems.map((p) => p.ruleId), ['no-invalid-media-type-examples'])
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
})
