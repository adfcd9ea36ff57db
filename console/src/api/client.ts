// Calls the API. A write carries an Idempotency-Key, so asking again after a lost answer does nothing twice.

import { t } from '../texts'
import type { FieldError, Problem, SentProblem, Session } from './types'

/** The path before `/console/` in this page's address: empty, unless a proxy adds one. */
export const prefix = location.pathname.replace(/\/console\/.*$/s, '')
export const API = `${prefix}/_/api/4`
export const SESSION = `${prefix}/_/console/session`

/** The API refused a request, or failed. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail)
  }
}

/** No answer came. Nobody knows whether a write was made: the same Idempotency-Key asks again safely. */
export class Lost extends Error {}

export interface Answer<T> {
  status: number
  body: T
  headers: Headers
  etag: string | undefined
}

export interface Options {
  body?: unknown
  headers?: Record<string, string>
  ifMatch?: string | undefined
  idempotencyKey?: string
  signal?: AbortSignal
  /** How often to ask again (2). */
  retries?: number
  /** An address outside of the API's base path. */
  absolute?: boolean
  /** It may end the session, so its 401 is left to the caller. */
  endsSession?: boolean
}

/** The rest of the console sets these. */
export const hooks: { csrfToken: () => string | undefined; keyId: () => number | undefined; refresh: () => Promise<Session | undefined>; ended: () => void } = {
  csrfToken: () => undefined,
  keyId: () => undefined,
  refresh: async () => undefined,
  ended: () => {},
}

const RETRIES = 2
/** For a request with all its tries. The longest that the API is asked to wait is 20 s. */
const TIMEOUT_MS = 90_000

/** Sends a request, again if the connection is lost or the database is busy. Throws `Refused` or `Lost`. */
export async function call<T>(method: string, path: string, options: Options = {}): Promise<Answer<T>> {
  const isWrite = method !== 'GET'
  const idempotencyKey = isWrite ? (options.idempotencyKey ?? crypto.randomUUID()) : undefined
  let isRefreshed = false
  const timeout = AbortSignal.timeout(TIMEOUT_MS)
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
  refuseDots(path)
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await once<T>(method, path, { ...options, signal }, idempotencyKey)
    } catch (error) {
      if (options.signal?.aborted) throw error
      if (error instanceof Refused && error.problem.code === 'csrf_token_mismatch' && !isRefreshed) {
        // Another tab signed in anew: the cookie has another token. What was begun under one key is not done under another.
        isRefreshed = true
        const key = hooks.keyId()
        const now = await hooks.refresh()
        if (now && now.key.id !== key) throw new Refused(pageProblem(t.otherKey, t.otherKeyDetail(now.key.name ?? String(now.key.id))))
        if (now) continue
        throw error
      }
      const isPassing = error instanceof Lost || (error instanceof Refused && error.problem.code === 'unavailable')
      if (!isPassing || timeout.aborted || attempt >= (options.retries ?? RETRIES)) {
        if (error instanceof Refused && error.problem.status === 401 && !options.endsSession) hooks.ended()
        throw error
      }
      await new Promise((resolve) => setTimeout(resolve, 300 * 3 ** attempt))
    }
  }
}

/** The browser would leave out a part of the path that is `.` or `..` and call another address. */
function refuseDots(path: string) {
  if (path.replace(/\?.*/s, '').split('/').some((part) => part === '.' || part === '..')) throw new Refused(pageProblem(t.dots, t.dotsDetail))
}

/** A problem that the page has found itself. */
export const pageProblem = (title: string, detail: string, errors: FieldError[] = []): Problem => ({ status: 422, code: 'page', title, detail, errors })

async function once<T>(method: string, path: string, options: Options, idempotencyKey: string | undefined): Promise<Answer<T>> {
  const headers: Record<string, string> = { Accept: 'application/json', ...options.headers }
  if (options.body !== undefined) headers['Content-Type'] = 'application/json'
  if (idempotencyKey) headers['Idempotency-Key'] = idempotencyKey
  if (options.ifMatch) headers['If-Match'] = options.ifMatch
  const token = hooks.csrfToken()
  if (method !== 'GET' && token) headers['X-CSRF-Token'] = token
  let response: Response
  let text: string
  try {
    response = await fetch(options.absolute ? path : API + path, {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      credentials: 'same-origin',
      cache: 'no-store',
      redirect: 'error',
      signal: options.signal ?? null,
    })
    text = await response.text()
  } catch {
    throw new Lost()
  }
  const type = response.headers.get('Content-Type') ?? ''
  let body: unknown
  try {
    body = type.includes('json') && text ? JSON.parse(text) : undefined
  } catch {
    // An answer that breaks off in the middle is not one.
    throw new Lost()
  }
  if (!response.ok) throw new Refused(problemOf(response, body))
  return { status: response.status, body: body as T, headers: response.headers, etag: etagOf(response.headers) }
}

/** The version for `If-Match`. A proxy that compresses makes a tag weak; its value is the same. */
function etagOf(headers: Headers): string | undefined {
  return headers.get('ETag')?.replace(/^W\//, '') ?? undefined
}

function problemOf(response: Response, body: unknown): Problem {
  const given = (typeof body === 'object' && body !== null ? body : {}) as Partial<SentProblem>
  return {
    status: response.status,
    code: given.code ?? 'unexpected',
    title: given.title ?? response.statusText,
    detail: given.detail ?? `${response.status} ${response.statusText}`,
    errors: given.errors ?? [],
    ...(given.scope ? { scope: given.scope } : {}),
    requestId: response.headers.get('X-Request-Id') ?? undefined,
  }
}

export const get = async <T>(path: string, signal?: AbortSignal): Promise<Answer<T>> => call<T>('GET', path, signal ? { signal } : {})

/** The value of `after` that a `Link` header gives for the next page. */
export function nextOf(headers: Headers): string | undefined {
  const link = headers.get('Link')?.match(/<([^>]+)>;\s*rel="next"/)?.[1]
  if (!link) return undefined
  return new URL(link, location.origin).searchParams.get('after') ?? undefined
}

/** Writes a query. Values that are missing or empty are left out; a list gives a parameter for each value. */
export function query(parameters: Record<string, string | number | string[] | undefined | false>): string {
  const parts: string[] = []
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined || value === false || value === '') continue
    for (const one of Array.isArray(value) ? value : [String(value)]) parts.push(`${name}=${encodeURIComponent(one)}`)
  }
  return parts.length ? `?${parts.join('&')}` : ''
}

/** Reads all pages of a list, `limit` items at a time. `onPage` shows the progress. */
export async function all<T>(path: string, parameters: Record<string, string | number | undefined>, { signal, limit = 1000, maximum = Infinity, onPage }: { signal?: AbortSignal; limit?: number; maximum?: number; onPage?: (soFar: T[]) => void } = {}): Promise<T[]> {
  const items: T[] = []
  let after: string | undefined
  do {
    const page: Answer<T[]> = await get<T[]>(path + query({ ...parameters, limit, after }), signal)
    items.push(...page.body)
    onPage?.(items)
    after = nextOf(page.headers)
  } while (after !== undefined && items.length < maximum)
  return items
}
