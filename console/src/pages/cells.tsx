// Cells, and the jobs that wait for them.

import { For, Show, batch, createSignal } from 'solid-js'
import { createStore } from 'solid-js/store'
import { get, nextOf, query } from '../api/client'
import { can } from '../api/session'
import type { Cell, Job } from '../api/types'
import { Await, Badge, Button, Card, Empty, Page, ProblemBox, Table, Time, type Tone } from '../parts/basics'
import { changed } from '../parts/changes'
import { createCheck } from '../parts/check'
import { ActionDialog } from '../parts/dialog'
import { Check, Select, TextInput } from '../parts/fields'
import { count, parsed } from '../parts/format'
import { createLoad } from '../parts/load'
import { LocalPager, createPlace } from '../parts/pager'
import { createWrite } from '../parts/write'
import { href } from '../router'
import { t } from '../texts'

type Open = { kind: 'create' } | { kind: 'edit' | 'delete'; cell: Cell } | undefined

/** An agent asks every few seconds, and its time is written once a minute. `tenants status` waits as long. */
const SILENT_MS = 2 * 60_000

const isSilent = (cell: Cell) => cell.last_seen_at === null || Date.now() - parsed(cell.last_seen_at).getTime() > SILENT_MS

export const CellState = (props: { of: Cell }) => (
  <span class="badges">
    <Badge tone={isSilent(props.of) ? 'bad' : 'good'}>{isSilent(props.of) ? t.cells.silent : t.cells.seen}</Badge>
    <Show when={!props.of.accepting}><Badge>{t.cells.closed}</Badge></Show>
  </span>
)

