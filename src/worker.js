// The Worker: what Cloudflare calls. Moves bytes between a request, the core (wasm, src/lib.rs) and D1, and decides nothing
// but what becomes of a request whose wasm trapped.
import { begin, beginStats, bodyLimitBytes, bytesAt, resume, roomForRows, takeBody } from '../build/index.js'
import { readBody } from './body.js'
import { rowsOf, run } from './d1.js'
import { causeOf, failed, instance, needs, prepare, waiting } from './recovery.js'

const limit = bodyLimitBytes()

export default {
  async fetch(request, env, ctx) {
    const began = Date.now()
    try {
      prepare(env, began)
      const reading = readBody(request, limit)
      const read = reading instanceof Promise ? await reading : reading
      const body = read instanceof ArrayBuffer ? new Uint8Array(read) : read
      let step = heard(begin(head(request, body), body, began), ctx)
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
      const log = step.slice(1)
      if (step.startsWith('E')) console.error(log)
      else if (log !== '') console.log(log)
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

/** Runs the batch that a request or a job waits for, and goes on with its rows. */
async function proceed(step, db) {
  const [first, ...lines] = step.split('\n')
  const { number } = instance
  let rows
  let broke = false
  waiting.count++
  try {
    rows = rowsOf(lines, await run(db, lines))
  } catch (error) {
    rows = String(error?.message ?? error)
    broke = true
  } finally {
    waiting.count--
  }
  // Another instance's handle may be another request's there.
  if (instance.number !== number) throw new Error('the wasm started anew while this waited for its rows')
  return heard(resume(Number(first.slice(1)), hand(rows), broke, Date.now()))
}

const encoder = new TextEncoder()

/** Up to which length a text is written without being measured before, for which room is kept. */
const SHORT = 64 * 1024

/** Writes rows to where `resume` reads them. Answers of how many bytes they are. */
function hand(rows) {
  if (rows.length > SHORT) {
    const bytes = encoder.encode(rows)
    bytesAt(roomForRows(bytes.length), bytes.length).set(bytes)
    return bytes.length
  }
  // One of a text's units takes three bytes of UTF-8 at the most.
  const room = 3 * rows.length
  return encoder.encodeInto(rows, bytesAt(roomForRows(room), room)).written
}

/**
 * What the wasm says, an answer as the Response that it is: at once, since `takeBody` has that of the last answer alone, and another
 * request's may be next. `ctx` is for `logLine`.
 */
const heard = (step, ctx) => (step.startsWith('S') ? send(step, ctx) : step)

/** Has the line logged, and makes the Response. */
function send(step, ctx) {
  const end = step.indexOf('\n\t\n')
  const [first, requestId, log, ...further] = (end < 0 ? step : step.slice(0, end)).split('\n')
  const { template, headers } = templateOf(first)
  if (log !== '') logLine(template.status, log, ctx)
  headers.set('x-request-id', requestId)
  const response = new Response(end < 0 ? takeBody() : step.slice(end + 3) || null, template)
  for (let i = 0; i < further.length; i += 2) response.headers.set(further[i], further[i + 1])
  return response
}

/**
 * Logs a line: with a `ctx`, once the answer is out, so that a caller who is refused is told before the log is. Locally that spares a
 * fifth of such a request (the write wakes whoever reads the log); where D1 was asked, the wait costs as much as it spares.
 */
function logLine(status, line, ctx) {
  const write = () => (status >= 500 ? console.error(line) : console.log(line))
  if (ctx === undefined) write()
  else ctx.waitUntil(scheduler.wait(0).then(write))
}

/** By an answer's first line, a Response without a body that has all that the line says. */
const templates = new Map()

/** There are few such lines, and a Response takes over what another one has sooner than what is spelled out. */
function templateOf(line) {
  const known = templates.get(line)
  if (known !== undefined) return known
  const [status, ...constants] = line.slice(1).split('\t')
  const template = new Response(null, { status: Number(status) })
  const { headers } = template
  for (let i = 0; i < constants.length; i += 2) headers.set(constants[i], constants[i + 1])
  const made = { template, headers }
  templates.set(line, made)
  return made
}
