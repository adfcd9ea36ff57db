// How a tenant stands: served, disabled, held; and its site.

import { For, Show } from 'solid-js'
import type { Tenant } from '../api/types'
import { t } from '../texts'
import { Badge } from './basics'

export const HOLDS = ['non_payment', 'abuse', 'maintenance', 'admin'] as const
export type HoldKind = (typeof HOLDS)[number]

export const State = (props: { of: Pick<Tenant, 'is_enabled' | 'served' | 'holds'> }) => (
  <span class="badges">
    <Show when={props.of.served}>
      <Badge tone="good">{t.state.served}</Badge>
    </Show>
    <Show when={!props.of.is_enabled}>
      <Badge tone="plain">{t.state.disabled}</Badge>
    </Show>
    <For each={Object.entries(props.of.holds ?? {})}>
      {([kind, hold]) => (
        <Badge tone={kind === 'abuse' ? 'bad' : 'warn'} title={hold?.reason}>
          {t.hold[kind as HoldKind] ?? kind}
        </Badge>
      )}
    </For>
  </span>
)

export const Site = (props: { of: Pick<Tenant, 'site'> }) => (
  <Badge tone={({ installed: 'good', failed: 'bad', installing: 'info', none: 'plain' } as const)[props.of.site.state] ?? 'plain'}>{t.site[props.of.site.state] ?? props.of.site.state}</Badge>
)
