// One plan. Before an edit is saved, the page shows which tenants it reaches, and what changes for them.

import { For, Show, createSignal } from 'solid-js'
import { createStore } from 'solid-js/store'
import { all, get } from '../api/client'
import { can } from '../api/session'
import type { Plan, Settings, Tenant } from '../api/types'
import { Await, Badge, Button, Card, Fact, Facts, Page, ProblemBox, Table, Time } from '../parts/basics'
import { Conflict, differencesOf } from '../parts/conflict'
import { ActionDialog } from '../parts/dialog'
import { Pairs, TextInput } from '../parts/fields'
import { count } from '../parts/format'
import { createLoad } from '../parts/load'
import { type Pair, changes, isChanged, merged, pairsOf, textsOf, valueOf } from '../parts/versions'
import { type Write, createWrite, refuseDoubled } from '../parts/write'
import { go, href } from '../router'
import { t } from '../texts'
import { type Change, type Reach, reach } from './plan-reach'
import { tenantsOf } from './plans'

interface Form {
  id: string
  external_id: string
  labels: Pair[]
  limits: Pair[]
  env: Pair[]
}

const MEMBERS = ['external_id', 'labels', 'limits', 'env'] as const

const formOf = (plan?: Plan): Form => ({ id: plan?.id ?? '', external_id: plan?.external_id ?? '', labels: pairsOf(plan?.labels), limits: pairsOf(plan?.limits), env: pairsOf(plan?.env) })

export function PlanPage(props: { id?: string }) {
  const id = props.id
  const loaded = createLoad(() => id ?? '', async (id, signal) => {
    if (!id) return { plan: undefined, etag: undefined, tenants: undefined }
    const [{ body, etag }, tenants] = await Promise.all([get<Plan>(`/tenants-plans/${encodeURIComponent(id)}`, signal), can('tenants:read') ? tenantsOf(id, signal) : undefined])
    return { plan: body, etag, tenants }
  })
  return (
    <Page title={id ?? t.plans.create} back={{ href: href(['plans']), text: t.plans.title }}>
      <Await of={loaded}>
        {(data) => (
          <>
            <Show when={data().plan}>
              {(plan) => (
                <Card>
                  <Facts>
                    <Show when={data().tenants !== undefined}><Fact name={t.plans.tenants}><a href={href(['tenants'], { plan_id: plan().id })}>{count(data().tenants!)}</a></Fact></Show>
                    <Fact name={t.created}><Time of={plan().created_at} /></Fact>
                    <Fact name={t.tenants.updated}><Time of={plan().updated_at} /></Fact>
                  </Facts>
                </Card>
              )}
            </Show>
            <Editor plan={data().plan} etag={data().etag} tenants={data().tenants} onChange={loaded.reload} />
          </>
        )}
      </Await>
    </Page>
  )
}

