// The dialogs of a tenant's page: hold, install, reset a password, delete.

import { Show, createEffect, createSignal, on } from 'solid-js'
import { createStore } from 'solid-js/store'
import { can } from '../api/session'
import type { Job, PasswordReset, Tenant } from '../api/types'
import { Button, Copyable, ProblemBox, note } from '../parts/basics'
import { Conflict, type Difference } from '../parts/conflict'
import { ActionDialog, Dialog } from '../parts/dialog'
import { Check, Select, TextInput, TimeInput } from '../parts/fields'
import { HOLDS, type HoldKind } from '../parts/tenant-state'
import { merged } from '../parts/versions'
import { createWrite } from '../parts/write'
import { go, visit } from '../router'
import { t } from '../texts'

interface Common {
  tenant: Tenant
  isOpen: boolean
  onClose: () => void
}

const pathOf = (tenant: Tenant) => `/tenants/${encodeURIComponent(tenant.id)}`

type Hold = NonNullable<Tenant['holds'][HoldKind]>

const sameHold = (a: Hold | undefined, b: Hold | undefined) => a?.reason === b?.reason && a?.message === b?.message && a?.until === b?.until

const MEMBERS = ['reason', 'message', 'until'] as const
const formOf = (hold: Hold | undefined) => ({ reason: hold?.reason ?? '', message: hold?.message ?? '', until: hold?.until ?? '' })

export function HoldDialog(props: Common & { etag: string | undefined; kind: HoldKind; onKind: (kind: HoldKind) => void; onDone: (etag: string | undefined) => void }) {
  const write = createWrite()
  const [form, setForm] = createStore(formOf(undefined))
  const fill = (hold: Hold | undefined) => setForm(formOf(hold))
  // The version that the dialog began with, and the one of somebody else.
  let base: { hold: Hold | undefined; etag: string | undefined } = { hold: undefined, etag: undefined }
  let filled: Hold | undefined
  const [theirs, setTheirs] = createSignal<typeof base>()
  createEffect(on(() => props.isOpen && props.kind, (kind) => {
    if (!kind) return
    base = { hold: props.tenant.holds[kind], etag: props.etag }
    // Typed text goes along to another kind, but not the text of another hold.
    if (base.hold) fill(base.hold)
    else if (filled) fill(undefined)
    filled = base.hold
  }))
  const mine = (): Hold => ({ reason: form.reason, message: form.message || null, until: form.until || null })
  // The kind and the texts are those that were submitted: others may be there by the time of the answer.
  async function put(kind = props.kind, body = mine(), isSecond = false): Promise<void> {
    const began = visit()
    const answer = await write.send('PUT', `${pathOf(props.tenant)}/holds/${kind}`, { body, ifMatch: base.etag, note: t.tenant.held })
    if (answer) {
      fill(undefined)
      props.onDone(answer.etag)
    } else if (visit() === began && write.problem()?.code === 'precondition_failed') {
      const now = await write.present<Tenant>(pathOf(props.tenant))
      if (!now || kind !== props.kind) return
      const found = { hold: now.body.holds[kind], etag: now.etag }
      if (!sameHold(found.hold, base.hold)) return void setTheirs(found)
      // Something else of the tenant has changed: nobody has touched this hold.
      base = found
      if (!isSecond) return put(kind, body, true)
    }
  }
  const differences = (): Difference[] =>
    MEMBERS
      .map((member) => ({ name: t.tenant[member], was: base.hold?.[member], mine: mine()[member], theirs: theirs()?.hold?.[member] }))
      .filter((one) => (one.mine ?? null) !== (one.theirs ?? null))
  function goOn(isMine: boolean) {
    const other = theirs()!
    if (!isMine) fill(other.hold)
    // A hold that both have changed keeps what only they have changed. One that is new, or that they have lifted, is wholly one's own.
    else if (base.hold && other.hold) setForm(merged(MEMBERS, formOf(base.hold), form, formOf(other.hold)))
    base = other
    write.clear()
    setTheirs(undefined)
  }
  return (
    <>
      <ActionDialog title={t.tenant.holdTitle(props.tenant.id)} isOpen={props.isOpen && !theirs()} onClose={props.onClose} action={t.tenant.putHold} of={[write]} onSubmit={() => put()}>
        <Select label={t.tenant.kind} value={props.kind} onInput={(kind) => props.onKind(kind as HoldKind)} options={HOLDS.map((kind) => [kind, t.hold[kind]])} error={write.at('/kind')} />
        <TextInput label={t.tenant.reason} help={t.tenant.reasonHelp} value={form.reason} onInput={(text) => setForm('reason', text)} error={write.at('/reason')} isRequired />
        <TextInput label={t.tenant.message} help={t.tenant.messageHelp} value={form.message} onInput={(text) => setForm('message', text)} error={write.at('/message')} rows={2} />
        <TimeInput label={t.tenant.until} value={form.until} onInput={(text) => setForm('until', text)} error={write.at('/until')} />
      </ActionDialog>
      <Conflict isOpen={props.isOpen && theirs() !== undefined} differences={differences()} onMerge={() => goOn(true)} onTakeTheirs={() => goOn(false)} onClose={() => goOn(true)} />
    </>
  )
}

