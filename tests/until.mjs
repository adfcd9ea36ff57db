// Waits in tests: for what another process does in its own time.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until a check returns something truthy, and returns that.
 * @param {() => unknown} check may be asynchronous
 * @param {string | (() => string)} what is waited for, for the failure
 * @param {{ within?: number, every?: number }} [options] milliseconds
 */
export async function until(check, what, { within = 20_000, every = 25 } = {}) {
  for (const end = Date.now() + within; ; await sleep(every)) {
    const value = await check()
    if (value) return value
    assert.ok(Date.now() < end, `timed out: ${typeof what === 'function' ? what() : what}`)
  }
}
