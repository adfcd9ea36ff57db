// One tenant: what it is, what it may, what happened to it, and everything that can be done with it.

import { Tabs } from '@kobalte/core/tabs'
import { For, Show, createSignal } from 'solid-js'
import { get } from '../api/client'
import { can } from '../api/session'
import type { Settings, Tenant } from '../api/types'
import { Await, Badge, Button, Card, Empty, Fact, Facts, Page, ProblemBox, Table, Time } from '../parts/basics'
import { bytes, count } from '../parts/format'
import { createLoad } from '../parts/load'
import { type HoldKind, Site, State } from '../parts/tenant-state'
import { createWrite } from '../parts/write'
import { go, href, route } from '../router'
import { t } from '../texts'
import { Hostnames } from './tenant-hostnames'
import { Timeline } from './tenant-timeline'
import { DeleteDialog, HoldDialog, InstallDialog, ResetDialog } from './tenant-actions'
import { DeletedTenant } from './tenant-deleted'

interface Shown {
  tenant: Tenant
  etag: string | undefined
}

type Open = 'hold' | 'install' | 'reset' | 'delete' | undefined

export function TenantPage(props: { id: string }) {
  const isDeleted = () => route().query.get('deleted') === 'true'
  return (
    <Show when={!isDeleted()} fallback={<DeletedTenant id={props.id} />}>
      <LivingTenant id={props.id} />
    </Show>
  )
}

