// Asks whether something is there, before a write that would do the wrong thing if it were.

import { createWrite } from './write'

export function createCheck() {
  const asking = createWrite()
  /** Undefined if the API does not say: `problem` has the reason. */
  async function isThere(path: string): Promise<boolean | undefined> {
    asking.clear()
    if (await asking.present(path)) return true
    if (asking.problem()?.status !== 404) return undefined
    asking.clear()
    return false
  }
  return { isThere, isRunning: asking.isRunning, problem: asking.problem }
}
