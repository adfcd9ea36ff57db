// The buttons that turn the pages of a list. Its place, `after`, is in the page's address.

import type { Loaded } from './load'
import { go, href } from '../router'
import { t } from '../texts'
import { Button } from './basics'

/** The place before each place, by the address there: a list's cursor leads only ahead. The browser's own Back does not change it. */
const before = new Map<string, string | undefined>()

/** `of` has the cursor of the next page, `path` and `query` are the list's address without its place. After a reload, the way back leads to the first page. */
export function Pager(props: { path: string[]; query: Record<string, string>; after: string | undefined; of: Omit<Loaded<{ next: string | undefined }>, 'set'> }) {
  const at = (after: string | undefined) => ({ ...props.query, after })
  const address = (after: string | undefined) => href(props.path, at(after))
  // What is on the screen may be another page's as long as this one is read, or where it could not be.
  const next = () => (props.of.isLoading() || props.of.problem() ? undefined : props.of.data()?.next)
  const forward = () => {
    const to = next()
    if (to === undefined) return
    before.set(address(to), props.after)
    go(props.path, at(to))
  }
  const back = () => props.after && go(props.path, at(before.get(address(props.after))))
  // Neither is `disabled`: the browser would take the focus from it.
  return (
    <nav class="pager" aria-label={t.pages}>
      <Button onClick={back} aria-disabled={props.after ? undefined : 'true'}>{t.previous}</Button>
      <Button onClick={forward} aria-disabled={next() === undefined ? 'true' : undefined}>{t.next}</Button>
    </nav>
  )
}
