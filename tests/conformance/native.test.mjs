// Runs the core natively with rusqlite. A test of the core's crate does the work, and writes its result where the other hosts write theirs.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { environment } from '../../scripts/lib/environment.mjs'
import { root } from '../../scripts/lib/run.mjs'

test('the native core passes the conformance set', () => {
  const { status, stdout, stderr } = spawnSync('cargo', ['test', '--locked', '--quiet', '-p', 'tenants-core', '--test', 'conformance'], {
    cwd: root, env: environment(), encoding: 'utf8',
  })
  assert.equal(status, 0, stdout + stderr)
})
