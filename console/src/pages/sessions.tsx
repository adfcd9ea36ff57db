// The living sessions of the console, and their end.

import { For, Show } from 'solid-js'
import { call, prefix } from '../api/client'
import type { ListedSession } from '../api/types'
import { Await, Badge, Button, Card, ProblemBox, Table, Time } from '../parts/basics'
import { createLoad } from '../parts/load'
import { createWrite } from '../parts/write'
import { t } from '../texts'

const SESSIONS = `${prefix}/_/console/sessions`

export function Sessions() {
  const loaded = createLoad(() => true, async (_, signal) => (await call<ListedSession[]>('GET', SESSIONS, { absolute: true, signal })).body)
  const write = createWrite()
  async function end(session: ListedSession) {
    // These routes remember no Idempotency-Key: to end a session twice is to end it.
    if (await write.send('DELETE', `${SESSIONS}/${encodeURIComponent(session.id)}`, { absolute: true, idempotencyKey: '', note: t.sessions.ended })) loaded.reload()
  }
  return (
    <Card title={t.sessions.title}>
      <ProblemBox problem={write.problem()} />
      <Await of={loaded}>
        {(sessions) => (
          <Table label={t.sessions.title} class="cards-on-phone">
            <thead>
              <tr>
                <th scope="col">{t.sessions.id}</th>
                <th scope="col">{t.sessions.key}</th>
                <th scope="col">{t.sessions.began}</th>
                <th scope="col">{t.keys.used}</th>
                <th scope="col">{t.keys.expires}</th>
                <th scope="col"><span class="sr">{t.actions}</span></th>
              </tr>
            </thead>
            <tbody>
              <For each={sessions()}>
                {(session) => (
                  <tr>
                    <th scope="row"><code>{session.id}</code></th>
                    <td data-label={t.sessions.key}><span>{session.key.name ?? t.keyNumber(session.key.id)} <Show when={session.current}><Badge tone="good">{t.sessions.current}</Badge></Show></span></td>
                    <td data-label={t.sessions.began}><Time of={session.created_at} /></td>
                    <td data-label={t.keys.used}><Time of={session.last_used_at} /></td>
                    <td data-label={t.keys.expires}><Time of={session.expires_at} /></td>
                    <td class="row-actions"><Show when={!session.current}><Button aria-label={`${t.sessions.end} ${session.id}`} onClick={() => end(session)} isBusy={write.isRunning()}>{t.sessions.end}</Button></Show></td>
                  </tr>
                )}
              </For>
            </tbody>
          </Table>
        )}
      </Await>
    </Card>
  )
}
