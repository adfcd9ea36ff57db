// HTTP requests of the service itself, such as those of webhooks: by the host's `fetch` option, or in Node, Bun and Deno by a connection to the very
// address that was checked.

/**
 * Sends a request by a function like the platform's `fetch`, and reads the first bytes of the answer.
 * @returns the status and the bytes
 */
export async function sendBy(fetch, { method, url, headers, body, limit, timeout }) {
  const signal = AbortSignal.timeout(timeout)
  // A host's function need not obey the signal.
  const answer = await aborted(signal, fetch(url, { method, headers, body: body === '' ? undefined : body, redirect: 'manual', signal }))
  const reader = answer.body?.getReader()
  const stop = () => reader?.cancel().catch(() => {})
  try {
    return [answer.status, await firstBytes(limit, reader && (async () => (await aborted(signal, reader.read())).value), stop)]
  } catch (error) {
    stop()
    throw error
  }
}

async function firstBytes(limit, next, stop) {
  const bytes = new Uint8Array(limit)
  let length = 0
  for (let value; next && length < limit && (value = await next()) !== undefined;) {
    const part = value.subarray(0, limit - length)
    bytes.set(part, length)
    length += part.length
  }
  if (length === limit) stop()
  return bytes.subarray(0, length)
}

/**
 * The default of Node and what is like it: resolves the name, judges its addresses, and connects to the first that accepts a connection, by its number. Each
 * but the last has its share of the time that is left for that.
 * So nothing resolves the name a second time. `mayConnectTo` is the core's judgement. `undefined` on a platform without Node's modules.
 */
export function checkedSender() {
  const builtin = globalThis.process?.getBuiltinModule
  const [dns, http, https] = ['node:dns/promises', 'node:http', 'node:https'].map((name) => builtin?.(name))
  if (!dns || !http || !https) return undefined
  return async ({ method, url, headers, body, limit, timeout }, mayConnectTo) => {
    const end = performance.now() + timeout
    const signal = AbortSignal.timeout(timeout)
    const { protocol, hostname, host, port, pathname, search } = new URL(url)
    const name = hostname.replace(/^\[|\]$/g, '')
    const found = await aborted(signal, dns.lookup(name, { all: true }))
    const refused = found.find(({ address }) => !mayConnectTo(address))
    if (refused || found.length === 0) throw new Error(`${name} resolves to ${refused?.address ?? 'nothing'}, which may not be called`)
    const isSecure = protocol === 'https:'
    const ask = (address, connectWithin) => new Promise((resolve, reject) => {
      const request = (isSecure ? https : http).request({
        method, host: address, port: port || (isSecure ? 443 : 80), path: pathname + search, agent: false, signal,
        headers: { ...Object.fromEntries(headers), host, 'content-length': new TextEncoder().encode(body).length },
        ...(isSecure && address !== name && { servername: name }),
      })
      const late = () => request.destroy(Object.assign(new Error(`${address} accepts no connection in time`), { syscall: 'connect' }))
      const timer = connectWithin && setTimeout(late, connectWithin)
      request.on('socket', (socket) => socket.once('connect', () => clearTimeout(timer)))
      request.on('response', resolve).on('error', reject)
      // Node reports an answer that changes the protocol (101) by this event alone.
      request.on('upgrade', (answer, socket) => {
        socket.destroy()
        resolve(answer)
      })
      request.on('close', () => {
        clearTimeout(timer)
        reject(new Error('the connection ended without an answer'))
      })
      request.end(body)
    })
    let answer
    for (const [i, { address }] of found.entries()) {
      const others = found.length - i - 1
      try {
        answer = await ask(address, others > 0 ? Math.max(1, (end - performance.now()) / (others + 1)) : undefined)
        break
      } catch (error) {
        // Without a connection nothing was sent, so another address may have the request.
        if (error.syscall !== 'connect' || others === 0) throw error
      }
    }
    const parts = answer[Symbol.asyncIterator]()
    const bytes = await firstBytes(limit, async () => (await aborted(signal, parts.next())).value, () => {})
    answer.destroy()
    return [answer.statusCode, bytes]
  }
}

/** Rejects if the signal comes first. */
function aborted(signal, promise) {
  return new Promise((resolve, reject) => {
    const end = () => reject(signal.reason)
    if (signal.aborted) end()
    signal.addEventListener('abort', end, { once: true })
    Promise.resolve(promise).then(resolve, reject).finally(() => signal.removeEventListener('abort', end))
  })
}
