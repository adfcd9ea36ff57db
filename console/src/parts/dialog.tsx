// Dialogs. Kobalte keeps the focus inside, closes on Escape, and hides the rest from screen readers.

import { Dialog as Kobalte } from '@kobalte/core/dialog'
import { type JSX, Show, createComputed, createSignal, untrack } from 'solid-js'
import type { Problem } from '../api/types'
import { t } from '../texts'
import { Button, ProblemBox } from './basics'
import { TextInput } from './fields'
import { focusAgain } from './focus'

interface DialogProps {
  title: string
  isOpen: boolean
  onClose: () => void
  children: JSX.Element
  isWide?: boolean
  /** It cannot be closed. */
  isFixed?: boolean
}

/** What had the focus before the first of the dialogs that are open, or follow each other. */
let place: Element | null = null

export function Dialog(props: DialogProps) {
  // The focus goes back to where it was. Kobalte knows that place only of a dialog that has its own button.
  createComputed(() => {
    if (!props.isOpen) return
    const now = untrack(() => document.activeElement)
    if (now?.closest('main')) place = now
  })
  const giveBack = (event: Event) => {
    event.preventDefault()
    // The next dialog may be open by now.
    if (document.querySelector('[role=dialog]')) return
    focusAgain(place)
    // It would keep its page in memory, even after signing out.
    place = null
  }
  return (
    <Kobalte open={props.isOpen} onOpenChange={(isOpen) => !isOpen && !props.isFixed && props.onClose()}>
      <Kobalte.Portal>
        <Kobalte.Overlay class="overlay" />
        <div class="dialog-place">
          <Kobalte.Content class={`dialog ${props.isWide ? 'wide' : ''}`} onInteractOutside={(event) => event.preventDefault()} onCloseAutoFocus={giveBack}>
            <header>
              <Kobalte.Title as="h2">{props.title}</Kobalte.Title>
              <Show when={!props.isFixed}>
                <Kobalte.CloseButton class="button quiet" aria-label={t.close}>
                  ✕
                </Kobalte.CloseButton>
              </Show>
            </header>
            {props.children}
          </Kobalte.Content>
        </div>
      </Kobalte.Portal>
    </Kobalte>
  )
}

/** A request of a dialog, or some of them (`createWrite`, `createCheck`). */
export interface Asking {
  isRunning: () => boolean
  problem: () => Problem | undefined
  /** Forgets the problem. */
  clear: () => void
}

const isRunning = (of: Asking[]) => of.some((one) => one.isRunning())
const problemOf = (of: Asking[]) => of.map((one) => one.problem()).find((problem) => problem !== undefined)

interface ActionProps {
  title: string
  isOpen: boolean
  onClose: () => void
  children?: JSX.Element
  action: string
  isDangerous?: boolean
  /** What the button asks the API. */
  of: Asking[]
  onSubmit: () => void
  /** What has to be typed first. */
  typed?: string
  isWide?: boolean
}

/**
 * A dialog with a form, and a button that carries it out. It stays open while that runs: nobody could take back what was sent, and an answer that comes
 * later would meet another dialog.
 */
export function ActionDialog(props: ActionProps) {
  const close = () => void (isRunning(props.of) || props.onClose())
  return (
    <Dialog title={props.title} isOpen={props.isOpen} onClose={close} isWide={props.isWide ?? false}>
      <ActionForm {...props} onClose={close} />
    </Dialog>
  )
}

function ActionForm(props: ActionProps) {
  const [typed, setTyped] = createSignal('')
  // What was refused when it was open before says nothing of what is asked now.
  untrack(() => props.of.forEach((one) => one.clear()))
  const isReady = () => props.typed === undefined || typed() === props.typed
  return (
    <form
      class="stack"
      noValidate
      onSubmit={(event) => {
        event.preventDefault()
        if (isReady()) props.onSubmit()
      }}
    >
      <ProblemBox problem={problemOf(props.of)} />
      {props.children}
      <Show when={props.typed}>{(wanted) => <TextInput label={t.typeToConfirm(wanted())} value={typed()} onInput={setTyped} isRequired mono />}</Show>
      <footer class="actions">
        <Button onClick={() => props.onClose()} aria-disabled={isRunning(props.of) ? 'true' : undefined}>{t.cancel}</Button>
        <Button type="submit" look={props.isDangerous ? 'danger' : 'primary'} isBusy={isRunning(props.of)} disabled={!isReady()}>
          {props.action}
        </Button>
      </footer>
    </form>
  )
}
