// Webhooks: list, make, edit, test, delete, and what was delivered (docs/API.md §17, if this API has them).

import { For, Show, createSignal } from 'solid-js'
import { createStore } from 'solid-js/store'
import { Refused, get, nextOf, query } from '../api/client'
import { can } from '../api/session'
import type { Delivery, NewWebhook, Webhook, WebhookSecret, WebhookTest } from '../api/types'
import { Await, Badge, Button, Card, Copyable, Empty, Page, ProblemBox, Table, Time, note } from '../parts/basics'
import { changed } from '../parts/changes'
import { ActionDialog, Dialog } from '../parts/dialog'
import { Check, Select, TextInput } from '../parts/fields'
import { createLoad } from '../parts/load'
import { LocalPager, createPlace } from '../parts/pager'
import { createWrite } from '../parts/write'
import { href } from '../router'
import { t } from '../texts'

/** A delivery, or a test of one. */
type Attempt = Pick<Delivery, 'outcome' | 'status' | 'milliseconds' | 'answer'>

/** The webhooks, or undefined if the API has none. */
export async function webhooks(signal: AbortSignal): Promise<Webhook[] | undefined> {
  try {
    return (await get<Webhook[]>('/webhooks', signal)).body
  } catch (error) {
    if (error instanceof Refused && error.problem.status === 404) return undefined
    throw error
  }
}

export const isFailing = (webhook: Webhook) => !webhook.is_enabled || webhook.failing_since !== null

export const WebhookState = (props: { of: Webhook }) => (
  <span class="badges">
    <Badge tone={!props.of.is_enabled ? 'bad' : props.of.failing_since ? 'warn' : 'good'}>{!props.of.is_enabled ? t.state.disabled : props.of.failing_since ? t.webhooks.failing : t.state.enabled}</Badge>
    <Show when={props.of.behind > 0}><Badge tone="warn">{t.webhooks.behind(props.of.behind)}</Badge></Show>
  </span>
)

export function WebhooksPage(props: { id?: string | undefined }) {
  return <Show when={props.id} fallback={<List />}>{(id) => <Deliveries id={id()} />}</Show>
}

type Open = { kind: 'create' } | { kind: 'edit' | 'rotate' | 'delete'; webhook: Webhook } | undefined

