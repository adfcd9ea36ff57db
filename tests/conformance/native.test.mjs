// The core itself, natively, on rusqlite: a test of its own crate, which leaves its result where the others do.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { environment } from '../../scripts/lib/environment.mjs'
import { root } from '../../scripts/lib/run.mjs'

test('the core answers the conformance set', () => {
  const { status, stdout, stderr } = spawnSync('cargo', ['test', '--locked', '--quiet', '-p', 'tenants-core', '--test', 'conformance'], {
    cwd: root, env: environment(), encoding: 'utf8',
  })
  assert.equal(status, 0, stdout + stderr)
})
