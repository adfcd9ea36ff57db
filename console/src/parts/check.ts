// Asks whether something is there, before a write that would do the wrong thing if it were.

import { visit } from '../router'
import { createWrite } from './write'

export function createCheck() {
  const asking = createWrite()
  /** Undefined if the API does not say: `problem` has the reason. So it is if the page was left meanwhile: the write that waits for it must not go out any more. */
  async function isThere(path: string): Promise<boolean | undefined> {
    const began = visit()
    asking.clear()
    if (await asking.present(path)) return true
    if (visit() !== began || asking.problem()?.status !== 404) return undefined
    asking.clear()
    return false
  }
  return { isThere, isRunning: asking.isRunning, problem: asking.problem, clear: asking.clear }
}
