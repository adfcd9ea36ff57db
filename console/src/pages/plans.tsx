// The plans, with the number of tenants that each reaches.

import { For, Show, createEffect, createSignal, onCleanup } from 'solid-js'
import { all, get, query } from '../api/client'
import { can } from '../api/session'
import type { Plan } from '../api/types'
import { Await, Empty, Page, Table, Time } from '../parts/basics'
import { count } from '../parts/format'
import { createLoad } from '../parts/load'
import { NEW, href } from '../router'
import { t } from '../texts'

/** How many tenants a plan has, if the answer says it. */
export async function tenantsOf(plan: string, signal?: AbortSignal): Promise<number | undefined> {
  const { headers } = await get(`/tenants${query({ plan_id: plan, fields: 'id', limit: 1, count: 'true' })}`, signal)
  const total = headers.get('X-Total-Count')
  return total === null ? undefined : Number(total)
}

const countOf = (tenants: number | null | undefined) => (tenants === undefined ? '…' : tenants === null ? '?' : count(tenants))

export function PlansPage() {
  const loaded = createLoad(() => true, (_, signal) => all<Plan>('/tenants-plans', {}, { signal }))
  /** `null`: it could not be read. */
  const [counts, setCounts] = createSignal<Record<string, number | null>>({})
  createEffect(() => {
    const plans = loaded.data()
    if (!plans || !can('tenants:read')) return
    // A few at a time: each is a request.
    const waiting = plans.map((plan) => plan.id)
    const left = new AbortController()
    onCleanup(() => left.abort())
    const next = async (): Promise<void> => {
      const id = waiting.shift()
      if (id === undefined) return
      const found = await tenantsOf(id, left.signal).catch(() => undefined)
      if (left.signal.aborted) return
      setCounts((all) => ({ ...all, [id]: found ?? null }))
      return next()
    }
    for (let lane = 0; lane < 4; lane += 1) void next()
  })
  return (
    <Page title={t.plans.title} aside={<Show when={can('plans:write')}><a class="button primary" href={href(['plans', NEW])}>{t.plans.create}</a></Show>}>
      <Await of={loaded}>
        {(plans) => (
          <Show when={plans().length} fallback={<Empty title={t.plans.empty}><p>{t.plans.emptyHelp}</p></Empty>}>
            <Table label={t.plans.title} class="cards-on-phone">
              <thead>
                <tr>
                  <th scope="col">{t.plans.id}</th>
                  <Show when={can('tenants:read')}><th scope="col" class="number">{t.plans.tenants}</th></Show>
                  <th scope="col" class="number">{t.member.limits}</th>
                  <th scope="col" class="number">{t.member.env}</th>
                  <th scope="col">{t.member.external_id}</th>
                  <th scope="col">{t.tenants.updated}</th>
                </tr>
              </thead>
              <tbody>
                <For each={plans()}>
                  {(plan) => (
                    <tr>
                      <th scope="row"><a class="row-link" href={href(['plans', plan.id])}>{plan.id}</a></th>
                      <Show when={can('tenants:read')}>
                        <td class="number" data-label={t.plans.tenants} aria-busy={counts()[plan.id] === undefined ? 'true' : undefined}>
                          <a href={href(['tenants'], { plan_id: plan.id })}>{countOf(counts()[plan.id])}</a>
                        </td>
                      </Show>
                      <td class="number" data-label={t.member.limits}>{Object.keys(plan.limits ?? {}).length}</td>
                      <td class="number" data-label={t.member.env}>{Object.keys(plan.env ?? {}).length}</td>
                      <td data-label={t.member.external_id}>{plan.external_id ?? <span class="faint">{t.none}</span>}</td>
                      <td data-label={t.tenants.updated}><Time of={plan.updated_at} /></td>
                    </tr>
                  )}
                </For>
              </tbody>
            </Table>
          </Show>
        )}
      </Await>
    </Page>
  )
}
