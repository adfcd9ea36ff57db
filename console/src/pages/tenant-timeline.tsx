// What happened to a tenant, as one time line: its audit entries, which are its events, and its jobs.

import { For, Show } from 'solid-js'
import { all, get, nextOf, query } from '../api/client'
import { can } from '../api/session'
import type { AuditEntry, Event, Job } from '../api/types'
import { Await, Badge, Card, Empty, Time, type Tone } from '../parts/basics'
import { createLoad, ifAbsent } from '../parts/load'
import { href } from '../router'
import { t } from '../texts'
import { eventOf } from './event-of'
import { type Newest, newest } from './tenant-history'

interface Line {
  time: string
  title: string
  detail: string
  kind: 'audit' | 'event' | 'job'
  tone: Tone
}

/** At most so many entries are shown, and so many jobs. */
const ENTRIES = 1000
const JOBS = 500
/** At most so many pages of 1000 entries are read. */
const PAGES = 100

export function Timeline(props: { id: string; version: string | undefined }) {
  const loaded = createLoad(() => [props.id, props.version] as const, async ([id], signal) => {
    const subject = id.toLowerCase()
    const parts = await Promise.all([
      can('audit') ? audit(subject, signal) : NOTHING,
      // An event is an audit entry, so it is shown once. A key without `audit` sees the events.
      !can('audit') && can('events') ? events(subject, signal) : NOTHING,
      // A tenant that has had no cell has no jobs, and an older API no such route.
      can('sites') ? jobs(id, signal).catch(ifAbsent(NOTHING)) : NOTHING,
    ])
    const lines = parts.flatMap((part) => part.entries).sort((a, b) => b.time.localeCompare(a.time))
    return { lines, hasOlder: parts.some((part) => part.hasOlder), hasNewer: parts.some((part) => part.hasNewer) }
  })
  return (
    <Card title={t.tenant.history}>
      <Await of={loaded}>
        {(data) => (
          <>
            <Show when={data().hasNewer}><p class="banner warn">{t.tenant.newerLeftOut}</p></Show>
            <Show when={data().lines.length} fallback={<Show when={!data().hasNewer}><Empty title={t.tenant.noHistory} /></Show>}>
              <ol class="timeline">
                <For each={data().lines}>
                  {(line) => (
                    <li class={line.tone}>
                      <div class="timeline-head">
                        <strong>{line.title}</strong>
                        <Badge>{t.tenant.lineKind[line.kind]}</Badge>
                        <Time of={line.time} />
                      </div>
                      <p class="faint small">{line.detail}</p>
                    </li>
                  )}
                </For>
              </ol>
            </Show>
            <Show when={data().hasOlder}><p class="faint">{t.tenant.olderLeftOut}</p></Show>
            <Show when={(data().hasOlder || data().hasNewer) && can('audit')}>
              <p><a href={href(['audit'], { days: data().hasNewer ? undefined : 'all', subject_type: 'tenant', subject: props.id.toLowerCase() })}>{t.tenant.inAudit}</a></p>
            </Show>
          </>
        )}
      </Await>
    </Card>
  )
}

const NOTHING: Newest<Line> = { entries: [], hasOlder: false, hasNewer: false }

const toneOf = (action: string): Tone => (/delet|drop/.test(action) ? 'bad' : /hold|held|disabl/.test(action) ? 'warn' : /creat|install|restor|releas/.test(action) ? 'good' : 'plain')

function ofAudit(entry: AuditEntry): Line {
  const who = entry.key_id === null ? t.audit.operator : t.keyNumber(entry.key_id)
  const changed = entry.changed?.length ? t.audit.changed(entry.changed.join(', ')) : ''
  return {
    time: entry.created_at,
    title: t.action(entry.action),
    detail: [changed, who, entry.session_id ? t.audit.session(entry.session_id) : '', t.audit.event(eventOf(entry.action)), t.audit.request(entry.request_id)].filter(Boolean).join(' · '),
    kind: 'audit',
    tone: toneOf(entry.action),
  }
}

const audit = (subject: string, signal: AbortSignal) =>
  newest(async (after) => {
    const { body, headers } = await get<AuditEntry[]>(`/audit${query({ subject_type: 'tenant', subject, after, limit: 1000 })}`, signal)
    return { entries: body.map(ofAudit), next: nextOf(headers) }
  }, { keep: ENTRIES, pages: PAGES })

/** The list of events has no filter by subject, so all are read. It always has a next page, which is empty at the end. */
const events = (subject: string, signal: AbortSignal) =>
  newest(async (after) => {
    const { body } = await get<Event[]>(`/events${query({ after, limit: 1000 })}`, signal)
    return { entries: body.filter((event) => event.type.startsWith('tenant.') && event.data.id === subject).map(ofEvent), next: body.length < 1000 ? undefined : body.at(-1)!.id }
  }, { keep: ENTRIES, pages: PAGES })

/** The list of jobs begins with the newest. */
async function jobs(tenant: string, signal: AbortSignal): Promise<Newest<Line>> {
  const found = await all<Job>('/jobs', { tenant }, { signal, limit: 100, maximum: JOBS + 1 })
  return { entries: found.slice(0, JOBS).map(ofJob), hasOlder: found.length > JOBS, hasNewer: false }
}

const ofEvent = (event: Event): Line => ({
  time: event.timestamp.replace('T', ' ').replace('Z', ''),
  title: t.action(event.type),
  detail: event.data.changed?.length ? t.audit.changed(event.data.changed.join(', ')) : event.type,
  kind: 'event',
  tone: toneOf(event.type),
})

function ofJob(job: Job): Line {
  return {
    time: job.finished_at ?? job.started_at ?? job.created_at,
    title: t.job(t.jobKind[job.kind], t.jobState[job.state]),
    detail: [t.onCell(job.cell_id), t.attempts(job.attempts), job.error ?? ''].filter(Boolean).join(' · '),
    kind: 'job',
    tone: job.state === 'done' ? 'good' : job.state === 'failed' || job.state === 'refused' ? 'bad' : 'info',
  }
}
