// One write of a form or a dialog: whether it runs, what the API answered, and its Idempotency-Key.

import { createSignal } from 'solid-js'
import { type Answer, type Options, call } from '../api/client'
import type { FieldError, Problem } from '../api/types'
import { asProblem } from './load'

export interface Write {
  isRunning: () => boolean
  problem: () => Problem | undefined
  /** Sends it. Returns undefined if it was refused or lost: `problem` says why. */
  send: <T>(method: string, path: string, options?: Options) => Promise<Answer<T> | undefined>
  clear: () => void
  /** The API's words for the field at a JSON pointer, or below it. */
  at: (pointer: string) => string | undefined
}

export function createWrite(): Write {
  const [isRunning, setRunning] = createSignal(false)
  const [problem, setProblem] = createSignal<Problem>()
  // Somebody who asks again after a lost answer sends the same request under the same key, so it is not done twice.
  let last: { text: string; key: string } | undefined
  async function send<T>(method: string, path: string, options: Options = {}) {
    if (isRunning()) return undefined
    const text = JSON.stringify([method, path, options.body, options.ifMatch])
    if (last?.text !== text) last = { text, key: crypto.randomUUID() }
    setRunning(true)
    try {
      const answer = await call<T>(method, path, { idempotencyKey: last.key, ...options })
      last = undefined
      setProblem(undefined)
      return answer
    } catch (error) {
      setProblem(asProblem(error))
      return undefined
    } finally {
      setRunning(false)
    }
  }
  const at = (pointer: string) => wordsAt(problem()?.errors ?? [], pointer)
  return { isRunning, problem, send, clear: () => setProblem(undefined), at }
}

function wordsAt(errors: FieldError[], pointer: string): string | undefined {
  const found = errors.filter((error) => error.pointer === pointer || error.pointer?.startsWith(`${pointer}/`))
  if (found.length === 0) return undefined
  return found.map((error) => (error.pointer === pointer ? error.detail : `${error.pointer!.slice(pointer.length + 1).replaceAll('~1', '/').replaceAll('~0', '~')}: ${error.detail}`)).join(' ')
}