function Editor(props: { plan: Plan | undefined; etag: string | undefined; tenants: number | undefined; onChange: () => void }) {
  const isNew = props.plan === undefined
  const [base, setBase] = createSignal({ plan: props.plan, form: formOf(props.plan), etag: props.etag })
  const [form, setForm] = createStore<Form>(formOf(props.plan))
  const [theirs, setTheirs] = createSignal<{ plan: Plan; etag: string | undefined }>()
  const [preview, setPreview] = createSignal(false)
  const [isDeleting, setDeleting] = createSignal(false)
  const write = createWrite()
  const removal = createWrite()
  const path = () => `/tenants-plans/${encodeURIComponent(form.id)}`
  const readOnly = () => !can('plans:write')
  const nothingChanged = () => Object.keys(changes(MEMBERS, base().form, form)).length === 0

  function submit() {
    // Enter submits a form with one input even if it has no button.
    if (readOnly()) return
    if (refuseDoubled(write, MEMBERS, form)) return
    if (isNew) void create()
    else setPreview(true)
  }
  async function create() {
    const body: Record<string, unknown> = { id: form.id }
    for (const member of MEMBERS) if (isChanged(formOf(), form, member)) body[member] = valueOf(form, member)
    const answer = await write.send<Plan>('POST', '/tenants-plans', { body, note: t.saved })
    if (answer) go(['plans', answer.body.id])
  }
  async function save() {
    const sent = { ...form }
    const answer = await write.send<Plan | undefined>('PATCH', path(), { body: changes(MEMBERS, base().form, form), ifMatch: base().etag, headers: { Prefer: 'return=representation' }, note: t.saved })
    setPreview(false)
    if (!answer) return showTheirs(write)
    // The API may have changed the plan without being able to show it (204). Then it is as it was sent.
    const plan = answer.body ?? { ...base().plan!, limits: textsOf(sent.limits), env: textsOf(sent.env) }
    const now = answer.body ? formOf(plan) : sent
    setBase({ plan, form: now, etag: answer.etag })
    // Somebody may have typed on, after closing the preview.
    setForm(merged(MEMBERS, sent, form, now))
    props.onChange()
  }
  async function remove() {
    if (await removal.send('DELETE', path(), { ifMatch: base().etag, note: t.plans.deleted(form.id) })) go(['plans'])
    else await showTheirs(removal)
  }
  /** If the write was refused since the plan is another by now, shows how it is. */
  async function showTheirs(refused: Write) {
    if (refused.problem()?.code !== 'precondition_failed') return
    const now = await refused.present<Plan>(path())
    if (!now) return
    setTheirs({ plan: now.body, etag: now.etag })
    props.onChange()
  }
  const differences = () => {
    const other = theirs()
    return other ? differencesOf(MEMBERS, base().form, form, formOf(other.plan)) : []
  }
  function goOn(keepMine: boolean) {
    const other = theirs()!
    const now = formOf(other.plan)
    setForm(keepMine ? merged(MEMBERS, base().form, form, now) : now)
    setBase({ plan: other.plan, form: now, etag: other.etag })
    setTheirs(undefined)
    write.clear()
    removal.clear()
  }

  return (
    <form class="stack" noValidate onSubmit={(event) => { event.preventDefault(); submit() }}>
      <Show when={write.problem()?.code !== 'precondition_failed'}><ProblemBox problem={write.problem()} /></Show>
      <Card>
        <div class="stack">
          <Show when={isNew}><TextInput label={t.plans.id} value={form.id} onInput={(value) => setForm('id', value)} error={write.at('/id')} help={t.plans.idHelp} isRequired mono /></Show>
          <TextInput label={t.member.external_id} value={form.external_id} onInput={(value) => setForm('external_id', value)} error={write.at('/external_id')} help={t.tenants.externalHelp} isReadOnly={readOnly()} />
          <Pairs label={t.member.limits} pairs={form.limits} onInput={(pairs) => setForm('limits', pairs)} error={write.at('/limits')} namePlaceholder="CHEVERETO_…" help={t.plans.limitsHelp} isReadOnly={readOnly()} />
          <Pairs label={t.member.env} pairs={form.env} onInput={(pairs) => setForm('env', pairs)} error={write.at('/env')} namePlaceholder="CHEVERETO_…" help={t.plans.envHelp} isReadOnly={readOnly()} />
          <Pairs label={t.member.labels} pairs={form.labels} onInput={(pairs) => setForm('labels', pairs)} error={write.at('/labels')} help={t.tenants.labelsHelp} isReadOnly={readOnly()} />
        </div>
      </Card>
      <Show when={!readOnly()}>
        <footer class="actions end">
          <Show when={!isNew}><Button look="danger" onClick={() => { props.onChange(); setDeleting(true) }}>{t.delete}</Button></Show>
          <span class="grow" />
          <Button type="submit" look="primary" isBusy={write.isRunning()} disabled={!isNew && nothingChanged()}>{isNew ? t.plans.create : t.plans.preview}</Button>
        </footer>
      </Show>
      <Show when={!isNew}>
        <ActionDialog title={t.plans.reachTitle(form.id)} isOpen={preview()} onClose={() => setPreview(false)} action={t.plans.apply} of={[write]} onSubmit={save} isWide>
          <Preview id={form.id} before={base().plan!} after={{ limits: textsOf(form.limits), env: textsOf(form.env) }} />
        </ActionDialog>
        <ActionDialog title={t.plans.deleteTitle(form.id)} isOpen={isDeleting() && !theirs()} onClose={() => setDeleting(false)} action={t.delete} isDangerous of={[removal]} onSubmit={remove} typed={form.id}>
          <p>{props.tenants === undefined ? t.plans.deleteUnseen : t.plans.deleteHelp(count(props.tenants))}</p>
        </ActionDialog>
      </Show>
      <Conflict isOpen={theirs() !== undefined} differences={differences()} onMerge={() => goOn(true)} onTakeTheirs={() => goOn(false)} onClose={() => setTheirs(undefined)} />
    </form>
  )
}