function List() {
  const loaded = createLoad(() => true, async (_, signal) => ({ list: await webhooks(signal) }))
  const [open, setOpen] = createSignal<Open>()
  const [made, setMade] = createSignal<string>()
  const [tested, setTested] = createSignal<Attempt>()
  const write = createWrite()
  const done = (secret?: string) => {
    setOpen(undefined)
    if (secret) setMade(secret)
    loaded.reload()
  }
  async function test(webhook: Webhook) {
    const answer = await write.send<WebhookTest>('POST', `/webhooks/${encodeURIComponent(webhook.id)}/test`)
    if (!answer) return
    // Another dialog may be open by now, and somebody may type in it.
    if (open() || made()) note(t.webhooks.tested(webhook.url, t.webhooks.outcome[answer.body.outcome], answer.body.status))
    else setTested(answer.body)
  }
  const of = (kind: 'edit' | 'rotate' | 'delete') => { const now = open(); return now?.kind === kind ? now.webhook : undefined }
  return (
    <Page title={t.webhooks.title} lead={t.webhooks.lead} aside={<Show when={loaded.data()?.list && can('webhooks:write')}><Button look="primary" onClick={() => setOpen({ kind: 'create' })}>{t.webhooks.create}</Button></Show>}>
      <ProblemBox problem={write.problem()} />
      <Await of={loaded}>
        {(data) => (
          <Show when={data().list} fallback={<Empty title={t.webhooks.absent} />}>
            {(list) => (
              <Show when={list().length} fallback={<Empty title={t.webhooks.empty}><p>{t.webhooks.emptyHelp}</p></Empty>}>
                <Table label={t.webhooks.title} class="cards-on-phone">
                  <thead>
                    <tr>
                      <th scope="col">{t.webhooks.url}</th>
                      <th scope="col">{t.webhooks.types}</th>
                      <th scope="col">{t.tenants.state}</th>
                      <th scope="col">{t.created}</th>
                      <th scope="col"><span class="sr">{t.actions}</span></th>
                    </tr>
                  </thead>
                  <tbody>
                    <For each={list()}>
                      {(webhook) => (
                        <tr>
                          <th scope="row" class="break"><a href={href(['webhooks', String(webhook.id)])}>{webhook.url}</a><Show when={webhook.description}><div class="faint small">{webhook.description}</div></Show></th>
                          <td data-label={t.webhooks.types}><span class="badges"><For each={webhook.types} fallback={t.webhooks.all}>{(type) => <Badge>{type}</Badge>}</For></span></td>
                          <td data-label={t.tenants.state}><WebhookState of={webhook} /></td>
                          <td data-label={t.created}><Time of={webhook.created_at} /></td>
                          <td class="row-actions">
                            <Show when={can('webhooks:write')}>
                              <Button aria-label={`${t.webhooks.test} ${webhook.url}`} onClick={() => test(webhook)} isBusy={write.isRunning()}>{t.webhooks.test}</Button>
                              <Button aria-label={`${t.edit} ${webhook.url}`} onClick={() => setOpen({ kind: 'edit', webhook })}>{t.edit}</Button>
                              <Button aria-label={`${t.keys.rotate} ${webhook.url}`} onClick={() => setOpen({ kind: 'rotate', webhook })}>{t.keys.rotate}</Button>
                              <Button look="danger" aria-label={`${t.delete} ${webhook.url}`} onClick={() => setOpen({ kind: 'delete', webhook })}>{t.delete}</Button>
                            </Show>
                          </td>
                        </tr>
                      )}
                    </For>
                  </tbody>
                </Table>
              </Show>
            )}
          </Show>
        )}
      </Await>
      <Show when={open()?.kind === 'create'}><EditDialog onClose={() => setOpen(undefined)} onDone={done} /></Show>
      <Show when={of('edit')} keyed>{(webhook) => <EditDialog of={webhook} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
      <Show when={of('rotate')} keyed>{(webhook) => <RotateDialog of={webhook} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
      <Show when={of('delete')} keyed>{(webhook) => <DeleteDialog of={webhook} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
      <Show when={tested()}>
        {(attempt) => (
          <Dialog title={t.webhooks.testTitle} isOpen onClose={() => setTested(undefined)}>
            <div class="stack">
              <p><Outcome of={attempt()} /> {t.webhooks.took(attempt().milliseconds)}</p>
              <Show when={attempt().answer}>{(text) => <pre class="answer">{text()}</pre>}</Show>
              <footer class="actions"><Button look="primary" onClick={() => setTested(undefined)}>{t.done}</Button></footer>
            </div>
          </Dialog>
        )}
      </Show>
      <Show when={made()}>
        {(secret) => (
          <Dialog title={t.webhooks.madeTitle} isOpen onClose={() => setMade(undefined)}>
            <div class="stack">
              <p>{t.shownOnce}</p>
              <Copyable label={t.webhooks.secret} value={secret()} />
              <footer class="actions"><Button look="primary" onClick={() => setMade(undefined)}>{t.done}</Button></footer>
            </div>
          </Dialog>
        )}
      </Show>
    </Page>
  )
}

function EditDialog(props: { of?: Webhook; onClose: () => void; onDone: (secret?: string) => void }) {
  const write = createWrite()
  const webhook = props.of
  const wasOff = webhook ? !webhook.is_enabled : false
  const [form, setForm] = createStore({ url: webhook?.url ?? '', types: webhook?.types.join('\n') ?? '', description: webhook?.description ?? '', is_enabled: !wasOff, from: 'backlog' })
  const members = () => ({ url: form.url, types: form.types.split(/[\s,]+/).filter(Boolean), description: form.description || null, ...(webhook ? { is_enabled: form.is_enabled } : {}) })
  const was = members()
  async function save() {
    const changes = webhook && changed(was, members())
    if (webhook && !changes) return props.onClose()
    const answer = webhook
      ? await write.send<undefined>('PATCH', `/webhooks/${encodeURIComponent(webhook.id)}`, { body: { ...changes, ...(changes?.is_enabled ? { from: form.from } : {}) }, note: t.saved })
      : await write.send<NewWebhook>('POST', '/webhooks', { body: members(), lost: t.leftSecret(form.url) })
    if (answer) props.onDone(answer.body?.secret)
  }
  return (
    <ActionDialog title={webhook ? t.webhooks.editTitle : t.webhooks.create} isOpen onClose={props.onClose} action={webhook ? t.save : t.webhooks.create} of={[write]} onSubmit={save}>
      <TextInput label={t.webhooks.url} value={form.url} onInput={(text) => setForm('url', text)} error={write.at('/url')} placeholder="https://" isRequired mono />
      <TextInput label={t.webhooks.types} help={t.webhooks.typesHelp} value={form.types} onInput={(text) => setForm('types', text)} error={write.at('/types')} rows={3} />
      <TextInput label={t.webhooks.description} value={form.description} onInput={(text) => setForm('description', text)} error={write.at('/description')} />
      <Show when={webhook}>
        <Check label={t.state.enabled} value={form.is_enabled} onInput={(value) => setForm('is_enabled', value)} error={write.at('/is_enabled')} />
        <Show when={wasOff && form.is_enabled}><Select label={t.webhooks.from} value={form.from} onInput={(value) => setForm('from', value)} options={[['backlog', t.webhooks.backlog], ['now', t.webhooks.now]]} error={write.at('/from')} /></Show>
      </Show>
    </ActionDialog>
  )
}

function RotateDialog(props: { of: Webhook; onClose: () => void; onDone: (secret?: string) => void }) {
  const write = createWrite()
  const [overlap, setOverlap] = createSignal('3600')
  async function rotate() {
    const seconds = Number(overlap())
    const answer = await write.send<WebhookSecret>('POST', `/webhooks/${encodeURIComponent(props.of.id)}/rotate`, { body: { overlap_seconds: overlap().trim() !== '' && Number.isFinite(seconds) ? seconds : overlap() }, lost: t.leftSecret(props.of.url) })
    if (answer) props.onDone(answer.body.secret)
  }
  return (
    <ActionDialog title={t.webhooks.rotateTitle} isOpen onClose={props.onClose} action={t.keys.rotate} of={[write]} onSubmit={rotate}>
      <p><code class="break">{props.of.url}</code></p>
      <TextInput label={t.keys.overlap} help={t.keys.overlapHelp} value={overlap()} onInput={setOverlap} error={write.at('/overlap_seconds')} />
    </ActionDialog>
  )
}

const Outcome = (props: { of: Attempt }) => <Badge tone={props.of.outcome === 'accepted' ? 'good' : 'bad'}>{t.webhooks.outcome[props.of.outcome]} {props.of.status ?? ''}</Badge>

function DeleteDialog(props: { of: Webhook; onClose: () => void; onDone: () => void }) {
  const write = createWrite()
  async function remove() {
    if (await write.send('DELETE', `/webhooks/${encodeURIComponent(props.of.id)}`, { note: t.deletedNote(props.of.url) })) props.onDone()
  }
  return (
    <ActionDialog title={t.webhooks.deleteTitle} isOpen onClose={props.onClose} action={t.delete} isDangerous of={[write]} onSubmit={remove}>
      <p><code class="break">{props.of.url}</code></p>
      <p>{t.webhooks.deleteHelp}</p>
    </ActionDialog>
  )
}

function Deliveries(props: { id: string }) {
  const path = () => `/webhooks/${encodeURIComponent(props.id)}`
  const place = createPlace()
  const loaded = createLoad(() => ({ where: path(), after: place.after() }), async ({ where, after }, signal) => {
    const [webhook, deliveries] = await Promise.all([get<Webhook>(where, signal), get<Delivery[]>(`${where}/deliveries${query({ limit: 100, after })}`, signal)])
    return { webhook: webhook.body, deliveries: deliveries.body, next: nextOf(deliveries.headers) }
  })
  const write = createWrite()
  async function retry(event: string) {
    if (await write.send('POST', `${path()}/deliveries/${encodeURIComponent(event)}/retry`, { note: t.webhooks.retried })) loaded.reload()
  }
  return (
    <Page title={t.webhooks.deliveries} back={{ href: href(['webhooks']), text: t.webhooks.title }} lead={loaded.data()?.webhook.url}>
      <ProblemBox problem={write.problem()} />
      <Await of={loaded}>
        {(data) => (
          <Card>
            <Show when={data().deliveries.length} fallback={<Empty title={t.webhooks.noDeliveries} isBusy={loaded.isLoading()} />}>
              <Table label={t.webhooks.deliveries} isBusy={loaded.isLoading()} class="cards-on-phone">
                <thead>
                  <tr><th scope="col">{t.audit.time}</th><th scope="col">{t.webhooks.event}</th><th scope="col">{t.audit.subject}</th><th scope="col">{t.webhooks.status}</th><th scope="col" class="number">{t.webhooks.duration}</th><th scope="col">{t.webhooks.answer}</th><th scope="col"><span class="sr">{t.actions}</span></th></tr>
                </thead>
                <tbody>
                  <For each={data().deliveries}>
                    {(one) => (
                      <tr>
                        <th scope="row"><Time of={one.at} /></th>
                        <td data-label={t.webhooks.event}><code>{one.type}</code></td>
                        <td data-label={t.audit.subject}>{one.subject}</td>
                        <td data-label={t.webhooks.status}><Outcome of={one} /></td>
                        <td data-label={t.webhooks.duration} class="number">{one.milliseconds}</td>
                        <td data-label={t.webhooks.answer} class="break">{one.answer}</td>
                        <td class="row-actions"><Show when={can('webhooks:write')}><Button aria-label={`${t.webhooks.again} ${one.type} ${one.subject}`} onClick={() => retry(one.event)} isBusy={write.isRunning()}>{t.webhooks.again}</Button></Show></td>
                      </tr>
                    )}
                  </For>
                </tbody>
              </Table>
            </Show>
          </Card>
        )}
      </Await>
      <LocalPager place={place} next={loaded.problem() ? undefined : loaded.data()?.next} isLoading={loaded.isLoading()} />
    </Page>
  )
}
