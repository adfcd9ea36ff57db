// The table of tenants: pages, filters and search are the API's, so that it is as quick with many as with few.

import { For, Show, createMemo } from 'solid-js'
import { all, get, nextOf, query } from '../api/client'
import { can } from '../api/session'
import type { ListedTenant, Plan, Tenant } from '../api/types'
import { Empty, Page, ProblemBox, Table, Time, Loading } from '../parts/basics'
import { createFilter } from '../parts/filter'
import { bytes, count } from '../parts/format'
import { createLoad } from '../parts/load'
import { Pager } from '../parts/pager'
import { Site, State } from '../parts/tenant-state'
import { NEW, go, href, route } from '../router'
import { t } from '../texts'

const FIELDS = 'id,hostname,is_enabled,plan_id,served,holds,site,stats,created_at,updated_at'
const PAGE = 50

type Listed = Tenant & Pick<ListedTenant, 'deleted_at'>

interface Found {
  /** Whether these are the deleted ones. The address may ask for the others already. */
  areDeleted: boolean
  tenants: Listed[]
  next: string | undefined
  total: number | undefined
}

/** The parameters in the page's address, which are those of the API apart from `plan_id=-`: without a plan. */
const FILTERS = ['q', 'plan_id', 'is_enabled', 'label', 'sort', 'deleted'] as const

export function TenantsPage() {
  const value = (name: string) => route().query.get(name) ?? ''
  const filters = createMemo(() => Object.fromEntries(FILTERS.map((name) => [name, value(name)])) as Record<(typeof FILTERS)[number], string>, undefined, { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) })
  const after = () => value('after') || undefined

  const asked = createMemo(() => ({ ...filters(), after: after() }), undefined, { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) })
  const found = createLoad(asked, async (f, signal): Promise<Found> => {
    // The list of deleted tenants has its own order, and no filters.
    if (f.deleted) {
      const { body, headers } = await get<Listed[]>(`/tenants${query({ deleted: f.deleted, limit: PAGE, after: f.after })}`, signal)
      return { areDeleted: true, tenants: body, next: nextOf(headers), total: undefined }
    }
    const plan = f.plan_id === '-' ? { plan_id: [''] } : { plan_id: f.plan_id }
    const { body, headers } = await get<Listed[]>(`/tenants${query({ ...f, ...plan, deleted: undefined, fields: FIELDS, limit: PAGE, count: 'true' })}`, signal)
    const total = headers.get('X-Total-Count')
    return { areDeleted: false, tenants: body, next: nextOf(headers), total: total === null ? undefined : Number(total) }
  })
  const plans = createLoad(() => (can('plans:read') ? true : undefined), async (_, signal) => (await all<Plan>('/tenants-plans', {}, { signal })).map((plan) => plan.id))

  const isDeleted = () => value('deleted') === 'true'
  /** Those of the selection. If they could not be read, the one that is selected is among them all the same. */
  const planIds = () => [...new Set([...(plans.data() ?? []), value('plan_id')])].filter((id) => id !== '' && id !== '-')
  const change = (name: string, to: string) => go(['tenants'], { ...filters(), [name]: to })

  return (
    <Page
      title={isDeleted() ? t.tenants.deletedTitle : t.tenants.title}
      lead={<Show when={found.data()?.total !== undefined}>{t.tenants.total(count(found.data()!.total!))}</Show>}
      aside={
        <Show when={can('tenants:write')}>
          <a class="button primary" href={href(['tenants', NEW])}>{t.tenants.create}</a>
        </Show>
      }
    >
      <form class="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <Search value={value('q')} onInput={(text) => change('q', text)} isDisabled={isDeleted()} />
        <label>
          <span class="sr">{t.tenants.plan}</span>
          <select disabled={isDeleted()} onInput={(event) => change('plan_id', event.currentTarget.value)}>
            <option value="" selected={!value('plan_id')}>{t.tenants.anyPlan}</option>
            <option value="-" selected={value('plan_id') === '-'}>{t.tenants.noPlan}</option>
            <For each={planIds()}>{(id) => <option value={id} selected={value('plan_id') === id}>{id}</option>}</For>
          </select>
        </label>
        <label>
          <span class="sr">{t.tenants.state}</span>
          <select onInput={(event) => { const [name, to] = event.currentTarget.value.split('='); go(['tenants'], name === 'deleted' ? { deleted: to } : { ...filters(), deleted: '', is_enabled: '', ...(name ? { [name]: to } : {}) }) }}>
            <option value="" selected={!value('is_enabled') && !value('deleted')}>{t.tenants.anyState}</option>
            <option value="is_enabled=true" selected={value('is_enabled') === 'true'}>{t.state.enabled}</option>
            <option value="is_enabled=false" selected={value('is_enabled') === 'false'}>{t.state.disabled}</option>
            <option value="deleted=true" selected={value('deleted') === 'true'}>{t.state.deleted}</option>
          </select>
        </label>
        <Search value={value('label')} onInput={(text) => change('label', text)} label={t.tenants.label} placeholder={t.tenants.labelPlaceholder} class="narrow" isDisabled={isDeleted()} />
        <label>
          <span class="sr">{t.tenants.sort}</span>
          <select disabled={isDeleted()} onInput={(event) => change('sort', event.currentTarget.value)}>
            <For each={Object.entries(t.tenants.sorts)}>{([sort, text]) => <option value={sort} selected={value('sort') === sort}>{text}</option>}</For>
          </select>
        </label>
      </form>
      <ProblemBox problem={plans.problem()} onRetry={plans.reload} />
      <ProblemBox problem={found.problem()} onRetry={found.reload} />
      <Show when={found.data()} fallback={<Show when={!found.problem()}><Loading /></Show>}>
        {(data) => (
          <Show when={data().tenants.length > 0} fallback={<NoTenants isBusy={found.isLoading()} isFiltered={FILTERS.some((name) => name !== 'sort' && value(name))} />}>
            <Table label={t.tenants.title} isBusy={found.isLoading()} class="cards-on-phone">
              <thead>
                <tr>
                  <th scope="col">{t.tenants.id}</th>
                  <th scope="col">{t.tenants.hostname}</th>
                  <th scope="col">{t.tenants.state}</th>
                  <th scope="col">{t.tenants.site}</th>
                  <th scope="col">{t.tenants.plan}</th>
                  <th scope="col" class="number">{t.tenants.storage}</th>
                  <th scope="col" class="number">{t.tenants.files}</th>
                  <th scope="col">{data().areDeleted ? t.tenants.deletedAt : t.tenants.updated}</th>
                </tr>
              </thead>
              <tbody>
                <For each={data().tenants}>{(tenant) => <Row of={tenant} isDeleted={data().areDeleted} />}</For>
              </tbody>
            </Table>
          </Show>
        )}
      </Show>
      <Pager path={['tenants']} query={filters()} after={after()} of={found} />
    </Page>
  )
}

