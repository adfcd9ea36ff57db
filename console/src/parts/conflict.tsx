// Somebody else has changed what is being edited: both versions, side by side.

import { For, Show } from 'solid-js'
import { t } from '../texts'
import { Button, Table } from './basics'
import { Dialog } from './dialog'
import { isChanged, valueOf } from './versions'

export interface Difference {
  name: string
  was: unknown
  mine: unknown
  theirs: unknown
}

/** What differs between a form and the version that is there now. */
export const differencesOf = <F,>(members: readonly (keyof F & string)[], base: F, mine: F, theirs: F): Difference[] =>
  members.filter((member) => isChanged(theirs, mine, member)).map((member) => ({ name: (t.member as Record<string, string>)[member] ?? member, was: valueOf(base, member), mine: valueOf(mine, member), theirs: valueOf(theirs, member) }))

export const Conflict = (props: { isOpen: boolean; differences: Difference[]; onMerge: () => void; onTakeTheirs: () => void; onClose: () => void }) => (
  <Dialog title={t.conflict.title} isOpen={props.isOpen} onClose={props.onClose} isWide>
    <div class="stack">
      <p>{t.conflict.lead}</p>
      <Show when={props.differences.length > 0} fallback={<p>{t.conflict.same}</p>}>
        <Table label={t.conflict.title} class="cards-on-phone">
          <thead>
            <tr>
              <th scope="col">{t.conflict.member}</th>
              <th scope="col">{t.conflict.was}</th>
              <th scope="col">{t.conflict.mine}</th>
              <th scope="col">{t.conflict.theirs}</th>
            </tr>
          </thead>
          <tbody>
            <For each={props.differences}>
              {(one) => (
                <tr>
                  <th scope="row">{one.name}</th>
                  <td data-label={t.conflict.was} class="break"><Value of={one.was} /></td>
                  <td data-label={t.conflict.mine} class="break"><Value of={one.mine} /></td>
                  <td data-label={t.conflict.theirs} class="break"><Value of={one.theirs} /></td>
                </tr>
              )}
            </For>
          </tbody>
        </Table>
      </Show>
      <footer class="actions">
        <Button onClick={props.onTakeTheirs}>{t.conflict.takeTheirs}</Button>
        <Button look="primary" onClick={props.onMerge}>{t.conflict.merge}</Button>
      </footer>
    </div>
  </Dialog>
)

const Value = (props: { of: unknown }) => (
  <Show when={typeof props.of === 'object' && props.of !== null} fallback={<code>{props.of === null || props.of === undefined ? t.none : String(props.of)}</code>}>
    <div>
      <For each={Object.entries(props.of as object)} fallback={<span class="faint">{t.none}</span>}>
        {([name, value]) => (
          <div>
            <code>{name}={String(value)}</code>
          </div>
        )}
      </For>
    </div>
  </Show>
)