export function InstallDialog(props: Common & { onDone: () => void }) {
  const write = createWrite()
  const [form, setForm] = createStore({ username: '', email: '', password: '' })
  async function install() {
    const answer = await write.send('POST', `${pathOf(props.tenant)}/install`, { body: { ...form }, headers: { Prefer: 'wait=20' }, note: ({ status }) => (status === 202 ? t.tenant.installing : t.tenant.installed) })
    if (!answer) return
    setForm({ username: '', email: '', password: '' })
    props.onDone()
  }
  return (
    <ActionDialog title={t.tenant.installTitle(props.tenant.id)} isOpen={props.isOpen} onClose={props.onClose} action={t.tenant.install} of={[write]} onSubmit={install}>
      <p class="help">{t.tenant.installHelp}</p>
      <TextInput label={t.tenant.username} value={form.username} onInput={(text) => setForm('username', text)} error={write.at('/username')} isRequired />
      <TextInput label={t.tenant.email} type="email" value={form.email} onInput={(text) => setForm('email', text)} error={write.at('/email')} isRequired />
      <TextInput label={t.tenant.password} type="password" autocomplete="new-password" value={form.password} onInput={(text) => setForm('password', text)} error={write.at('/password')} isRequired />
    </ActionDialog>
  )
}

/** Resets a password, and shows the new one once. */
export function ResetDialog(props: Common) {
  const write = createWrite()
  const [username, setUsername] = createSignal('')
  const [made, setMade] = createSignal<PasswordReset>()
  const [job, setJob] = createSignal<Job>()
  async function reset() {
    const answer = await write.send<PasswordReset | Job>('PATCH', `${pathOf(props.tenant)}/user-password-reset`, { body: { username: username() }, headers: { Prefer: 'wait=20' }, note: ({ status }) => (status === 202 ? t.tenant.resetting : t.tenant.resetDone), lost: t.tenant.resetLost })
    if (!answer) return
    if (answer.status === 202) setJob(answer.body as Job)
    else setMade(answer.body as PasswordReset)
  }
  async function look() {
    const answer = await write.send<Job>('GET', `/jobs/${encodeURIComponent(job()!.id)}`)
    if (!answer) return
    if (answer.body.result) setMade(answer.body.result)
    else setJob(answer.body)
  }
  const close = () => {
    if (write.isRunning()) return
    // The job goes on, and no other page of the console shows its new password.
    if (!made() && ['waiting', 'running'].includes(job()?.state ?? '')) note(t.tenant.resetClosed)
    setMade(undefined)
    setJob(undefined)
    setUsername('')
    write.clear()
    props.onClose()
  }
  return (
    <Show
      when={made() || job()}
      fallback={
        <ActionDialog title={t.tenant.resetTitle(props.tenant.id)} isOpen={props.isOpen} onClose={close} action={t.tenant.resetAction} of={[write]} onSubmit={reset}>
          <p class="help">{t.tenant.resetHelp}</p>
          <TextInput label={t.tenant.username} value={username()} onInput={setUsername} error={write.at('/username')} isRequired />
        </ActionDialog>
      }
    >
      <Dialog title={t.tenant.resetTitle(props.tenant.id)} isOpen={props.isOpen} onClose={close}>
        <div class="stack">
          <Show
            when={made()}
            fallback={
              <>
                <p>{t.tenant.jobState(t.jobState[job()!.state])}</p>
                <Show when={job()!.error}>{(error) => <p>{error()}</p>}</Show>
                <ProblemBox problem={write.problem()} />
                <Button onClick={look} isBusy={write.isRunning()}>{t.tenant.lookAgain}</Button>
              </>
            }
          >
            {(result) => (
              <>
                <p>{t.shownOnce}</p>
                <Copyable label={t.tenant.username} value={result().username} />
                <Copyable label={t.tenant.password} value={result().password ?? ''} />
              </>
            )}
          </Show>
          <footer class="actions"><Button look="primary" onClick={close}>{t.done}</Button></footer>
        </div>
      </Dialog>
    </Show>
  )
}

export function DeleteDialog(props: Common & { etag: string | undefined; onStale: () => void }) {
  const write = createWrite()
  const [drop, setDrop] = createSignal(false)
  async function remove() {
    if (await write.send('DELETE', pathOf(props.tenant), { body: { drop_tables: drop() }, ifMatch: props.etag, note: ({ status }) => (status === 202 ? t.tenant.dropping : t.tenant.deleted)(props.tenant.id) })) go(['tenants'])
    else if (write.problem()?.code === 'precondition_failed') props.onStale()
  }
  return (
    <ActionDialog title={t.tenant.deleteTitle(props.tenant.id)} isOpen={props.isOpen} onClose={props.onClose} action={t.delete} isDangerous of={[write]} onSubmit={remove} typed={props.tenant.id}>
      <p>{t.tenant.deleteHelp}</p>
      <Show when={can('sites')}>
        <Check label={t.tenant.dropTables} help={t.tenant.dropHelp} value={drop()} onInput={setDrop} error={write.at('/drop_tables')} />
      </Show>
    </ActionDialog>
  )
}
