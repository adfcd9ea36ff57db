// What becomes of requests when the wasm trapped: a panic, or memory or stack that ran out. The request that trapped is answered
// 500 and logged with its id; those that wait for their rows go on in the same instance; then the wasm starts anew.
import { configure, instantiate, takePanic } from '../build/index.js'

/** How many requests wait for their rows. */
export const waiting = { count: 0 }

/** Which instance of the wasm serves: one more each time that it starts anew. A handle is of the instance that gave it. */
export const instance = { number: 0 }

/** What the configuration has `begin` be told. */
export const needs = { address: true }

/** For how long the instance that trapped is kept for them, at the most. */
const PATIENCE_MS = 10_000

let configured = false
let trappedAt = 0

/** Before each request: sets the wasm up, once for an isolate and again after a trap. */
export function prepare(env, now) {
  if (trappedAt !== 0 && (waiting.count === 0 || now - trappedAt > PATIENCE_MS)) {
    instantiate()
    instance.number++
    trappedAt = 0
    configured = false
  }
  if (!configured) {
    needs.address = configure(env)
    configured = true
  }
}

/** What the log says of an error; where it is a trap, the wasm is to start anew. */
export function causeOf(error) {
  const trapped = error instanceof WebAssembly.RuntimeError
  if (trapped) trappedAt ||= Date.now()
  return (trapped && takePanic()) || String(error?.stack ?? error)
}

/** The answer to a request that the wasm did not live to answer. */
export function failed(error, request, began) {
  const cause = causeOf(error)
  const asked = request.headers.get('x-request-id') ?? ''
  const requestId = /^[A-Za-z0-9._-]{1,64}$/.test(asked) ? asked : crypto.randomUUID()
  console.error(JSON.stringify({
    level: 'error', method: request.method, route: null, status: 500, key_id: null, duration_ms: Date.now() - began,
    request_id: requestId, cause,
  }))
  const problem = {
    type: 'about:blank', title: 'Internal Server Error', status: 500,
    detail: 'something failed on this side; the log has it under the request id', code: 'internal', request_id: requestId,
  }
  return new Response(request.method === 'HEAD' ? null : JSON.stringify(problem), {
    status: 500,
    headers: {
      'content-type': 'application/problem+json', 'x-request-id': requestId, 'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    },
  })
}
