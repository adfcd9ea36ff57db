// Shared by all runners in JavaScript: runs the scenarios, and compares each response with the expected one. Uses no API of a
// particular platform, so that it runs in all of them.

const MARKS = {
  '<request-id>': '[A-Za-z0-9._-]{1,64}',
  '<time>': '\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d',
  '<password>': '[A-Za-z0-9_-]{16,128}',
  '<version>': '[A-Za-z0-9._-]{1,64}',
  '<id>': '[0-9a-f]{32}',
}

/** Returns the bytes of a request's body, or undefined if it has none. */
export function bytesOf(body) {
  if (body === undefined) return undefined
  if (typeof body === 'string') return new TextEncoder().encode(body)
  if ('base64' in body) return Uint8Array.from(atob(body.base64), (c) => c.charCodeAt(0))
  return new TextEncoder().encode(body.repeat.repeat(body.times))
}

const utf8 = (text) => new TextEncoder().encode(text)

/** Returns a request with the times and the signature that its headers have marks for. */
export async function signed({ signing, ...request }) {
  if (!signing) return request
  const now = Math.floor(Date.now() / 1000)
  const timed = (text) => text.replace(/<now([+-]\d+)?>/g, (_, seconds) => String(now + Number(seconds ?? 0)))
  const key = await crypto.subtle.importKey('raw', utf8(signing.secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  const bytes = new Uint8Array(await crypto.subtle.sign('HMAC', key, utf8(timed(signing.base))))
  const signature = btoa(String.fromCharCode(...bytes))
  const headers = Object.entries(request.headers).map(([name, value]) => [name, timed(value).replaceAll('<signature>', () => signature)])
  return { ...request, headers: Object.fromEntries(headers) }
}

/**
 * Lists the differences between the expected and the actual response.
 * @param {{status: number, header: (name: string) => string | null | undefined, body: string}} answer
 */
export function differences(expect, answer) {
  const found = []
  if (answer.status !== expect.status) found.push(`status: expected ${expect.status}, got ${answer.status}`)
  for (const [name, expected] of Object.entries(expect.headers)) {
    const got = answer.header(name) ?? null
    if (expected === null ? got !== null : got === null || !matches(expected, got)) found.push(`${name}: expected ${expected}, got ${got}`)
  }
  const id = answer.header('x-request-id') ?? ''
  if (!matches(expect.body.replaceAll('"request_id":"<request-id>"', () => `"request_id":"${id}"`), answer.body)) {
    found.push(`body: expected ${expect.body}\n  got ${answer.body}`)
  }
  return found
}

function matches(expected, got) {
  const pattern = expected.split(/(<request-id>|<time>|<password>|<version>|<id>)/).map((part) => MARKS[part] ?? part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('')
  return new RegExp(`^${pattern}$`).test(got)
}

/** The response that stands for a host that refused to start, because the configuration has an error. */
const REFUSED = /^\{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"[^"]*","code":"not_configured",/

/**
 * Runs scenarios on a host. A host that can refuse to start does so where the Worker answers every request with a 503: `start` then returns
 * `{ refused: true }`, which passes if that is what the scenario's requests expect.
 * @param {(scenario: object) => Promise<{run(statements: object[]): unknown, send(request: object, bytes?: Uint8Array): Promise<object>, stop?(): unknown}>} start
 * @returns {Promise<{passed: number, failed: number, failures: string[]}>} how many requests passed and failed, and why
 */
export async function runAll(scenarios, start) {
  const result = { passed: 0, failed: 0, failures: [] }
  for (const scenario of scenarios) {
    const host = await start(scenario)
    if (host.refused) {
      for (const { name, request, expect } of scenario.steps) {
        if (!request) continue
        if (expect.status === 503 && REFUSED.test(expect.body)) result.passed++
        else {
          result.failed++
          result.failures.push(`${scenario.name}: ${name}: the host refused the configuration`)
        }
      }
      continue
    }
    try {
      await host.run(scenario.setup)
      for (const step of scenario.steps) {
        if (step.setup) await host.run(step.setup)
        else {
          const found = differences(step.expect, await host.send(await signed(step.request), bytesOf(step.request.body)))
          if (found.length === 0) result.passed++
          else {
            result.failed++
            result.failures.push(`${scenario.name}: ${step.name}: ${found.join('; ')}`)
          }
        }
      }
    } finally {
      await host.stop?.()
    }
  }
  return result
}
