// What happened to a tenant, as one time line: its audit entries, which are its events, and its jobs.

import { For, Show } from 'solid-js'
import { Refused, all, get, query } from '../api/client'
import { can } from '../api/session'
import type { AuditEntry, Event, Job } from '../api/types'
import { Await, Badge, Card, Empty, Time, type Tone } from '../parts/basics'
import { createLoad } from '../parts/load'
import { t } from '../texts'
import { eventOf } from './event-of'

interface Line {
  time: string
  title: string
  detail: string
  kind: 'audit' | 'event' | 'job'
  tone: Tone
}

/** At most so many entries are read. */
const MAXIMUM = 5000

export function Timeline(props: { id: string; version: string | undefined }) {
  const loaded = createLoad(() => [props.id, props.version] as const, async ([id], signal) => {
    const subject = id.toLowerCase()
    const parts = await Promise.all([
      can('audit') ? all<AuditEntry>('/audit', { subject_type: 'tenant', subject }, { signal, maximum: MAXIMUM }).then((entries) => entries.map(ofAudit)) : [],
      // An event is an audit entry, so it is shown once. A key without `audit` sees the events.
      !can('audit') && can('events') ? events(subject, signal) : [],
      can('sites') ? all<Job>('/jobs', { tenant: id }, { signal, limit: 100, maximum: 500 }).then((jobs) => jobs.map(ofJob)).catch(nothing) : [],
    ])
    return parts.flat().sort((a, b) => (a.time < b.time ? 1 : -1))
  })
  return (
    <Card title={t.tenant.history}>
      <Await of={loaded}>
        {(lines) => (
          <Show when={lines().length} fallback={<Empty title={t.tenant.noHistory} />}>
            <ol class="timeline">
              <For each={lines()}>
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
        )}
      </Await>
    </Card>
  )
}

/** A tenant that has had no cell has no jobs, and an older API no such route. */
function nothing(error: unknown): Line[] {
  if (error instanceof Refused && error.problem.status === 404) return []
  throw error
}

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

async function events(subject: string, signal: AbortSignal): Promise<Line[]> {
  // The list of events has no filter by subject.
  const found: Event[] = []
  let after: string | undefined
  for (let page = 0; page < MAXIMUM / 1000; page += 1) {
    const { body: items } = await get<Event[]>(`/events${query({ after, limit: 1000 })}`, signal)
    found.push(...items.filter((event) => event.type.startsWith('tenant.') && event.data.id === subject))
    if (items.length < 1000) break
    after = items.at(-1)!.id
  }
  return found.map((event) => ({
    time: event.timestamp.replace('T', ' ').replace('Z', ''),
    title: t.action(event.type),
    detail: event.data.changed?.length ? t.audit.changed(event.data.changed.join(', ')) : event.type,
    kind: 'event',
    tone: toneOf(event.type),
  }))
}

function ofJob(job: Job): Line {
  return {
    time: job.finished_at ?? job.started_at ?? job.created_at,
    title: t.job(t.jobKind[job.kind], t.jobState[job.state]),
    detail: [t.onCell(job.cell_id), t.attempts(job.attempts), job.error ?? ''].filter(Boolean).join(' · '),
    kind: 'job',
    tone: job.state === 'done' ? 'good' : job.state === 'failed' || job.state === 'refused' ? 'bad' : 'info',
  }
}
