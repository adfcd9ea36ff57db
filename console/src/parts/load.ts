// Loads data for a page, again whenever its source changes, and keeps the old data on the screen meanwhile.

import { createEffect, createSignal, on, onCleanup } from 'solid-js'
import { Lost, Refused } from '../api/client'
import { signIns } from '../api/session'
import type { Problem } from '../api/types'
import { t } from '../texts'
import { keepFocus } from './focus'

export interface Loaded<T> {
  data: () => T | undefined
  problem: () => Problem | undefined
  isLoading: () => boolean
  reload: () => void
  set: (value: T) => void
}

/** Calls `load` with each value of `source` that is not undefined. A load that is overtaken is aborted. */
export function createLoad<S, T>(source: () => S | undefined, load: (source: S, signal: AbortSignal, onPart: (part: T) => void) => Promise<T>): Loaded<T> {
  const [data, setData] = createSignal<T>()
  const [problem, setProblem] = createSignal<Problem>()
  const [isLoading, setLoading] = createSignal(true)
  const [round, setRound] = createSignal(0)
  let running: AbortController | undefined
  const show = (value: T) => keepFocus(() => setData(() => value))
  createEffect(
    on([source, round], ([value]) => {
      running?.abort()
      if (value === undefined) return
      const own = new AbortController()
      running = own
      setLoading(true)
      load(value, own.signal, (part) => own.signal.aborted || show(part))
        .then((found) => {
          if (own.signal.aborted) return
          keepFocus(() => {
            setData(() => found)
            setProblem(undefined)
          })
        })
        .catch((error: unknown) => own.signal.aborted || setProblem(asProblem(error)))
        .finally(() => own.signal.aborted || setLoading(false))
    }),
  )
  // A load that failed because the session was over runs again when there is a new one.
  createEffect(on(signIns, () => problem() && setRound((n) => n + 1), { defer: true }))
  onCleanup(() => running?.abort())
  return { data, problem, isLoading, reload: () => setRound((n) => n + 1), set: show }
}

/** For a part that an older API does not have: gives `instead` for a 404, and fails otherwise. */
export const ifAbsent = <T>(instead: T) => (error: unknown): T => {
  if (error instanceof Refused && error.problem.status === 404) return instead
  throw error
}

/** The problem to show for an error: the API's own, or that the connection was lost. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Refused) return error.problem
  if (error instanceof Lost) return { status: 0, code: 'lost', title: t.lost.title, detail: t.lost.detail, errors: [] }
  console.error(error)
  return { status: 0, code: 'page', title: t.failed, detail: String(error), errors: [] }
}
