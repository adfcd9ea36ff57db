// A tenant's hostnames: its own, and (docs/API.md §18, if this API has it) its aliases and redirects.

import { For, Show, createSignal } from 'solid-js'
import { Refused, get } from '../api/client'
import { can } from '../api/session'
import type { Tenant, TenantHostname } from '../api/types'
import { Await, Badge, Button, Card, Copyable, ProblemBox, Table } from '../parts/basics'
import { ActionDialog } from '../parts/dialog'
import { Select, TextInput } from '../parts/fields'
import { createLoad } from '../parts/load'
import { type Write, createWrite } from '../parts/write'
import { t } from '../texts'

interface Shown {
  isThere: boolean
  names: TenantHostname[]
  /** The tenant's version. */
  etag: string | undefined
}

export function Hostnames(props: { tenant: Tenant; version: string | undefined; onChange: (etag?: string) => void }) {
  const path = () => `/tenants/${encodeURIComponent(props.tenant.id)}/hostnames`
  // Each write of the tenant gives it another version, which the next change of a hostname must name.
  const loaded = createLoad(() => ({ where: path(), version: props.version }), async ({ where }, signal): Promise<Shown> => {
    try {
      const { body, etag } = await get<TenantHostname[]>(where, signal)
      return { isThere: true, names: body, etag }
    } catch (error) {
      // An API without the route: a tenant has one hostname.
      if (error instanceof Refused && error.problem.status === 404) return { isThere: false, names: [], etag: undefined }
      throw error
    }
  })
  const [isOpen, setOpen] = createSignal(false)
  const [form, setForm] = createSignal({ hostname: '', kind: 'alias' })
  const [isEmpty, setEmpty] = createSignal(false)
  const add = createWrite()
  const write = createWrite()
  // A hostname is a write of the tenant: it has a new version, and the next write may come before that is read.
  const changed = (etag?: string) => {
    if (etag) loaded.set({ ...loaded.data()!, etag })
    loaded.reload()
    props.onChange(etag)
  }
  /** If somebody else has changed the tenant, shows how it is now, and lets the person decide again. */
  const showNow = (of: Write) => void (of.problem()?.code === 'precondition_failed' && changed())
  async function put() {
    const name = form().hostname.trim()
    setEmpty(name === '')
    if (name === '') return
    const there = loaded.data()?.names.find((one) => one.hostname === name.toLowerCase())
    if (there && there.kind !== form().kind) return add.refuse(t.hostnames.isThere, t.hostnames.isThereAs(t.hostnames.kinds[there.kind]))
    const answer = await add.send('PUT', `${path()}/${encodeURIComponent(name)}`, { body: { kind: form().kind }, ifMatch: loaded.data()?.etag, note: t.hostnames.added })
    if (!answer) return showNow(add)
    setForm({ hostname: '', kind: 'alias' })
    setOpen(false)
    changed(answer.etag)
  }
  async function remove(name: string) {
    const answer = await write.send('DELETE', `${path()}/${encodeURIComponent(name)}`, { ifMatch: loaded.data()?.etag, note: t.deletedNote(name) })
    if (answer) changed(answer.etag)
    else showNow(write)
  }
  async function verify(name: string) {
    if (await write.send('POST', `${path()}/${encodeURIComponent(name)}/verify`, { note: t.hostnames.looked(name) })) changed()
  }
  return (
    <Card title={t.hostnames.title} aside={<Show when={loaded.data()?.isThere && can('tenants:write')}><Button onClick={() => setOpen(true)}>{t.hostnames.add}</Button></Show>}>
      <ProblemBox problem={write.problem()} />
      <Await of={loaded}>
        {(data) => (
          <Table label={t.hostnames.title} isBusy={loaded.isLoading()} class="cards-on-phone">
            <thead>
              <tr><th scope="col">{t.tenants.hostname}</th><th scope="col">{t.hostnames.kind}</th><th scope="col"><span class="sr">{t.actions}</span></th></tr>
            </thead>
            <tbody>
              <tr><th scope="row"><code>{props.tenant.hostname}</code></th><td data-label={t.hostnames.kind}><Badge tone="info">{t.hostnames.kinds.primary}</Badge></td><td /></tr>
              <For each={data().names.filter((name) => name.hostname !== props.tenant.hostname)}>
                {(name) => (
                  <tr>
                    <th scope="row">
                      <code>{name.hostname}</code>
                      <Show when={name.claimed_until || name.proof_missing_since ? name.proof : undefined}>{(proof) => <><p class="help">{t.hostnames.proof}</p><Copyable label={`${proof().name} ${proof().type}`} value={proof().value} /></>}</Show>
                    </th>
                    <td data-label={t.hostnames.kind}>
                      <span class="badges">
                        <Badge>{t.hostnames.kinds[name.kind] ?? name.kind}</Badge>
                        <Show when={name.claimed_until}>{(until) => <Badge tone="warn" title={`${until()} UTC`}>{t.hostnames.claimed}</Badge>}</Show>
                        <Show when={name.proof_missing_since}>{(since) => <Badge tone="bad" title={`${since()} UTC`}>{t.hostnames.missing}</Badge>}</Show>
                      </span>
                    </td>
                    <td class="row-actions">
                      <Show when={can('tenants:write')}>
                        <Show when={name.claimed_until}><Button aria-label={`${t.hostnames.verify} ${name.hostname}`} onClick={() => verify(name.hostname)}>{t.hostnames.verify}</Button></Show>
                        <Button aria-label={`${t.delete} ${name.hostname}`} onClick={() => remove(name.hostname)}>{t.delete}</Button>
                      </Show>
                    </td>
                  </tr>
                )}
              </For>
            </tbody>
          </Table>
        )}
      </Await>
      <ActionDialog title={t.hostnames.add} isOpen={isOpen()} onClose={() => setOpen(false)} action={t.hostnames.add} of={[add]} onSubmit={put}>
        <TextInput label={t.tenants.hostname} value={form().hostname} onInput={(hostname) => setForm({ ...form(), hostname })} error={isEmpty() ? t.required : add.at('/hostname')} isRequired mono />
        <Select label={t.hostnames.kind} value={form().kind} onInput={(kind) => setForm({ ...form(), kind })} options={[['alias', t.hostnames.kinds.alias], ['redirect', t.hostnames.kinds.redirect]]} error={add.at('/kind')} />
      </ActionDialog>
    </Card>
  )
}
