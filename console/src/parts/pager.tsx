// The buttons that turn the pages of a list. The API's cursor leads only ahead, so the places of the pages before are kept.

import { Show, createSignal } from 'solid-js'
import type { Loaded } from './load'
import { go, href } from '../router'
import { t } from '../texts'
import { Button } from './basics'

/** The place before each place, by the address there. The browser's own Back does not change it. */
const before = new Map<string, string | undefined>()

/**
 * The pages of a list whose place, `after`, is in the page's address. `of` has the cursor of the next page, `path` and `query` are the list's address without
 * its place. After a reload, the way back leads to the first page.
 */
export function Pager(props: { path: string[]; query: Record<string, string>; after: string | undefined; of: Omit<Loaded<{ next: string | undefined }>, 'set'> }) {
  const at = (after: string | undefined) => ({ ...props.query, after })
  const address = (after: string | undefined) => href(props.path, at(after))
  // What is on the screen may be another page's as long as this one is read, or where it could not be.
  const next = () => (props.of.isLoading() || props.of.problem() ? undefined : props.of.data()?.next)
  const forward = (to: string) => {
    before.set(address(to), props.after)
    go(props.path, at(to))
  }
  return <Turns hasBefore={Boolean(props.after)} back={() => go(props.path, at(before.get(address(props.after))))} next={next()} forward={forward} />
}

/** Where the page of a list begins, if its place is not in the address. */
export function createPlace() {
  const [places, setPlaces] = createSignal<string[]>([])
  return {
    /** For the list's `after`. */
    after: () => places().at(-1),
    forward: (next: string) => setPlaces((all) => [...all, next]),
    back: () => setPlaces((all) => all.slice(0, -1)),
    begin: () => setPlaces([]),
  }
}

/** The pages of a list whose place is not in the address, if it has more than one. `next` is where the page after this one begins, if there is one. */
export const LocalPager = (props: { place: ReturnType<typeof createPlace>; next: string | undefined; isLoading: boolean }) => (
  <Show when={props.place.after() || props.next}>
    <Turns
      hasBefore={props.place.after() !== undefined} back={() => props.isLoading || props.place.back()}
      next={props.next} forward={(to) => props.isLoading || props.place.forward(to)}
    />
  </Show>
)

/** At an end of the list no button is `disabled`: the browser would take the focus from it. */
const Turns = (props: { hasBefore: boolean; back: () => void; next: string | undefined; forward: (next: string) => void }) => (
  <nav class="pager" aria-label={t.pages}>
    <Button onClick={() => props.hasBefore && props.back()} aria-disabled={props.hasBefore ? undefined : 'true'}>{t.previous}</Button>
    <Button onClick={() => props.next !== undefined && props.forward(props.next)} aria-disabled={props.next === undefined ? 'true' : undefined}>{t.next}</Button>
  </nav>
)