export function CellsPage() {
  const loaded = createLoad(() => (can('cells') ? true : undefined), async (_, signal) => (await get<Cell[]>('/cells', signal)).body)
  const [open, setOpen] = createSignal<Open>()
  const done = () => {
    setOpen(undefined)
    loaded.reload()
  }
  const of = (kind: 'edit' | 'delete') => { const now = open(); return now?.kind === kind ? now.cell : undefined }
  return (
    <Page title={t.cells.title} lead={t.cells.lead} aside={<Show when={can('cells')}><Button look="primary" onClick={() => setOpen({ kind: 'create' })}>{t.cells.create}</Button></Show>}>
      <Show when={can('cells')}>
        <Await of={loaded}>
          {(cells) => (
            <Show when={cells().length} fallback={<Empty title={t.cells.empty}><p>{t.cells.emptyHelp}</p></Empty>}>
              <Table label={t.cells.title} class="cards-on-phone">
                <thead>
                  <tr>
                    <th scope="col">{t.cells.id}</th>
                    <th scope="col">{t.tenants.state}</th>
                    <th scope="col" class="number">{t.cells.tenants}</th>
                    <th scope="col" class="number">{t.cells.behind}</th>
                    <th scope="col" class="number">{t.cells.waiting}</th>
                    <th scope="col">{t.cells.lastSeen}</th>
                    <th scope="col">{t.cells.service}</th>
                    <th scope="col"><span class="sr">{t.actions}</span></th>
                  </tr>
                </thead>
                <tbody>
                  <For each={cells()}>
                    {(cell) => (
                      <tr>
                        <th scope="row">{cell.id}<Show when={cell.name}><div class="faint small">{cell.name}</div></Show></th>
                        <td data-label={t.tenants.state}><CellState of={cell} /></td>
                        <td data-label={t.cells.tenants} class="number">{count(cell.tenants)}</td>
                        <td data-label={t.cells.behind} class="number">{cell.behind > 0 ? <Badge tone="warn">{count(cell.behind)}</Badge> : 0}</td>
                        <td data-label={t.cells.waiting} class="number">{count(cell.jobs_waiting)}</td>
                        <td data-label={t.cells.lastSeen}><span><Time of={cell.last_seen_at} /> <span class="faint small">{cell.agent_version}</span></span></td>
                        <td data-label={t.cells.service}>{cell.service ? <code>{cell.service.name}:{cell.service.port}</code> : <span class="faint">{t.cells.defaultService}</span>}</td>
                        <td class="row-actions">
                          <Button aria-label={`${t.edit} ${cell.id}`} onClick={() => setOpen({ kind: 'edit', cell })}>{t.edit}</Button>
                          <Button look="danger" aria-label={`${t.delete} ${cell.id}`} onClick={() => setOpen({ kind: 'delete', cell })}>{t.delete}</Button>
                        </td>
                      </tr>
                    )}
                  </For>
                </tbody>
              </Table>
            </Show>
          )}
        </Await>
      </Show>
      <Show when={can('sites')}><Jobs /></Show>
      <Show when={open()?.kind === 'create'}><CellDialog onClose={() => setOpen(undefined)} onDone={done} /></Show>
      <Show when={of('edit')} keyed>{(cell) => <CellDialog of={cell} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
      <Show when={of('delete')} keyed>{(cell) => <DeleteDialog of={cell} onClose={() => setOpen(undefined)} onDone={done} />}</Show>
    </Page>
  )
}

function CellDialog(props: { of?: Cell; onClose: () => void; onDone: () => void }) {
  const write = createWrite()
  const cell = props.of
  const [form, setForm] = createStore({ id: cell?.id ?? '', name: cell?.name ?? '', accepting: cell?.accepting ?? true, service: cell?.service?.name ?? '', port: String(cell?.service?.port ?? '') })
  const check = createCheck()
  const members = () => ({ name: form.name || null, accepting: form.accepting, service: form.service || form.port ? { name: form.service, port: /^\d+$/.test(form.port) ? Number(form.port) : form.port } : null })
  const was = members()
  // The path of a PUT without an answer: the cell may be there by now, and is this dialog's own.
  let sent: string | undefined
  async function put() {
    const path = `/cells/${encodeURIComponent(form.id)}`
    const body = cell ? changed(was, members()) : members()
    if (!body) return props.onClose()
    if (form.id === '') return write.refuse(t.cells.id, t.required, [{ pointer: '/id', detail: t.required }])
    // A PUT writes over a cell that is there, and makes one that somebody has deleted anew.
    if (sent !== path) {
      const isThere = await check.isThere(path)
      if (isThere === undefined) return write.clear()
      if (cell && !isThere) return write.refuse(t.cells.gone, t.cells.goneDetail)
      if (!cell && isThere) return write.refuse(t.cells.taken, t.cells.takenDetail, [{ pointer: '/id', detail: t.cells.takenId(form.id) }])
    }
    if (await write.send('PUT', path, { body, note: ({ status }) => (cell && status === 201 ? t.cells.madeAnew(cell.id) : t.saved) })) return props.onDone()
    const status = write.problem()?.status ?? 0
    sent = status >= 400 && status < 500 ? undefined : path
  }
  return (
    <ActionDialog title={cell ? t.cells.editTitle(cell.id) : t.cells.create} isOpen onClose={props.onClose} action={cell ? t.save : t.cells.create} of={[check, write]} onSubmit={put}>
      <Show when={!cell}><TextInput label={t.cells.id} value={form.id} onInput={(text) => setForm('id', text)} error={write.at('/id')} isRequired mono /></Show>
      <TextInput label={t.name} value={form.name} onInput={(text) => setForm('name', text)} error={write.at('/name')} />
      <Check label={t.cells.accepting} value={form.accepting} onInput={(value) => setForm('accepting', value)} error={write.at('/accepting')} />
      <TextInput label={t.cells.serviceName} help={t.cells.serviceHelp} value={form.service} onInput={(text) => setForm('service', text)} error={write.at('/service')} mono />
      <TextInput label={t.cells.port} value={form.port} onInput={(text) => setForm('port', text)} error={write.at('/service/port')} />
    </ActionDialog>
  )
}

function DeleteDialog(props: { of: Cell; onClose: () => void; onDone: () => void }) {
  const write = createWrite()
  async function remove() {
    if (await write.send('DELETE', `/cells/${encodeURIComponent(props.of.id)}`, { note: t.deletedNote(props.of.id) })) props.onDone()
  }
  return (
    <ActionDialog title={t.cells.deleteTitle(props.of.id)} isOpen onClose={props.onClose} action={t.delete} isDangerous of={[write]} onSubmit={remove} typed={props.of.id}>
      <p>{t.cells.deleteHelp}</p>
    </ActionDialog>
  )
}

const toneOf: Record<Job['state'], Tone> = { waiting: 'plain', running: 'info', done: 'good', refused: 'warn', failed: 'bad', cancelled: 'plain' }

/** Of the jobs, on a page. */
const SHOWN = 100

function Jobs() {
  const [state, setState] = createSignal('')
  const place = createPlace()
  const loaded = createLoad(() => ({ state: state(), after: place.after() }), async (asked, signal) => {
    const { body, headers } = await get<Job[]>(`/jobs${query({ ...asked, limit: SHOWN })}`, signal)
    return { jobs: body, next: nextOf(headers) }
  })
  const choose = (to: string) => batch(() => {
    setState(to)
    place.begin()
  })
  const write = createWrite()
  async function cancel(job: Job) {
    if (await write.send('POST', `/jobs/${encodeURIComponent(job.id)}/cancel`, { note: t.jobs.cancelled })) loaded.reload()
  }
  return (
    <>
      <Card title={t.jobs.title} aside={<Select label={t.tenants.state} value={state()} onInput={choose} options={[['', t.jobs.all], ...Object.entries(t.jobState)]} />}>
        <ProblemBox problem={write.problem()} />
        <Await of={loaded}>
          {(data) => (
            <Show when={data().jobs.length} fallback={<Empty title={t.jobs.empty} isBusy={loaded.isLoading()} />}>
              <JobTable jobs={data().jobs} isBusy={loaded.isLoading()} onCancel={cancel} />
            </Show>
          )}
        </Await>
      </Card>
      <LocalPager place={place} next={loaded.problem() ? undefined : loaded.data()?.next} isLoading={loaded.isLoading()} />
    </>
  )
}

export const JobTable = (props: { jobs: Job[]; isBusy?: boolean; onCancel?: (job: Job) => void }) => (
  <Table label={t.jobs.title} isBusy={props.isBusy ?? false} class="cards-on-phone">
    <thead>
      <tr>
        <th scope="col">{t.jobs.kind}</th>
        <th scope="col">{t.jobs.tenant}</th>
        <th scope="col">{t.jobs.cell}</th>
        <th scope="col">{t.tenants.state}</th>
        <th scope="col">{t.created}</th>
        <th scope="col">{t.jobs.error}</th>
        <Show when={props.onCancel}><th scope="col"><span class="sr">{t.actions}</span></th></Show>
      </tr>
    </thead>
    <tbody>
      <For each={props.jobs}>
        {(job) => (
          <tr>
            <th scope="row">{t.jobKind[job.kind]}</th>
            <td data-label={t.jobs.tenant}><Show when={can('tenants:read')} fallback={job.tenant_id}><a href={href(['tenants', job.tenant_id])}>{job.tenant_id}</a></Show></td>
            <td data-label={t.jobs.cell}>{job.cell_id}</td>
            <td data-label={t.tenants.state}><Badge tone={toneOf[job.state]}>{t.jobState[job.state]}</Badge></td>
            <td data-label={t.created}><Time of={job.created_at} /></td>
            <td data-label={t.jobs.error} class="break">{job.error ?? <span class="faint">{t.none}</span>}</td>
            <Show when={props.onCancel}>
              <td class="row-actions"><Show when={job.state === 'waiting'}><Button aria-label={`${t.jobs.cancel} ${job.id}`} onClick={() => props.onCancel?.(job)}>{t.jobs.cancel}</Button></Show></td>
            </Show>
          </tr>
        )}
      </For>
    </tbody>
  </Table>
)
