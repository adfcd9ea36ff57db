// What an operator looks at first: growth, storage, and what fails.

import { For, Show } from 'solid-js'
import { all, get, nextOf, query } from '../api/client'
import { can } from '../api/session'
import type { Cell, Job, Tenant } from '../api/types'
import { Await, Badge, Card, Empty, Page, Table, Time } from '../parts/basics'
import { BarChart, TimeChart } from '../parts/chart'
import { bytes, count, parsed } from '../parts/format'
import { createLoad } from '../parts/load'
import { State } from '../parts/tenant-state'
import { href } from '../router'
import { t } from '../texts'
import { CellState, JobTable } from './cells'
import { WebhookState, isFailing, webhooks } from './webhooks'

const FIELDS = 'id,hostname,plan_id,created_at,is_enabled,served,holds,stats'
const LARGEST = 10
const PLANS = 12

interface Figures {
  tenants: number
  served: number
  held: number
  storage: number
  files: number
  growth: [number, number][]
  byMonth: [string, number][]
  byPlan: [string, number][]
  largest: Tenant[]
  isComplete: boolean
}

function figures(tenants: Tenant[], isComplete: boolean): Figures {
  const times = tenants.map((tenant) => parsed(tenant.created_at).getTime() / 1000).sort((a, b) => a - b)
  // One point a day is enough for a line, however many tenants there are.
  const growth = new Map<number, number>()
  times.forEach((time, index) => growth.set(Math.floor(time / 86_400) * 86_400, index + 1))
  if (times.length) growth.set(Math.floor(Date.now() / 86_400_000) * 86_400, times.length)
  const months = new Map<string, number>()
  for (const [day, total] of growth) months.set(new Date(day * 1000).toISOString().slice(0, 7), total)
  const plans = new Map<string, number>()
  for (const { plan_id, stats } of tenants) plans.set(plan_id ?? t.none, (plans.get(plan_id ?? t.none) ?? 0) + stats.storage_used)
  const byPlan = [...plans].sort((a, b) => b[1] - a[1])
  const rest = byPlan.slice(PLANS).reduce((sum, [, size]) => sum + size, 0)
  return {
    tenants: tenants.length,
    served: tenants.filter((tenant) => tenant.served).length,
    held: tenants.filter((tenant) => Object.keys(tenant.holds).length).length,
    storage: tenants.reduce((sum, tenant) => sum + tenant.stats.storage_used, 0),
    files: tenants.reduce((sum, tenant) => sum + tenant.stats.files, 0),
    growth: [...growth],
    byMonth: [...months],
    byPlan: rest > 0 ? [...byPlan.slice(0, PLANS), [t.overview.otherPlans, rest]] : byPlan,
    largest: [...tenants].sort((a, b) => b.stats.storage_used - a.stats.storage_used).slice(0, LARGEST),
    isComplete,
  }
}

export function OverviewPage() {
  const loaded = createLoad(() => true, async (_, signal, onPart: (part: Figures) => void) => {
    const tenants = await all<Tenant>('/tenants', { fields: FIELDS }, { signal, onPage: (soFar) => onPart(figures(soFar, false)) })
    return figures(tenants, true)
  })
  return (
    <Page title={t.overview.title} lead={<Show when={loaded.data() && !loaded.data()!.isComplete}><span role="status">{t.overview.reading(count(loaded.data()!.tenants))}</span></Show>}>
      <Await of={loaded}>
        {(data) => (
          <>
            <ul class="tiles">
              <Tile name={t.nav.tenants} value={count(data().tenants)} />
              <Tile name={t.overview.served} value={count(data().served)} />
              <Tile name={t.overview.held} value={count(data().held)} />
              <Tile name={t.tenants.storage} value={bytes(data().storage)} />
              <Tile name={t.tenants.files} value={count(data().files)} />
            </ul>
            <Show when={data().tenants > 0} fallback={<Empty title={t.tenants.empty}><p>{t.tenants.emptyHelp}</p></Empty>}>
              <div class="columns">
                <Card title={t.overview.growth}>
                  <TimeChart label={t.overview.growthLabel(count(data().tenants))} points={data().growth} table={<Pairs head={[t.overview.month, t.nav.tenants]} label={t.overview.growth} of={data().byMonth.map(([month, total]) => [month, count(total)])} />} />
                </Card>
                <Card title={t.overview.byPlan}>
                  <BarChart label={t.overview.byPlan} bars={data().byPlan} format={bytes} table={<Pairs head={[t.tenants.plan, t.tenants.storage]} label={t.overview.byPlan} of={data().byPlan.map(([plan, size]) => [plan, bytes(size)])} />} />
                </Card>
              </div>
              <Card title={t.overview.largest}>
                <Table label={t.overview.largest} class="cards-on-phone">
                  <thead>
                    <tr><th scope="col">{t.tenants.id}</th><th scope="col">{t.tenants.hostname}</th><th scope="col">{t.tenants.state}</th><th scope="col">{t.tenants.plan}</th><th scope="col" class="number">{t.tenants.storage}</th><th scope="col" class="number">{t.tenants.files}</th></tr>
                  </thead>
                  <tbody>
                    <For each={data().largest}>
                      {(tenant) => (
                        <tr>
                          <th scope="row"><a href={href(['tenants', tenant.id])}>{tenant.id}</a></th>
                          <td data-label={t.tenants.hostname} class="break">{tenant.hostname}</td>
                          <td data-label={t.tenants.state}><State of={tenant} /></td>
                          <td data-label={t.tenants.plan}>{tenant.plan_id ?? <span class="faint">{t.none}</span>}</td>
                          <td data-label={t.tenants.storage} class="number">{bytes(tenant.stats.storage_used)}</td>
                          <td data-label={t.tenants.files} class="number">{count(tenant.stats.files)}</td>
                        </tr>
                      )}
                    </For>
                  </tbody>
                </Table>
              </Card>
            </Show>
          </>
        )}
      </Await>
      <Show when={can('sites')}><FailingJobs /></Show>
      <Show when={can('cells')}><Cells /></Show>
      <Show when={can('webhooks:read')}><FailingWebhooks /></Show>
    </Page>
  )
}

