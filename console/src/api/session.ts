// The session of the person who is signed in. Its cookie is out of reach for scripts; here is only what the page has to know of it.

import { createSignal } from 'solid-js'
import { Refused, SESSION, call, hooks } from './client'
import { sign } from './signer'
import type { Session } from './types'

/** `loading` at first; `out` without a session; `over` where one has ended while its page is open; `ending` where the page has ended it itself, and still shows what came of that. */
export type Standing = 'loading' | 'out' | 'in' | 'over' | 'ending'

const [standing, setStanding] = createSignal<Standing>('loading')
const [session, setSession] = createSignal<Session>()
/** Grows whenever somebody signs in. */
const [signIns, setSignIns] = createSignal(0)
export { session, signIns, standing }

hooks.csrfToken = () => session()?.csrf_token
hooks.keyId = () => session()?.key.id
hooks.ended = () => setStanding((was) => (was === 'in' ? 'over' : was === 'loading' ? 'out' : was))
hooks.refresh = async () => {
  const body = await current()
  setSession(body)
  return body
}

async function current(): Promise<Session | undefined> {
  try {
    return (await call<Session>('GET', SESSION, { absolute: true })).body
  } catch (error) {
    if (error instanceof Refused && (error.problem.status === 401 || error.problem.status === 404)) return undefined
    throw error
  }
}

/** Looks for a session that an earlier page has begun. */
export async function resume() {
  const body = await current()
  setSession(body)
  setStanding(body ? 'in' : 'out')
}

/** Signs one request with what the two inputs hold, and empties the second at once. */
export async function signIn(key: HTMLInputElement, secret: HTMLInputElement) {
  const target = SESSION
  const headers = await sign({ key: key.value.trim(), secret, method: 'POST', origin: location.origin, target })
  const { body } = await call<Session>('POST', SESSION, { absolute: true, headers: { ...headers, 'X-API-Key': key.value.trim() }, idempotencyKey: '', retries: 0 })
  key.value = ''
  setSession(body)
  setStanding('in')
  setSignIns((count) => count + 1)
}

export async function signOut() {
  try {
    await call('DELETE', SESSION, { absolute: true, idempotencyKey: '', endsSession: true })
  } catch (error) {
    // It has ended before, or by a request whose answer was lost.
    if (!(error instanceof Refused && error.problem.status === 401)) throw error
  }
  leave()
}

/** Shows the page for signing in, and nothing else. */
export function leave() {
  // The pages go first: they are made for a session.
  setStanding('out')
  setSession(undefined)
}

/** For a write that has ended its own session: the page goes on to show its answer, and nothing opens above that until `leave`. */
export const leaveLater = () => setStanding('ending')

/** Whether the session may do something, by its scopes (docs/API.md §13). */
export function can(...scopes: string[]): boolean {
  const held = session()?.scopes ?? []
  const has = (scope: string) => held.includes('*') || held.includes(scope) || (scope.endsWith(':read') && held.includes(scope.replace(/:read$/, ':write')))
  return scopes.every(has)
}
