// A deleted tenant: it can be brought back for a time, or wiped at once.

import { Show, createSignal } from 'solid-js'
import { Refused, get } from '../api/client'
import { can } from '../api/session'
import type { Tenant } from '../api/types'
import { Await, Badge, Button, Card, Page, ProblemBox, note } from '../parts/basics'
import { createCheck } from '../parts/check'
import { ActionDialog } from '../parts/dialog'
import { createLoad } from '../parts/load'
import { createWrite } from '../parts/write'
import { go, href } from '../router'
import { t } from '../texts'
import { Timeline } from './tenant-timeline'

export function DeletedTenant(props: { id: string }) {
  const restoring = createWrite()
  const erasing = createWrite()
  const check = createCheck()
  const [isErasing, setErasing] = createSignal(false)
  const path = () => `/tenants/${encodeURIComponent(props.id)}`
  // The address says that the tenant is deleted. It may be restored since, or its id be another tenant's: what is done here would be done to that one.
  const showLiving = () => {
    note(t.tenant.living(props.id))
    go(['tenants', props.id], {}, { replace: true })
  }
  const loaded = createLoad(path, async (where, signal): Promise<'gone' | undefined> => {
    try {
      await get<Tenant>(where, signal)
    } catch (error) {
      if (error instanceof Refused && error.problem.status === 404) return 'gone'
      throw error
    }
    showLiving()
    return undefined
  })
  async function restore() {
    if (!(await restoring.send('POST', `${path()}/restore`, { note: t.tenant.restored(props.id) }))) return
    go(['tenants', props.id])
  }
  async function erase() {
    const isThere = await check.isThere(path())
    if (isThere) return showLiving()
    if (isThere === undefined || !(await erasing.send('POST', `${path()}/erase`, { note: ({ status }) => (status === 202 ? t.tenant.erasing : t.tenant.erased)(props.id) }))) return
    go(['tenants'], { deleted: 'true' })
  }
  return (
    <Page
      title={props.id}
      back={{ href: href(['tenants'], { deleted: 'true' }), text: t.tenants.deletedTitle }}
      lead={<Show when={loaded.data()}><Badge tone="bad">{t.state.deleted}</Badge></Show>}
      aside={
        <Show when={loaded.data()}>
          <Show when={can('tenants:write')}><Button look="primary" onClick={restore} isBusy={restoring.isRunning()}>{t.tenant.restore}</Button></Show>
          <Show when={can('sites')}><Button look="danger" onClick={() => setErasing(true)}>{t.tenant.erase}</Button></Show>
        </Show>
      }
    >
      <ProblemBox problem={restoring.problem()} />
      <Await of={loaded}>
        {() => (
          <>
            <Card><p>{t.tenant.deletedHelp}</p></Card>
            <Show when={can('audit') || can('sites') || can('events')}><Timeline id={props.id} version={undefined} /></Show>
            <ActionDialog title={t.tenant.eraseTitle(props.id)} isOpen={isErasing()} onClose={() => setErasing(false)} action={t.tenant.erase} isDangerous of={[check, erasing]} onSubmit={erase} typed={props.id}>
              <p>{t.tenant.eraseHelp}</p>
            </ActionDialog>
          </>
        )}
      </Await>
    </Page>
  )
}
