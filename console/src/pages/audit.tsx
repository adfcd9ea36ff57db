// The audit log, by the API's filters and pages.

import { For, Show, createMemo } from 'solid-js'
import { get, nextOf, query } from '../api/client'
import { can } from '../api/session'
import type { AuditEntry } from '../api/types'
import { Empty, Loading, Page, ProblemBox, Table, Time } from '../parts/basics'
import { Select, TextInput } from '../parts/fields'
import { createFilter } from '../parts/filter'
import { written } from '../parts/format'
import { createLoad } from '../parts/load'
import { Pager } from '../parts/pager'
import { go, href, route } from '../router'
import { t } from '../texts'

const FILTERS = ['days', 'subject_type', 'subject', 'action', 'key_id'] as const
type Filters = Record<(typeof FILTERS)[number], string>

export function AuditPage() {
  const value = (name: string) => route().query.get(name) ?? ''
  const filters = createMemo(() => Object.fromEntries(FILTERS.map((name) => [name, value(name)])) as Filters, undefined, { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) })
  const after = () => value('after') || undefined
  const loaded = createLoad(() => ({ ...filters(), after: after() }), async ({ days, ...f }, signal) => {
    // The log is read from its oldest entry: by default the last week.
    const since = days === 'all' ? undefined : written(new Date(Date.now() - Number(days || 7) * 86_400_000))
    const { body, headers } = await get<AuditEntry[]>(`/audit${query({ ...f, since, limit: 100 })}`, signal)
    return { entries: body, next: nextOf(headers) }
  })
  const change = (name: string, to: string) => go(['audit'], { ...filters(), [name]: to }, { replace: true })
  return (
    <Page title={t.audit.title} lead={t.audit.lead}>
      <form class="filters wide-fields" onSubmit={(event) => event.preventDefault()}>
        <Select label={t.audit.since} value={value('days')} onInput={(to) => change('days', to)} options={[['', t.audit.week], ['1', t.audit.day], ['30', t.audit.month], ['all', t.audit.ever]]} />
        <Select label={t.audit.subjectType} value={value('subject_type')} onInput={(to) => change('subject_type', to)} options={[['', t.audit.any], ...['tenant', 'plan', 'api_key', 'cell', 'job', 'webhook', 'session'].map((type): [string, string] => [type, type])]} />
        <Lazy label={t.audit.subject} value={value('subject')} onInput={(to) => change('subject', to)} />
        <Lazy label={t.audit.action} value={value('action')} onInput={(to) => change('action', to)} placeholder="tenant.create" />
        <Lazy label={t.audit.key} value={value('key_id')} onInput={(to) => change('key_id', to)} />
      </form>
      <ProblemBox problem={loaded.problem()} onRetry={loaded.reload} />
      <Show when={loaded.data()} fallback={<Show when={!loaded.problem()}><Loading /></Show>}>
        {(data) => (
          <Show when={data().entries.length} fallback={<Empty title={t.audit.empty} isBusy={loaded.isLoading()} />}>
            <Table label={t.audit.title} isBusy={loaded.isLoading()} class="cards-on-phone">
              <thead>
                <tr>
                  <th scope="col">{t.audit.time}</th>
                  <th scope="col">{t.audit.action}</th>
                  <th scope="col">{t.audit.subject}</th>
                  <th scope="col">{t.audit.members}</th>
                  <th scope="col">{t.audit.who}</th>
                  <th scope="col">{t.audit.requestId}</th>
                </tr>
              </thead>
              <tbody>
                <For each={data().entries}>{(entry) => <Row of={entry} />}</For>
              </tbody>
            </Table>
          </Show>
        )}
      </Show>
      <Pager path={['audit']} query={filters()} after={after()} of={loaded} />
    </Page>
  )
}

function Row(props: { of: AuditEntry }) {
  const isLink = () => (props.of.subject_type === 'tenant' && can('tenants:read') ? 'tenants' : props.of.subject_type === 'plan' && can('plans:read') ? 'plans' : undefined)
  return (
    <tr>
      <th scope="row"><Time of={props.of.created_at} /></th>
      <td data-label={t.audit.action}><code>{props.of.action}</code></td>
      <td data-label={t.audit.subject} class="break"><Show when={isLink()} fallback={props.of.subject}>{(place) => <a href={href([place(), props.of.subject])}>{props.of.subject}</a>}</Show></td>
      <td data-label={t.audit.members}>{props.of.changed?.join(', ') || <span class="faint">{t.none}</span>}</td>
      <td data-label={t.audit.who}><span><span class="nowrap">{props.of.key_id === null ? t.audit.operator : t.keyNumber(props.of.key_id)}</span><Show when={props.of.session_id}>{(id) => <span class="faint"> · {t.audit.session(id())}</span>}</Show></span></td>
      <td data-label={t.audit.requestId} class="break faint small"><code>{props.of.request_id}</code></td>
    </tr>
  )
}

/** A text whose filter is applied after a pause in the typing. */
function Lazy(props: { label: string; value: string; onInput: (text: string) => void; placeholder?: string }) {
  const filter = createFilter(() => props.value, (text) => props.onInput(text))
  return (
    <div {...filter.around}>
      <TextInput label={props.label} value={filter.text()} onInput={filter.type} placeholder={props.placeholder ?? ''} />
    </div>
  )
}