const Row = (props: { of: Listed; isDeleted: boolean }) => (
  <tr>
    <th scope="row">
      <a href={href(['tenants', props.of.id], props.isDeleted ? { deleted: 'true' } : {})} class="row-link">{props.of.id}</a>
    </th>
    <td data-label={t.tenants.hostname} class="break">{props.of.hostname}</td>
    <td data-label={t.tenants.state}><Show when={!props.isDeleted} fallback={t.state.deleted}><State of={props.of} /></Show></td>
    <td class="secondary" data-label={t.tenants.site}><Show when={props.of.site}><Site of={props.of} /></Show></td>
    <td data-label={t.tenants.plan}><Show when={props.of.plan_id} fallback={<span class="faint">{t.none}</span>}>{(id) => <Show when={can('plans:read')} fallback={id()}><a href={href(['plans', id()])}>{id()}</a></Show>}</Show></td>
    <td data-label={t.tenants.storage} class="number">{bytes(props.of.stats?.storage_used ?? 0)}</td>
    <td data-label={t.tenants.files} class="number secondary">{count(props.of.stats?.files ?? 0)}</td>
    <td class="secondary" data-label={t.tenants.updated}><Time of={props.of.deleted_at ?? props.of.updated_at} /></td>
  </tr>
)

const NoTenants = (props: { isFiltered: boolean; isBusy: boolean }) => (
  <Empty isBusy={props.isBusy} title={props.isFiltered ? t.tenants.nothingFound : t.tenants.empty}>
    <Show when={props.isFiltered} fallback={<p>{t.tenants.emptyHelp}</p>}>
      <a href={href(['tenants'])}>{t.tenants.clear}</a>
    </Show>
  </Empty>
)

/** An input that waits for a pause in the typing. */
function Search(props: { value: string; onInput: (text: string) => void; label?: string; placeholder?: string; class?: string; isDisabled: boolean }) {
  const filter = createFilter(() => props.value, (text) => props.onInput(text))
  return (
    <label class={`search ${props.class ?? ''}`} {...filter.around}>
      <span class="sr">{props.label ?? t.tenants.search}</span>
      <input type="search" value={filter.text()} disabled={props.isDisabled} placeholder={props.placeholder ?? t.tenants.searchPlaceholder} onInput={(event) => filter.type(event.currentTarget.value)} spellcheck={false} autocomplete="off" />
    </label>
  )
}
