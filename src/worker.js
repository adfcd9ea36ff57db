// The Worker: what Cloudflare calls. Moves bytes between a request, the core (wasm, src/lib.rs) and D1, and decides nothing
// but what becomes of a request whose wasm trapped.
import { begin, beginStats, bodyLimitBytes, resume, takeBody } from '../build/index.js'
import { readBody } from './body.js'
import { run } from './d1.js'
import { causeOf, failed, instance, needs, prepare, waiting } from './recovery.js'

const limit = bodyLimitBytes()

export default {
  async fetch(request, env) {
    const began = Date.now()
    try {
      prepare(env, began)
      const reading = readBody(request, limit)
      const body = reading instanceof Promise ? await reading : reading
      let step = heard(begin(head(request, body), body, began))
      while (!(step instanceof Response)) step = await proceed(step, env.DB)
      return step
    } catch (error) {
      return failed(error, request, began)
    }
  },

  /** The cron trigger: counts some tenants' statistics. */
  async scheduled(_controller, env) {
    const began = Date.now()
    try {
      prepare(env, began)
      let step = beginStats(began)
      while (step.startsWith('R')) step = await proceed(step, env.DB)
      if (step.startsWith('E')) console.error(step.slice(1))
      else console.log(step.slice(1))
    } catch (error) {
      console.error(JSON.stringify({ level: 'error', job: 'stats', duration_ms: Date.now() - began, cause: causeOf(error) }))
    }
  },
}

/** The request's head, as `begin` reads it. No header's value and no URL has a line break. What nothing reads is not asked for. */
function head({ method, url, headers }, body) {
  const get = (name) => headers.get(name) ?? ''
  const traefik = url.includes('/config/traefik')
  return `${method}\n${url}\n${needs.address || traefik ? get('cf-connecting-ip') : ''}\n${get('x-api-key')}\n${get('x-signature')}\n${
    body?.length === 0 ? '' : get('content-type')}\n${get('x-request-id')}\n${
    traefik ? get('if-none-match') : ''}`
}

const encoder = new TextEncoder()

/** Runs the batch that a request or a job waits for, and goes on with its rows. */
async function proceed(step, db) {
  const [first, ...lines] = step.split('\n')
  const { number } = instance
  let rows
  let broke = false
  waiting.count++
  try {
    rows = await run(db, lines)
  } catch (error) {
    rows = String(error?.message ?? error)
    broke = true
  } finally {
    waiting.count--
  }
  // Another instance's handle may be another request's there.
  if (instance.number !== number) throw new Error('the wasm started anew while this waited for its rows')
  return heard(resume(Number(first.slice(1)), encoder.encode(rows), broke, Date.now()))
}

/** What the wasm says, an answer as the Response that it is: at once, since `takeBody` has that of the last answer alone, and another request's may be next. */
const heard = (step) => (step.startsWith('S') ? send(step) : step)

/** Logs the line, and makes the Response. Of the headers, those that are always there are not spelled out in the text. */
function send(step) {
  const [first, contentType, requestId, log, ...further] = step.split('\n')
  const status = Number(first.slice(1))
  if (status < 500) console.log(log)
  else console.error(log)
  const headers = contentType === ''
    ? { 'x-request-id': requestId, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
    : { 'content-type': contentType, 'x-request-id': requestId, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
  for (let i = 0; i < further.length; i += 2) headers[further[i]] = further[i + 1]
  return new Response(takeBody(), { status, headers })
}
