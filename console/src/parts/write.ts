// One write of a form or a dialog: whether it runs, what the API answered, and its Idempotency-Key.

import { createSignal } from 'solid-js'
import { type Answer, type Options, call, pageProblem } from '../api/client'
import type { FieldError, Problem } from '../api/types'
import { visit } from '../router'
import { t } from '../texts'
import { note } from './basics'
import { asProblem } from './load'
import { doubled } from './versions'

interface WriteOptions<T> extends Options {
  /** A note for when it is done, also for somebody who is on another page by then. */
  note?: string | ((answer: Answer<T>) => string)
  /** A note in its place for somebody who is on another page by then: for an answer that is shown once, and was shown to nobody. */
  lost?: string | ((answer: Answer<T>) => string)
}

export interface Write {
  isRunning: () => boolean
  problem: () => Problem | undefined
  /**
   * Sends it. Returns undefined if it was refused or lost: `problem` says why. It does so, too, if its page was left meanwhile: nothing that the page does
   * with an answer, such as going elsewhere, may happen to the page that somebody is on now. Notes say then what became of it.
   */
  send: <T>(method: string, path: string, options?: WriteOptions<T>) => Promise<Answer<T> | undefined>
  /** Reads what is there now, after a write that was refused because of it. Returns undefined if that cannot be read: `problem` says why. */
  present: <T>(path: string) => Promise<Answer<T> | undefined>
  /** Shows a refusal of the page's own: nothing is sent. */
  refuse: (title: string, detail: string, errors?: FieldError[]) => void
  clear: () => void
  /** The API's words for the field at a JSON pointer, or below it. */
  at: (pointer: string) => string | undefined
}

export function createWrite(): Write {
  const [isRunning, setRunning] = createSignal(false)
  const [problem, setProblem] = createSignal<Problem>()
  // Somebody who asks again after a lost answer sends the same request under the same key, so it is not done twice.
  let last: { text: string; key: string } | undefined
  async function run<T>(task: () => Promise<T>, whenLeft: { done?: ((answer: T) => string | undefined) | undefined; failed: boolean }): Promise<T | undefined> {
    if (isRunning()) return undefined
    const began = visit()
    setRunning(true)
    try {
      const answer = await task()
      if (visit() === began) return answer
      const lost = whenLeft.done?.(answer)
      if (lost) note(lost)
      return undefined
    } catch (error) {
      const found = asProblem(error)
      setProblem(found)
      if (whenLeft.failed && visit() !== began) note(t.leftProblem(found.status === 0 ? found.title : found.detail))
      return undefined
    } finally {
      setRunning(false)
    }
  }
  const send = <T>(method: string, path: string, { note: done, lost, ...options }: WriteOptions<T> = {}) =>
    run(async () => {
      const text = JSON.stringify([method, path, options.body, options.ifMatch])
      if (last?.text !== text) last = { text, key: crypto.randomUUID() }
      const answer = await call<T>(method, path, { idempotencyKey: last.key, ...options })
      last = undefined
      setProblem(undefined)
      if (done) note(typeof done === 'string' ? done : done(answer))
      return answer
    }, { done: (answer) => (typeof lost === 'function' ? lost(answer) : lost), failed: true })
  const present = <T>(path: string) => run(() => call<T>('GET', path), { failed: false })
  const refuse = (title: string, detail: string, errors?: FieldError[]) => void setProblem(pageProblem(title, detail, errors))
  const at = (pointer: string) => wordsAt(problem()?.errors ?? [], pointer)
  return { isRunning, problem, send, present, refuse, clear: () => setProblem(undefined), at }
}

/** Refuses a form where two rows have one name. Returns whether it did. */
export function refuseDoubled<F>(write: Write, members: readonly (keyof F & string)[], form: F): boolean {
  const errors = doubled(members, form).map((pointer) => ({ pointer, detail: t.twice }))
  if (errors.length > 0) write.refuse(t.twiceTitle, t.twiceDetail, errors)
  return errors.length > 0
}

function wordsAt(errors: FieldError[], pointer: string): string | undefined {
  const found = errors.filter((error) => error.pointer === pointer || error.pointer?.startsWith(`${pointer}/`))
  if (found.length === 0) return undefined
  return found.map((error) => (error.pointer === pointer ? error.detail : `${error.pointer!.slice(pointer.length + 1).replaceAll('~1', '/').replaceAll('~0', '~')}: ${error.detail}`)).join(' ')
}
