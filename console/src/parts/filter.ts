// A text that filters a list, applied after a pause in the typing.

import { createEffect, createSignal, on, onCleanup } from 'solid-js'
import { route } from '../router'

const PAUSE_MS = 250

export interface Filter {
  text: () => string
  type: (text: string) => void
  /** For an element around the input: Enter, and another field of the same form, do not wait for the pause. */
  around: { onKeyDown: (event: KeyboardEvent) => void; onFocusOut: (event: FocusEvent) => void }
}

/** `value` is the filter in the page's address, and `apply` writes it there. A text that is not applied yet is forgotten when the address changes otherwise, or the page goes away. */
export function createFilter(value: () => string, apply: (text: string) => void): Filter {
  const [text, setText] = createSignal(value())
  let timer: number | undefined
  let applied: string | undefined
  const forget = () => {
    clearTimeout(timer)
    timer = undefined
  }
  const applyNow = () => {
    if (timer === undefined) return
    forget()
    applied = text().trim()
    if (applied === value()) applied = undefined
    else apply(applied)
  }
  createEffect(
    on(
      route,
      () => {
        // The address changes a moment after `apply`: somebody may have typed on by then.
        const isOwn = value() === applied
        applied = undefined
        if (isOwn) return
        forget()
        if (text().trim() !== value()) setText(value())
      },
      { defer: true },
    ),
  )
  onCleanup(forget)
  return {
    text,
    around: {
      onKeyDown: (event) => event.key === 'Enter' && applyNow(),
      // Elsewhere on the page the list would change under a pointer that is about to click in it.
      onFocusOut: (event) => event.relatedTarget instanceof HTMLElement && (event.target as HTMLElement).closest('form')?.contains(event.relatedTarget) && applyNow(),
    },
    type: (now) => {
      setText(now)
      clearTimeout(timer)
      timer = window.setTimeout(applyNow, PAUSE_MS)
    },
  }
}
