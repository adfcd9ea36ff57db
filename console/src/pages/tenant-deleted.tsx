// A deleted tenant: it can be brought back for a time, or wiped at once.

import { Show, createSignal } from 'solid-js'
import { can } from '../api/session'
import { Badge, Button, Card, Page, ProblemBox, note } from '../parts/basics'
import { ActionDialog } from '../parts/dialog'
import { createWrite } from '../parts/write'
import { go, href } from '../router'
import { t } from '../texts'
import { Timeline } from './tenant-timeline'

export function DeletedTenant(props: { id: string }) {
  const restoring = createWrite()
  const erasing = createWrite()
  const [isErasing, setErasing] = createSignal(false)
  const path = () => `/tenants/${encodeURIComponent(props.id)}`
  async function restore() {
    if (!(await restoring.send('POST', `${path()}/restore`))) return
    note(t.tenant.restored(props.id))
    go(['tenants', props.id])
  }
  async function erase() {
    if (!(await erasing.send('POST', `${path()}/erase`))) return
    note(t.tenant.erased(props.id))
    go(['tenants'], { deleted: 'true' })
  }
  return (
    <Page
      title={props.id}
      back={{ href: href(['tenants'], { deleted: 'true' }), text: t.tenants.deletedTitle }}
      lead={<Badge tone="bad">{t.state.deleted}</Badge>}
      aside={
        <>
          <Show when={can('tenants:write')}><Button look="primary" onClick={restore} isBusy={restoring.isRunning()}>{t.tenant.restore}</Button></Show>
          <Show when={can('sites')}><Button look="danger" onClick={() => setErasing(true)}>{t.tenant.erase}</Button></Show>
        </>
      }
    >
      <ProblemBox problem={restoring.problem()} />
      <Card><p>{t.tenant.deletedHelp}</p></Card>
      <Show when={can('audit') || can('sites') || can('events')}><Timeline id={props.id} version={undefined} /></Show>
      <ActionDialog title={t.tenant.eraseTitle(props.id)} isOpen={isErasing()} onClose={() => setErasing(false)} action={t.tenant.erase} isDangerous isRunning={erasing.isRunning()} problem={erasing.problem()} onSubmit={erase} typed={props.id}>
        <p>{t.tenant.eraseHelp}</p>
      </ActionDialog>
    </Page>
  )
}
