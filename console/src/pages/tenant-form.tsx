// Creating and editing a tenant. An edit is made on the version that the form began with; if that has changed, both are shown.

import { Show, createSignal } from 'solid-js'
import { createStore } from 'solid-js/store'
import { all, get } from '../api/client'
import { can } from '../api/session'
import type { Cell, Plan, Tenant } from '../api/types'
import { Await, Button, Card, Page, ProblemBox } from '../parts/basics'
import { Conflict, differencesOf } from '../parts/conflict'
import { Check, Pairs, Select, TextInput, TimeInput } from '../parts/fields'
import { createLoad, ifAbsent } from '../parts/load'
import { type Pair, changes, isChanged, merged, pairsOf, valueOf } from '../parts/versions'
import { createWrite, refuseDoubled } from '../parts/write'
import { go, href } from '../router'
import { t } from '../texts'

interface Form {
  id: string
  hostname: string
  is_enabled: boolean
  plan_id: string
  cell_id: string
  external_id: string
  suspend_at: string
  delete_at: string
  deletion_protection: boolean
  labels: Pair[]
  limits: Pair[]
  env: Pair[]
}

const formOf = (tenant?: Tenant): Form => ({
  id: tenant?.id ?? '',
  hostname: tenant?.hostname ?? '',
  is_enabled: tenant?.is_enabled ?? true,
  plan_id: tenant?.plan_id ?? '',
  cell_id: tenant?.cell_id ?? '',
  external_id: tenant?.external_id ?? '',
  suspend_at: tenant?.suspend_at ?? '',
  delete_at: tenant?.delete_at ?? '',
  deletion_protection: tenant?.deletion_protection ?? false,
  labels: pairsOf(tenant?.labels),
  limits: pairsOf(tenant?.limits),
  env: pairsOf(tenant?.env),
})

const MEMBERS = ['hostname', 'is_enabled', 'plan_id', 'cell_id', 'external_id', 'suspend_at', 'delete_at', 'deletion_protection', 'labels', 'limits', 'env'] as const
type Member = (typeof MEMBERS)[number]

export function TenantForm(props: { id?: string }) {
  const id = props.id
  const loaded = createLoad(() => id ?? '', async (id, signal) => {
    if (!id) return { tenant: undefined, etag: undefined }
    const { body, etag } = await get<Tenant>(`/tenants/${encodeURIComponent(id)}`, signal)
    return { tenant: body, etag }
  })
  return (
    <Page title={id ? t.tenants.edit(id) : t.tenants.create} back={id ? { href: href(['tenants', id]), text: id } : { href: href(['tenants']), text: t.tenants.title }}>
      <Await of={loaded}>{(data) => <Fields tenant={data().tenant} etag={data().etag} />}</Await>
    </Page>
  )
}