const SHOWN = 100

/** Which tenants an edit reaches, by their own settings and by the plan before and after it. */
function Preview(props: { id: string; before: Plan; after: Pick<Plan, 'limits' | 'env'> }) {
  const loaded = createLoad(() => (can('tenants:read') ? props.id : undefined), async (plan_id, signal, onPart: (found: Found) => void) => {
    let enforced: Set<string> | undefined
    const found = (tenants: Tenant[], isComplete: boolean): Found => ({ reach: reach(tenants, props.before, props.after, enforced), isComplete })
    const tenants = await all<Tenant>('/tenants', { plan_id, fields: 'id,hostname,limits,env' }, { signal, onPage: (soFar) => onPart(found(soFar, false)) })
    const first = tenants[0]
    if (first) {
      const { body } = await get<Settings>(`/tenants/${encodeURIComponent(first.id)}/settings`, signal)
      enforced = new Set(Object.entries(body).filter(([, setting]) => setting.source === 'enforced').map(([name]) => name))
    }
    return found(tenants, true)
  })
  return (
    <Show when={can('tenants:read')} fallback={<p>{t.plans.cannotSee}</p>}>
      <Await of={loaded}>{(found) => <Reached of={found()} />}</Await>
    </Show>
  )
}

interface Found {
  reach: Reach[]
  isComplete: boolean
}

function Reached(props: { of: Found }) {
  const reached = () => props.of.reach.filter((one) => one.changes.length > 0)
  return (
    <>
      <p role="status">
        <strong>{t.plans.reaches(count(reached().length), count(props.of.reach.length))}</strong> {props.of.isComplete ? '' : t.plans.counting}
      </p>
      <Show when={props.of.reach.length > reached().length && props.of.isComplete}><p class="help">{t.plans.keepOwn(count(props.of.reach.length - reached().length))}</p></Show>
      <Show when={reached().length > 0}>
        <Table label={t.plans.reachLabel} class="bounded cards-on-phone">
          <thead>
            <tr><th scope="col">{t.tenants.id}</th><th scope="col">{t.tenants.hostname}</th><th scope="col">{t.plans.changes}</th></tr>
          </thead>
          <tbody>
            <For each={reached().slice(0, SHOWN)}>
              {(one) => (
                <tr>
                  <th scope="row">{one.id}</th>
                  <td data-label={t.tenants.hostname} class="break">{one.hostname}</td>
                  <td data-label={t.plans.changes} class="break"><div><For each={one.changes}>{(change) => <ChangeLine of={change} />}</For></div></td>
                </tr>
              )}
            </For>
          </tbody>
        </Table>
        <Show when={reached().length > SHOWN}><p class="faint">{t.plans.andMore(count(reached().length - SHOWN))}</p></Show>
      </Show>
    </>
  )
}

const ChangeLine = (props: { of: Change }) => (
  <div class="change">
    <code>{props.of.name}</code> <Badge>{props.of.before ?? t.plans.unset}</Badge> <span aria-hidden="true">→</span><span class="sr">{t.plans.becomes}</span> <Badge tone="info">{props.of.after ?? t.plans.unset}</Badge>
  </div>
)