const Tile = (props: { name: string; value: string }) => (
  <li class="tile">
    <span class="tile-value">{props.value}</span>
    <span class="tile-name">{props.name}</span>
  </li>
)

const Pairs = (props: { label: string; head: [string, string]; of: [string, string][] }) => (
  <Table label={props.label} class="bounded">
    <thead><tr><th scope="col">{props.head[0]}</th><th scope="col" class="number">{props.head[1]}</th></tr></thead>
    <tbody><For each={props.of}>{([name, value]) => <tr><th scope="row">{name}</th><td class="number">{value}</td></tr>}</For></tbody>
  </Table>
)

function FailingJobs() {
  const loaded = createLoad(() => true, async (_, signal) => {
    const { body, headers } = await get<Job[]>(`/jobs${query({ state: 'failed', limit: 10 })}`, signal)
    return { jobs: body, hasMore: nextOf(headers) !== undefined }
  })
  return (
    <Card title={t.overview.failingJobs} aside={<a href={href(['cells'])}>{t.overview.allJobs}</a>}>
      <Await of={loaded}>
        {(found) => (
          <Show when={found().jobs.length} fallback={<p class="faint">{t.overview.noFailingJobs}</p>}>
            <JobTable jobs={found().jobs} />
            <Show when={found().hasMore}><p class="faint">{t.overview.moreJobs}</p></Show>
          </Show>
        )}
      </Await>
    </Card>
  )
}

function Cells() {
  const loaded = createLoad(() => true, async (_, signal) => (await get<Cell[]>('/cells', signal)).body)
  return (
    <Card title={t.cells.title} aside={<a href={href(['cells'])}>{t.overview.allCells}</a>}>
      <Await of={loaded}>
        {(cells) => (
          <Show when={cells().length} fallback={<p class="faint">{t.cells.empty}</p>}>
            <Table label={t.cells.title} class="cards-on-phone">
              <thead><tr><th scope="col">{t.cells.id}</th><th scope="col">{t.tenants.state}</th><th scope="col" class="number">{t.cells.behind}</th><th scope="col" class="number">{t.cells.waiting}</th><th scope="col">{t.cells.lastSeen}</th></tr></thead>
              <tbody>
                <For each={[...cells()].sort((a, b) => b.behind - a.behind)}>
                  {(cell) => (
                    <tr>
                      <th scope="row">{cell.id}</th>
                      <td data-label={t.tenants.state}><CellState of={cell} /></td>
                      <td data-label={t.cells.behind} class="number">{cell.behind > 0 ? <Badge tone="warn">{count(cell.behind)}</Badge> : 0}</td>
                      <td data-label={t.cells.waiting} class="number">{count(cell.jobs_waiting)}</td>
                      <td data-label={t.cells.lastSeen}><Time of={cell.last_seen_at} /></td>
                    </tr>
                  )}
                </For>
              </tbody>
            </Table>
          </Show>
        )}
      </Await>
    </Card>
  )
}

function FailingWebhooks() {
  const loaded = createLoad(() => true, async (_, signal) => ({ list: await webhooks(signal) }))
  return (
    <Show when={loaded.problem() || loaded.data()?.list}>
      <Card title={t.overview.failingWebhooks} aside={<a href={href(['webhooks'])}>{t.overview.allWebhooks}</a>}>
        <Await of={loaded}>
          {(data) => {
            const failing = () => data().list?.filter(isFailing) ?? []
            return (
              <Show when={failing().length} fallback={<p class="faint">{t.overview.noFailingWebhooks}</p>}>
                <ul class="plain">
                  <For each={failing()}>{(webhook) => <li><WebhookState of={webhook} /> <a href={href(['webhooks', String(webhook.id)])}>{webhook.url}</a></li>}</For>
                </ul>
              </Show>
            )
          }}
        </Await>
      </Card>
    </Show>
  )
}