function Fields(props: { tenant: Tenant | undefined; etag: string | undefined }) {
  // The form keeps what it began with: data that is loaded again does not write over what somebody types.
  const isNew = props.tenant === undefined
  const [base, setBase] = createSignal({ form: formOf(props.tenant), etag: props.etag })
  const [form, setForm] = createStore<Form>(formOf(props.tenant))
  const [theirs, setTheirs] = createSignal<{ tenant: Tenant; etag: string | undefined }>()
  const write = createWrite()
  const plans = createLoad(() => (can('plans:read') ? true : undefined), (_, signal) => all<Plan>('/tenants-plans', {}, { signal }))
  const cells = createLoad(() => (can('cells') ? true : undefined), (_, signal) => all<Cell>('/cells', {}, { signal }).catch(ifAbsent<Cell[]>([])))
  const has = (member: Member) => isNew || (props.tenant as object)[member as never] !== undefined
  const options = (ids: string[], now: string, none: string): [string, string][] => [['', none], ...[...new Set([...ids, ...(now ? [now] : [])])].map((id): [string, string] => [id, id])]

  async function create() {
    const body: Record<string, unknown> = { id: form.id, hostname: form.hostname, is_enabled: form.is_enabled }
    for (const member of MEMBERS) if (isChanged(formOf(), form, member)) body[member] = valueOf(form, member)
    const answer = await write.send<Tenant>('POST', '/tenants', { body, note: ({ body }) => t.tenants.created(body.id) })
    if (answer) go(['tenants', answer.body.id])
  }

  async function edit() {
    const path = `/tenants/${encodeURIComponent(form.id)}`
    const body = changes(MEMBERS, base().form, form)
    if (Object.keys(body).length === 0) return go(['tenants', form.id])
    if (await write.send('PATCH', path, { body, ifMatch: base().etag, note: t.saved })) return go(['tenants', form.id])
    if (write.problem()?.code !== 'precondition_failed') return
    const now = await write.present<Tenant>(path)
    if (now) setTheirs({ tenant: now.body, etag: now.etag })
  }

  const differences = () => {
    const other = theirs()
    return other ? differencesOf(MEMBERS, base().form, form, formOf(other.tenant)) : []
  }
  /** Goes on from their version, with what was changed here on top of it. */
  function merge() {
    const other = theirs()!
    const now = formOf(other.tenant)
    setForm(merged(MEMBERS, base().form, form, now))
    setBase({ form: now, etag: other.etag })
    setTheirs(undefined)
    write.clear()
  }
  function takeTheirs() {
    const other = theirs()!
    setForm(formOf(other.tenant))
    setBase({ form: formOf(other.tenant), etag: other.etag })
    setTheirs(undefined)
    write.clear()
  }

  return (
    <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); if (!refuseDoubled(write, MEMBERS, form)) void (isNew ? create() : edit()) }}>
      <Show when={write.problem()?.code !== 'precondition_failed'}>
        <ProblemBox problem={write.problem()} />
      </Show>
      <Card class="form-grid">
        <Show when={isNew}>
          <TextInput label={t.member.id} value={form.id} onInput={(text) => setForm('id', text)} error={write.at('/id')} help={t.tenants.idHelp} isRequired mono />
        </Show>
        <TextInput label={t.member.hostname} value={form.hostname} onInput={(text) => setForm('hostname', text)} error={write.at('/hostname')} isRequired mono />
        <Show when={can('plans:read')} fallback={<TextInput label={t.member.plan_id} value={form.plan_id} onInput={(text) => setForm('plan_id', text)} error={write.at('/plan_id')} />}>
          <div class="stack">
            <Select label={t.member.plan_id} value={form.plan_id} onInput={(text) => setForm('plan_id', text)} error={write.at('/plan_id')} options={options((plans.data() ?? []).map((plan) => plan.id), form.plan_id, t.none)} />
            <ProblemBox problem={plans.problem()} onRetry={plans.reload} />
          </div>
        </Show>
        <Show when={cells.data()?.length}>
          <Select label={t.member.cell_id} value={form.cell_id} onInput={(text) => setForm('cell_id', text)} error={write.at('/cell_id')} options={options(cells.data()!.map((cell) => cell.id), form.cell_id, isNew ? t.tenants.defaultCell : t.none)} />
        </Show>
        <ProblemBox problem={cells.problem()} onRetry={cells.reload} />
        <TextInput label={t.member.external_id} value={form.external_id} onInput={(text) => setForm('external_id', text)} error={write.at('/external_id')} help={t.tenants.externalHelp} />
        <Check label={t.member.is_enabled} value={form.is_enabled} onInput={(value) => setForm('is_enabled', value)} error={write.at('/is_enabled')} />
        <Show when={!isNew && has('deletion_protection')}>
          <Check label={t.member.deletion_protection} value={form.deletion_protection} onInput={(value) => setForm('deletion_protection', value)} error={write.at('/deletion_protection')} help={t.tenants.protectionHelp} />
        </Show>
        <Show when={!isNew && has('suspend_at')}>
          <TimeInput label={t.member.suspend_at} value={form.suspend_at} onInput={(text) => setForm('suspend_at', text)} error={write.at('/suspend_at')} />
          <TimeInput label={t.member.delete_at} value={form.delete_at} onInput={(text) => setForm('delete_at', text)} error={write.at('/delete_at')} />
        </Show>
      </Card>
      <Card>
        <div class="stack">
          <Pairs label={t.member.labels} pairs={form.labels} onInput={(pairs) => setForm('labels', pairs)} error={write.at('/labels')} help={t.tenants.labelsHelp} />
          <Pairs label={t.member.limits} pairs={form.limits} onInput={(pairs) => setForm('limits', pairs)} error={write.at('/limits')} namePlaceholder="CHEVERETO_…" help={t.tenants.limitsHelp} />
          <Pairs label={t.member.env} pairs={form.env} onInput={(pairs) => setForm('env', pairs)} error={write.at('/env')} namePlaceholder="CHEVERETO_…" help={t.tenants.envHelp} />
        </div>
      </Card>
      <footer class="actions end">
        <a class="button" href={isNew ? href(['tenants']) : href(['tenants', form.id])}>{t.cancel}</a>
        <Button type="submit" look="primary" isBusy={write.isRunning()}>{isNew ? t.tenants.create : t.save}</Button>
      </footer>
      <Conflict isOpen={theirs() !== undefined} differences={differences()} onMerge={merge} onTakeTheirs={takeTheirs} onClose={() => setTheirs(undefined)} />
    </form>
  )
}
