// The time line names the event of each audit entry, as the core has it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../tests/e2e/harness.mjs'
import { eventOf } from '../src/pages/event-of.ts'

test('every action on a tenant has the event that the core gives it', () => {
  const source = readFileSync(path.join(ROOT, 'crates', 'core', 'src', 'store', 'audit.rs'), 'utf8')
  // The first match has the events, and the second one the actions.
  const names = new Map()
  for (const [, action, name] of source.matchAll(/Self::(\w+) => "([a-z_]+\.[a-z_]+)"/g)) names.set(action, [...(names.get(action) ?? []), name])
  const pairs = [...names.values()].filter(([event, action]) => event?.startsWith('tenant.') && action)
  assert.ok(pairs.length >= 9, String(pairs))
  for (const [event, action] of pairs) assert.equal(eventOf(action), event)
})