function LivingTenant(props: { id: string }) {
  const path = () => `/tenants/${encodeURIComponent(props.id)}`
  const loaded = createLoad(path, async (where, signal): Promise<Shown> => {
    const { body, etag } = await get<Tenant>(where, signal)
    return { tenant: body, etag }
  })
  const [open, setOpen] = createSignal<Open>()
  const [holdKind, setHoldKind] = createSignal<HoldKind>('maintenance')
  const write = createWrite()
  const tenant = () => loaded.data()?.tenant
  const close = () => setOpen(undefined)
  /** After a write of a dialog. Another one may be open by then. */
  const done = (dialog: Open, etag?: string) => {
    if (open() === dialog) close()
    // The next write may come before the tenant is read again.
    if (etag) loaded.set({ tenant: loaded.data()!.tenant, etag })
    loaded.reload()
  }
  async function enable(is_enabled: boolean) {
    const answer = await write.send('PATCH', path(), { body: { is_enabled }, ifMatch: loaded.data()?.etag, note: is_enabled ? t.tenant.enabled : t.tenant.disabled })
    if (answer) done(undefined, answer.etag)
    else showNow()
  }
  /** If somebody else has changed it, shows how it is now, and lets the person decide again. */
  const showNow = () => write.problem()?.code === 'precondition_failed' && loaded.reload()
  async function release(kind: string) {
    const answer = await write.send('DELETE', `${path()}/holds/${kind}`, { ifMatch: loaded.data()?.etag, note: t.tenant.released(t.hold[kind as HoldKind] ?? kind) })
    if (answer) done(undefined, answer.etag)
    else showNow()
  }
  const tab = () => route().query.get('tab') ?? 'summary'

  return (
    <Page
      title={tenant()?.id ?? props.id}
      back={{ href: href(['tenants']), text: t.tenants.title }}
      lead={
        <Show when={tenant()}>
          {(now) => (
            <span class="lead-row">
              <a href={`https://${now().hostname}`} target="_blank" rel="noreferrer noopener">{now().hostname}</a>
              <State of={now()} />
              <Site of={now()} />
            </span>
          )}
        </Show>
      }
      aside={
        <Show when={tenant()}>
          {(now) => (
            <>
              <Show when={can('tenants:write')}>
                <a class="button" href={href(['tenants', now().id, 'edit'])}>{t.edit}</a>
                <Button onClick={() => enable(!now().is_enabled)} isBusy={write.isRunning()}>{now().is_enabled ? t.tenant.disable : t.tenant.enable}</Button>
                <Button onClick={() => { setHoldKind('maintenance'); setOpen('hold') }}>{t.tenant.hold}</Button>
              </Show>
              <Show when={can('sites')}>
                <Show when={now().site.state === 'none' || now().site.state === 'failed'} fallback={<Button onClick={() => setOpen('reset')}>{t.tenant.reset}</Button>}>
                  <Button onClick={() => setOpen('install')}>{t.tenant.install}</Button>
                </Show>
              </Show>
              <Show when={can('tenants:write')}>
                <Button look="danger" onClick={() => setOpen('delete')}>{t.delete}</Button>
              </Show>
            </>
          )}
        </Show>
      }
    >
      <ProblemBox problem={write.problem()} />
      <Await of={loaded}>
        {(data) => (
          <>
            <For each={Object.entries(data().tenant.holds)}>
              {([kind, hold]) => (
                <div class="banner warn">
                  <div>
                    <strong>{t.hold[kind as HoldKind] ?? kind}</strong>: {hold?.reason}
                    <Show when={hold?.message}>{(message) => <p>{t.tenant.visitorsRead} “{message()}”</p>}</Show>
                    <Show when={hold?.until}>{(until) => <p>{t.tenant.until} <Time of={until()} /></p>}</Show>
                  </div>
                  <Show when={can('tenants:write')}>
                    <Button isBusy={write.isRunning()} onClick={() => release(kind)}>{t.tenant.release}</Button>
                  </Show>
                </div>
              )}
            </For>
            <Tabs value={tab()} onChange={(to) => go(['tenants', props.id], { tab: to === 'summary' ? undefined : to }, { replace: true })}>
              <Tabs.List class="tabs" aria-label={t.tenant.parts}>
                <Tabs.Trigger value="summary">{t.tenant.summary}</Tabs.Trigger>
                <Show when={can('plans:read')}><Tabs.Trigger value="settings">{t.tenant.settings}</Tabs.Trigger></Show>
                <Tabs.Trigger value="hostnames">{t.hostnames.title}</Tabs.Trigger>
                <Show when={can('audit') || can('sites') || can('events')}><Tabs.Trigger value="history">{t.tenant.history}</Tabs.Trigger></Show>
              </Tabs.List>
              <Tabs.Content value="summary"><Summary of={data().tenant} /></Tabs.Content>
              <Tabs.Content value="settings"><EffectiveSettings id={data().tenant.id} version={data().etag} /></Tabs.Content>
              <Tabs.Content value="hostnames"><Hostnames tenant={data().tenant} version={data().etag} onChange={(etag) => done(undefined, etag)} /></Tabs.Content>
              <Tabs.Content value="history"><Timeline id={data().tenant.id} version={data().etag} /></Tabs.Content>
            </Tabs>
            <HoldDialog tenant={data().tenant} etag={data().etag} kind={holdKind()} onKind={setHoldKind} isOpen={open() === 'hold'} onClose={close} onDone={(etag) => done('hold', etag)} />
            <InstallDialog tenant={data().tenant} isOpen={open() === 'install'} onClose={close} onDone={() => done('install')} />
            <ResetDialog tenant={data().tenant} isOpen={open() === 'reset'} onClose={close} />
            <DeleteDialog tenant={data().tenant} etag={data().etag} isOpen={open() === 'delete'} onClose={close} onStale={loaded.reload} />
          </>
        )}
      </Await>
    </Page>
  )
}

