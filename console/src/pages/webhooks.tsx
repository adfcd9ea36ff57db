// Webhooks: list, make, edit, test, delete, and what was delivered (docs/API.md §17, if this API has them).

import { For, Show, createSignal } from 'solid-js'
import { createStore } from 'solid-js/store'
import { Refused, get, query } from '../api/client'
import { Await, Badge, Button, Card, Copyable, Empty, Page, ProblemBox, Table, Time, note } from '../parts/basics'
import { ActionDialog, Dialog } from '../parts/dialog'
import { Check, Select, TextInput } from '../parts/fields'
import { createLoad } from '../parts/load'
import { createWrite } from '../parts/write'
import { href } from '../router'
import { t } from '../texts'

export interface Webhook {
  id: string | number
  url: string
  types: string[] | null
  description?: string | null
  is_enabled?: boolean
  disabled_at?: string | null
  failing_since?: string | null
  behind?: number
  created_at?: string
  secret?: string
}

interface Delivery {
  event: string
  type?: string
  state?: string
  attempted_at?: string
  created_at?: string
  status?: number | null
  milliseconds?: number | null
  response?: string | null
  error?: string | null
}

/** The webhooks, or undefined if the API has none. */
export async function webhooks(signal: AbortSignal): Promise<Webhook[] | undefined> {
  try {
    return (await get<Webhook[]>('/webhooks', signal)).body
  } catch (error) {
    if (error instanceof Refused && error.problem.status === 404) return undefined
    throw error
  }
}

export const isOff = (webhook: Webhook) => webhook.is_enabled === false || Boolean(webhook.disabled_at)
export const isFailing = (webhook: Webhook) => isOff(webhook) || Boolean(webhook.failing_since)

export const WebhookState = (props: { of: Webhook }) => (
  <Badge tone={isOff(props.of) ? 'bad' : props.of.failing_since ? 'warn' : 'good'}>{isOff(props.of) ? t.state.disabled : props.of.failing_since ? t.webhooks.failing : t.state.enabled}</Badge>
)

export function WebhooksPage(props: { id?: string | undefined }) {
  return <Show when={props.id} fallback={<List />}>{(id) => <Deliveries id={id()} />}</Show>
}

type Open = { kind: 'create' } | { kind: 'edit' | 'delete'; webhook: Webhook } | undefined

