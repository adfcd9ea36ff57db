// API keys: list, make, change, rotate, delete. A key and its signing secret are shown once.

import { For, Show, createSignal, onCleanup } from 'solid-js'
import { createStore } from 'solid-js/store'
import { get, hooks } from '../api/client'
import { can, leave, leaveLater, session, standing } from '../api/session'
import type { ApiKey, NewApiKey } from '../api/types'
import { Await, Badge, Button, Copyable, Page, ProblemBox, Table, Time } from '../parts/basics'
import { changed } from '../parts/changes'
import { ActionDialog, Dialog } from '../parts/dialog'
import { Check, TextInput, TimeInput } from '../parts/fields'
import { parsed } from '../parts/format'
import { createLoad } from '../parts/load'
import { createWrite } from '../parts/write'
import { visit } from '../router'
import { t } from '../texts'
import { Sessions } from './sessions'

const SCOPES = ['tenants:read', 'tenants:write', 'plans:read', 'plans:write', 'sites', 'traefik', 'keys', 'audit', 'events', 'webhooks:read', 'webhooks:write', 'cells', '*']

type Open = { kind: 'create' } | { kind: 'edit' | 'rotate' | 'delete'; key: ApiKey } | undefined

export function KeysPage() {
  const loaded = createLoad(() => true, async (_, signal) => (await get<ApiKey[]>('/keys', signal)).body)
  const [open, setOpen] = createSignal<Open>()
  const [made, setMade] = createSignal<NewApiKey>()
  const done = (key?: NewApiKey) => {
    setOpen(undefined)
    if (key) setMade(key)
    if (key && isOwn(key)) leaveLater()
    else loaded.reload()
  }
  const seen = () => {
    if (isOwn(made()!)) leave()
    else setMade(undefined)
  }
  // There is no session any more, so the next page asks to sign in.
  onCleanup(() => standing() === 'ending' && leave())
  return (
    <Page title={t.keys.title} aside={<Button look="primary" onClick={() => setOpen({ kind: 'create' })}>{t.keys.create}</Button>}>
      <Await of={loaded}>
        {(keys) => (
          <Table label={t.keys.title} class="cards-on-phone">
            <thead>
              <tr>
                <th scope="col">{t.keys.id}</th>
                <th scope="col">{t.keys.name}</th>
                <th scope="col">{t.keys.scopes}</th>
                <th scope="col">{t.created}</th>
                <th scope="col">{t.keys.used}</th>
                <th scope="col">{t.keys.expires}</th>
                <th scope="col"><span class="sr">{t.actions}</span></th>
              </tr>
            </thead>
            <tbody>
              <For each={keys()}>
                {(key) => (
                  <tr>
                    <th scope="row" class="number-id">{key.id}</th>
                    <td data-label={t.keys.name}>
                      <span>{key.name ?? <span class="faint">{t.none}</span>} <Show when={key.bound}><Badge tone="info">{t.keys.bound}</Badge></Show> <Show when={isOwn(key)}><Badge tone="good">{t.keys.yours}</Badge></Show></span>
                    </td>
                    <td data-label={t.keys.scopes}><span class="badges"><For each={key.scopes}>{(scope) => <Badge tone={scope === '*' ? 'warn' : 'plain'}>{scope}</Badge>}</For></span></td>
                    <td data-label={t.created}><Time of={key.created_at} /></td>
                    <td data-label={t.keys.used}>{isThisHour(key.last_used_at) ? t.keys.thisHour : <Time of={key.last_used_at} />}</td>
                    <td data-label={t.keys.expires}><Time of={key.expires_at} /></td>
                    <td class="row-actions">
                      <Button aria-label={`${t.edit} ${t.keyNumber(key.id)}`} onClick={() => setOpen({ kind: 'edit', key })}>{t.edit}</Button>
                      <Button aria-label={`${t.keys.rotate} ${t.keyNumber(key.id)}`} onClick={() => setOpen({ kind: 'rotate', key })}>{t.keys.rotate}</Button>
                      <Button look="danger" aria-label={`${t.delete} ${t.keyNumber(key.id)}`} onClick={() => setOpen({ kind: 'delete', key })}>{t.delete}</Button>
                    </td>
                  </tr>
                )}
              </For>
            </tbody>
          </Table>
        )}
      </Await>
      <Sessions />
      <Show when={open()?.kind === 'create'}><CreateDialog onClose={() => setOpen(undefined)} onDone={done} /></Show>
      <Show when={of(open(), 'edit')} keyed>{(key) => <EditDialog of={key} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
      <Show when={of(open(), 'rotate')} keyed>{(key) => <RotateDialog of={key} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
      <Show when={of(open(), 'delete')} keyed>{(key) => <DeleteDialog of={key} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
      <Show when={made()}>
        {(key) => (
          <Dialog title={t.keys.madeTitle(key().id)} isOpen onClose={seen}>
            <div class="stack">
              <p>{t.shownOnce}</p>
              <Show when={isOwn(key())}><p>{t.keys.madeOwn}</p></Show>
              <Copyable label={t.keys.apiKey} value={key().api_key} />
              <Show when={key().signing_secret}>{(secret) => <Copyable label={t.keys.signingSecret} value={secret()} />}</Show>
              <footer class="actions"><Button look="primary" onClick={seen}>{t.done}</Button></footer>
            </div>
          </Dialog>
        )}
      </Show>
    </Page>
  )
}

/** The API knows the last use to the hour. */
const isThisHour = (time: string | null) => time !== null && Date.now() - parsed(time).getTime() < 3_600_000

/** A rotation of the session's own key ends the session: the new secret is what one signs in with. */
const isOwn = (key: { id: number }) => key.id === session()?.key.id

const of = (open: Open, kind: 'edit' | 'rotate' | 'delete') => (open?.kind === kind ? open.key : undefined)

interface DialogProps {
  onClose: () => void
  onDone: (key?: NewApiKey) => void
}

function CreateDialog(props: DialogProps) {
  const write = createWrite()
  const [form, setForm] = createStore({ name: '', expires_at: '', bound: true, scopes: [] as string[], cell: '' })
  const toggle = (scope: string, isOn: boolean) => setForm('scopes', isOn ? [...form.scopes, scope] : form.scopes.filter((one) => one !== scope))
  async function create() {
    const scopes = [...form.scopes, ...(form.cell ? [`cell:${form.cell}`] : [])]
    const answer = await write.send<NewApiKey>('POST', '/keys', { body: { name: form.name || null, scopes, expires_at: form.expires_at || null, bound: form.bound }, lost: ({ body }) => t.leftSecret(t.keyNumber(body.id)) })
    if (answer) props.onDone(answer.body)
  }
  return (
    <ActionDialog title={t.keys.create} isOpen onClose={props.onClose} action={t.keys.create} of={[write]} onSubmit={create}>
      <TextInput label={t.keys.name} value={form.name} onInput={(text) => setForm('name', text)} error={write.at('/name')} />
      <fieldset class="field" aria-describedby="key-scopes-error">
        <legend>{t.keys.scopes}</legend>
        <div class="check-grid">
          <For each={SCOPES.filter((scope) => can(scope))}>{(scope) => <Check label={t.scope[scope] ?? scope} value={form.scopes.includes(scope)} onInput={(isOn) => toggle(scope, isOn)} />}</For>
        </div>
        <div id="key-scopes-error" class="error">{write.at('/scopes')}</div>
      </fieldset>
      <Show when={can('cells')}><TextInput label={t.keys.cell} help={t.keys.cellHelp} value={form.cell} onInput={(text) => setForm('cell', text)} mono /></Show>
      <TimeInput label={t.keys.expires} value={form.expires_at} onInput={(text) => setForm('expires_at', text)} error={write.at('/expires_at')} />
      <Check label={t.keys.boundLabel} help={t.keys.boundHelp} value={form.bound} onInput={(value) => setForm('bound', value)} error={write.at('/bound')} />
    </ActionDialog>
  )
}

function EditDialog(props: DialogProps & { of: ApiKey }) {
  const write = createWrite()
  const [form, setForm] = createStore({ name: props.of.name ?? '', expires_at: props.of.expires_at ?? '' })
  const members = () => ({ name: form.name || null, expires_at: form.expires_at || null })
  const was = members()
  async function edit() {
    const body = changed(was, members())
    if (!body) return props.onClose()
    if (await write.send('PATCH', `/keys/${props.of.id}`, { body, note: t.saved })) props.onDone()
  }
  return (
    <ActionDialog title={t.keys.editTitle(props.of.id)} isOpen onClose={props.onClose} action={t.save} of={[write]} onSubmit={edit}>
      <TextInput label={t.keys.name} value={form.name} onInput={(text) => setForm('name', text)} error={write.at('/name')} />
      <TimeInput label={t.keys.expires} value={form.expires_at} onInput={(text) => setForm('expires_at', text)} error={write.at('/expires_at')} />
    </ActionDialog>
  )
}

function RotateDialog(props: DialogProps & { of: ApiKey }) {
  const write = createWrite()
  const [overlap, setOverlap] = createSignal('3600')
  const isItsOwn = isOwn(props.of)
  async function rotate() {
    const seconds = Number(overlap())
    const began = visit()
    const answer = await write.send<NewApiKey>('POST', `/keys/${props.of.id}/rotate`, { body: { overlap_seconds: overlap().trim() !== '' && Number.isFinite(seconds) ? seconds : overlap() }, endsSession: isItsOwn, lost: t.leftSecret(t.keyNumber(props.of.id)) })
    if (answer) props.onDone(answer.body)
    else if (isLost() && visit() === began) leaveLater()
    // Nothing of this dialog is on the page that somebody is on now.
    else if (isLost()) hooks.ended()
  }
  // The answer to the request that ended the session may be lost, and asking again is refused.
  const isLost = () => isItsOwn && write.problem()?.status === 401
  return (
    <Show
      when={isLost()}
      fallback={
        <ActionDialog title={t.keys.rotateTitle(props.of.id)} isOpen onClose={props.onClose} action={t.keys.rotate} of={[write]} onSubmit={rotate}>
          <p>{t.keys.rotateHelp}</p>
          <Show when={isItsOwn}><p class="banner warn">{t.keys.rotateOwn}</p></Show>
          <TextInput label={t.keys.overlap} help={t.keys.overlapHelp} value={overlap()} onInput={setOverlap} error={write.at('/overlap_seconds')} />
        </ActionDialog>
      }
    >
      <Dialog title={t.keys.rotateTitle(props.of.id)} isOpen onClose={leave}>
        <div class="stack">
          <ProblemBox problem={{ ...write.problem()!, ...t.keys.rotateLost }} />
          <footer class="actions"><Button look="primary" onClick={leave}>{t.done}</Button></footer>
        </div>
      </Dialog>
    </Show>
  )
}

function DeleteDialog(props: DialogProps & { of: ApiKey }) {
  const write = createWrite()
  async function remove() {
    if (await write.send('DELETE', `/keys/${props.of.id}`, { note: t.keys.deleted(props.of.id) })) props.onDone()
  }
  return (
    <ActionDialog title={t.keys.deleteTitle(props.of.id)} isOpen onClose={props.onClose} action={t.delete} isDangerous of={[write]} onSubmit={remove} typed={String(props.of.id)}>
      <p>{t.keys.deleteHelp}</p>
    </ActionDialog>
  )
}
