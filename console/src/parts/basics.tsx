// The small parts that all pages are made of.

import { For, type JSX, Show, createEffect, createSignal, onCleanup, onMount, splitProps } from 'solid-js'
import type { Problem } from '../api/types'
import { t } from '../texts'
import { ago } from './format'
import type { Loaded } from './load'

export type Tone = 'plain' | 'good' | 'warn' | 'bad' | 'info'

export const Badge = (props: { tone?: Tone; children: JSX.Element; title?: string }) => (
  <span class={`badge ${props.tone ?? 'plain'}`} title={props.title}>
    {props.children}
  </span>
)

type ButtonProps = JSX.ButtonHTMLAttributes<HTMLButtonElement> & { look?: 'primary' | 'danger' | 'quiet'; isBusy?: boolean }

export function Button(props: ButtonProps) {
  const [own, rest] = splitProps(props, ['look', 'isBusy', 'children', 'class', 'onClick'])
  // A busy button is not `disabled`: the browser would take the focus from it.
  const click = (event: MouseEvent) => {
    if (own.isBusy) event.preventDefault()
    else if (typeof own.onClick === 'function') (own.onClick as (event: MouseEvent) => void)(event)
  }
  return (
    <button type="button" class={`button ${own.look ?? ''} ${own.class ?? ''}`} aria-busy={own.isBusy ? 'true' : undefined} aria-disabled={own.isBusy ? 'true' : undefined} {...rest} onClick={click}>
      {own.children}
    </button>
  )
}

/** A problem of the API in its own words. */
export function ProblemBox(props: { problem: Problem | undefined; onRetry?: (() => void) | undefined }) {
  return (
    <Show when={props.problem}>
      {(problem) => (
        <div class="problem" role="alert">
          <strong>{problem().title}</strong>
          <p>{problem().detail}</p>
          <Show when={problem().errors.length}>
            <ul>
              <For each={problem().errors}>
                {(error) => (
                  <li>
                    <code>{error.parameter ?? error.pointer?.slice(1)}</code> {error.detail} <Show when={error.holder}>{(holder) => t.heldBy(holder())}</Show>
                  </li>
                )}
              </For>
            </ul>
          </Show>
          <Show when={problem().scope}>{(scope) => <p>{t.missingScopes(scope().join(', '))}</p>}</Show>
          <Show when={problem().requestId}>
            {(id) => (
              <p class="faint small">
                {t.requestId} <code>{id()}</code>
              </p>
            )}
          </Show>
          <Show when={props.onRetry}>
            <Button onClick={() => props.onRetry?.()}>{t.retry}</Button>
          </Show>
        </div>
      )}
    </Show>
  )
}

/** Shows what was loaded; before that, that it is being loaded, or why it cannot. */
export function Await<T>(props: { of: Loaded<T>; children: (data: () => NonNullable<T>) => JSX.Element }) {
  return (
    <>
      <ProblemBox problem={props.of.problem()} onRetry={props.of.reload} />
      <Show when={props.of.data() as NonNullable<T> | undefined} fallback={<Show when={!props.of.problem()}><Loading /></Show>}>
        {(data) => props.children(data)}
      </Show>
    </>
  )
}

export const Loading = () => (
  <div class="loading" role="status">
    <span class="spinner" aria-hidden="true" /> {t.loading}
  </div>
)

export const Empty = (props: { title: string; children?: JSX.Element; isBusy?: boolean }) => (
  <div class="empty" aria-busy={props.isBusy ? 'true' : undefined}>
    <p>
      <strong>{props.title}</strong>
    </p>
    {props.children}
  </div>
)

/** A time, with its distance from now. */
export const Time = (props: { of: string | null | undefined }) => (
  <Show when={props.of} fallback={<span class="faint">{t.never}</span>}>
    {(time) => (
      <time dateTime={`${time().replace(' ', 'T')}Z`} title={`${time()} UTC`} class="nowrap">
        {ago(time())}
      </time>
    )}
  </Show>
)

export function Page(props: { title: string; aside?: JSX.Element; lead?: JSX.Element; children: JSX.Element; back?: { href: string; text: string } }) {
  let title!: HTMLHeadingElement
  createEffect(() => (document.title = `${props.title} – ${t.title}`))
  // A screen reader hears of the new page, and the keyboard goes on in it.
  onMount(() => {
    title.focus({ preventScroll: true })
    scrollTo(0, 0)
  })
  return (
    <>
      <header class="page-head">
        <div>
          <Show when={props.back}>{(back) => <a class="back" href={back().href}>← {back().text}</a>}</Show>
          <h1 tabIndex={-1} ref={title}>{props.title}</h1>
          <Show when={props.lead}>
            <div class="lead">{props.lead}</div>
          </Show>
        </div>
        <div class="actions">{props.aside}</div>
      </header>
      {props.children}
    </>
  )
}

export const Card = (props: { title?: string; aside?: JSX.Element; children: JSX.Element; class?: string }) => (
  <section class={`card ${props.class ?? ''}`}>
    <Show when={props.title}>
      <header class="card-head">
        <h2>{props.title}</h2>
        <div class="actions">{props.aside}</div>
      </header>
    </Show>
    {props.children}
  </section>
)

/** A table that scrolls by itself where the screen is narrow. */
export const Table = (props: { label: string; children: JSX.Element; isBusy?: boolean; class?: string }) => (
  <div class={`table-box ${props.class ?? ''}`} tabIndex={0} role="region" aria-label={props.label} aria-busy={props.isBusy ? 'true' : 'false'}>
    <table>{props.children}</table>
  </div>
)

export const Facts = (props: { children: JSX.Element }) => <dl class="facts">{props.children}</dl>

export const Fact = (props: { name: string; children: JSX.Element }) => (
  <div>
    <dt>{props.name}</dt>
    <dd>{props.children}</dd>
  </div>
)

/** A value with a button that copies it. */
export function Copyable(props: { value: string; label: string }) {
  const [said, setSaid] = createSignal('')
  let timer: number | undefined
  onCleanup(() => clearTimeout(timer))
  const copy = async () => {
    // The browser may not allow it.
    await Promise.resolve().then(() => navigator.clipboard.writeText(props.value)).then(() => setSaid(t.copied), () => setSaid(t.notCopied))
    clearTimeout(timer)
    timer = window.setTimeout(() => setSaid(''), 2000)
  }
  return (
    <div class="copyable">
      <span class="copy-label">{props.label}</span>
      <code>{props.value}</code>
      <Button onClick={copy} aria-label={`${t.copy} ${props.label}`}>
        {said() || t.copy}
      </Button>
      <span class="sr" role="status">
        {said()}
      </span>
    </div>
  )
}

// Notes of what was done, read out by screen readers.

const [notes, setNotes] = createSignal<{ id: number; text: string }[]>([])
let noteId = 0

export function note(text: string) {
  const id = ++noteId
  setNotes((all) => [...all, { id, text }])
  setTimeout(() => setNotes((all) => all.filter((one) => one.id !== id)), 5000)
}

export const Notes = () => (
  <div class="notes" role="status">
    <For each={notes()}>{(one) => <div class="note">{one.text}</div>}</For>
  </div>
)