function List() {
  const loaded = createLoad(() => true, async (_, signal) => ({ list: await webhooks(signal) }))
  const [open, setOpen] = createSignal<Open>()
  const [made, setMade] = createSignal<string>()
  const write = createWrite()
  const done = (secret?: string) => {
    setOpen(undefined)
    setMade(secret)
    loaded.reload()
  }
  async function test(webhook: Webhook) {
    if (await write.send('POST', `/webhooks/${encodeURIComponent(webhook.id)}/test`)) note(t.webhooks.tested)
  }
  const of = (kind: 'edit' | 'delete') => { const now = open(); return now?.kind === kind ? now.webhook : undefined }
  return (
    <Page title={t.webhooks.title} lead={t.webhooks.lead} aside={<Show when={loaded.data()?.list}><Button look="primary" onClick={() => setOpen({ kind: 'create' })}>{t.webhooks.create}</Button></Show>}>
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
                          <td data-label={t.webhooks.types}><span class="badges"><For each={webhook.types ?? []} fallback={t.webhooks.all}>{(type) => <Badge>{type}</Badge>}</For></span></td>
                          <td data-label={t.tenants.state}><WebhookState of={webhook} /></td>
                          <td data-label={t.created}><Time of={webhook.created_at} /></td>
                          <td class="row-actions">
                            <Button onClick={() => test(webhook)} isBusy={write.isRunning()}>{t.webhooks.test}</Button>
                            <Button onClick={() => setOpen({ kind: 'edit', webhook })}>{t.edit}</Button>
                            <Button look="danger" onClick={() => setOpen({ kind: 'delete', webhook })}>{t.delete}</Button>
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
      <Show when={of('delete')} keyed>{(webhook) => <DeleteDialog of={webhook} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
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
  const wasOff = webhook ? isOff(webhook) : false
  const [form, setForm] = createStore({ url: webhook?.url ?? '', types: webhook?.types?.join('\n') ?? '', description: webhook?.description ?? '', is_enabled: !wasOff, from: 'backlog' })
  async function save() {
    const types = form.types.split(/[\s,]+/).filter(Boolean)
    const body: Record<string, unknown> = { url: form.url, types, description: form.description || null }
    if (webhook && form.is_enabled !== !wasOff) Object.assign(body, { is_enabled: form.is_enabled, ...(form.is_enabled ? { from: form.from } : {}) })
    const answer = webhook ? await write.send('PATCH', `/webhooks/${encodeURIComponent(webhook.id)}`, { body }) : await write.send<Webhook>('POST', '/webhooks', { body })
    if (!answer) return
    note(t.saved)
    props.onDone((answer.body as Webhook | undefined)?.secret)
  }
  return (
    <ActionDialog title={webhook ? t.webhooks.editTitle : t.webhooks.create} isOpen onClose={props.onClose} action={webhook ? t.save : t.webhooks.create} isRunning={write.isRunning()} problem={write.problem()} onSubmit={save}>
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

function DeleteDialog(props: { of: Webhook; onClose: () => void; onDone: () => void }) {
  const write = createWrite()
  async function remove() {
    if (await write.send('DELETE', `/webhooks/${encodeURIComponent(props.of.id)}`)) props.onDone()
  }
  return (
    <ActionDialog title={t.webhooks.deleteTitle} isOpen onClose={props.onClose} action={t.delete} isDangerous isRunning={write.isRunning()} problem={write.problem()} onSubmit={remove}>
      <p><code class="break">{props.of.url}</code></p>
      <p>{t.webhooks.deleteHelp}</p>
    </ActionDialog>
  )
}

function Deliveries(props: { id: string }) {
  const path = () => `/webhooks/${encodeURIComponent(props.id)}`
  const loaded = createLoad(path, async (where, signal) => {
    const [webhook, deliveries] = await Promise.all([get<Webhook>(where, signal), get<Delivery[]>(`${where}/deliveries${query({ limit: 100 })}`, signal)])
    return { webhook: webhook.body, deliveries: deliveries.body }
  })
  const write = createWrite()
  async function retry(event: string) {
    if (await write.send('POST', `${path()}/deliveries/${encodeURIComponent(event)}/retry`)) {
      note(t.webhooks.retried)
      loaded.reload()
    }
  }
  return (
    <Page title={t.webhooks.deliveries} back={{ href: href(['webhooks']), text: t.webhooks.title }} lead={loaded.data()?.webhook.url}>
      <ProblemBox problem={write.problem()} />
      <Await of={loaded}>
        {(data) => (
          <Card>
            <Show when={data().deliveries.length} fallback={<Empty title={t.webhooks.noDeliveries} />}>
              <Table label={t.webhooks.deliveries}>
                <thead>
                  <tr><th scope="col">{t.audit.time}</th><th scope="col">{t.webhooks.event}</th><th scope="col">{t.webhooks.status}</th><th scope="col" class="number">{t.webhooks.duration}</th><th scope="col">{t.webhooks.answer}</th><th scope="col"><span class="sr">{t.actions}</span></th></tr>
                </thead>
                <tbody>
                  <For each={data().deliveries}>
                    {(one) => (
                      <tr>
                        <th scope="row"><Time of={one.attempted_at ?? one.created_at} /></th>
                        <td><code>{one.type ?? one.event}</code></td>
                        <td><Badge tone={(one.status ?? 0) >= 200 && (one.status ?? 0) < 300 ? 'good' : 'bad'}>{one.status ?? one.error ?? one.state}</Badge></td>
                        <td class="number">{one.milliseconds ?? ''}</td>
                        <td class="break small">{one.response ?? ''}</td>
                        <td class="row-actions"><Button onClick={() => retry(one.event)} isBusy={write.isRunning()}>{t.retry}</Button></td>
                      </tr>
                    )}
                  </For>
                </tbody>
              </Table>
            </Show>
          </Card>
        )}
      </Await>
    </Page>
  )
}