function Summary(props: { of: Tenant }) {
  return (
    <div class="columns">
      <Card title={t.tenant.facts}>
        <Facts>
          <Fact name={t.member.plan_id}>{props.of.plan_id ? <Show when={can('plans:read')} fallback={props.of.plan_id}><a href={href(['plans', props.of.plan_id])}>{props.of.plan_id}</a></Show> : t.none}</Fact>
          <Fact name={t.member.cell_id}>{props.of.cell_id ?? t.none}</Fact>
          <Fact name={t.member.external_id}>{props.of.external_id ? <code>{props.of.external_id}</code> : t.none}</Fact>
          <Fact name={t.created}><Time of={props.of.created_at} /></Fact>
          <Fact name={t.tenants.updated}><Time of={props.of.updated_at} /></Fact>
          <Fact name={t.tenant.lastCron}><Time of={props.of.last_job_at} /></Fact>
          <Show when={props.of.suspend_at}>{(time) => <Fact name={t.member.suspend_at}><Time of={time()} /></Fact>}</Show>
          <Show when={props.of.delete_at}>{(time) => <Fact name={t.member.delete_at}><Time of={time()} /></Fact>}</Show>
          <Show when={props.of.deletion_protection}><Fact name={t.member.deletion_protection}>{t.yes}</Fact></Show>
        </Facts>
        <Show when={Object.keys(props.of.labels).length}>
          <div class="badges">
            <For each={Object.entries(props.of.labels)}>{([name, value]) => <Badge>{name}: {value}</Badge>}</For>
          </div>
        </Show>
      </Card>
      <Card title={t.tenant.numbers}>
        <div class="figures">
          <Figure name={t.tenants.storage} value={bytes(props.of.stats.storage_used)} />
          <For each={['files', 'albums', 'users', 'tags', 'file_views', 'file_likes'] as const}>{(name) => <Figure name={t.stats[name]} value={count(props.of.stats[name])} />}</For>
        </div>
      </Card>
      <Maps title={t.member.limits} of={props.of.limits} />
      <Maps title={t.member.env} of={props.of.env} />
    </div>
  )
}

const Figure = (props: { name: string; value: string }) => (
  <div class="figure">
    <span class="figure-value">{props.value}</span>
    <span class="figure-name">{props.name}</span>
  </div>
)

export const Maps = (props: { title: string; of: Record<string, string> | null }) => (
  <Card title={props.title}>
    <Show when={Object.keys(props.of ?? {}).length} fallback={<p class="faint">{t.nothingSet}</p>}>
      <Table label={props.title} class="cards-on-phone">
        <thead class="sr">
          <tr><th scope="col">{t.name}</th><th scope="col">{t.value}</th></tr>
        </thead>
        <tbody>
          <For each={Object.entries(props.of ?? {})}>
            {([name, value]) => (
              <tr><th scope="row"><code>{name}</code></th><td data-label={t.value} class="break"><code>{value}</code></td></tr>
            )}
          </For>
        </tbody>
      </Table>
    </Show>
  </Card>
)

function EffectiveSettings(props: { id: string; version: string | undefined }) {
  const loaded = createLoad(() => [props.id, props.version] as const, async ([id], signal) => (await get<Settings>(`/tenants/${encodeURIComponent(id)}/settings`, signal)).body)
  return (
    <Card>
      <p class="help">{t.tenant.settingsHelp}</p>
      <Await of={loaded}>
        {(settings) => (
          <Show when={Object.keys(settings()).length} fallback={<Empty title={t.nothingSet} />}>
            <Table label={t.tenant.settings} class="cards-on-phone">
              <thead>
                <tr><th scope="col">{t.name}</th><th scope="col">{t.value}</th><th scope="col">{t.tenant.source}</th></tr>
              </thead>
              <tbody>
                <For each={Object.entries(settings()).sort()}>
                  {([name, setting]) => (
                    <tr>
                      <th scope="row"><code>{name}</code></th>
                      <td data-label={t.value} class="break">{setting.value === null ? <span class="faint">{t.tenant.hidden}</span> : <code>{setting.value}</code>}</td>
                      <td data-label={t.tenant.source}><Badge tone={setting.source === 'enforced' ? 'warn' : setting.source.startsWith('tenant') ? 'info' : 'plain'}>{t.source[setting.source]}</Badge></td>
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
