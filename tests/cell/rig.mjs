// The built Worker with cells: a front before it, at which an agent's requests can be lost, and a database, Redis and agent for each cell.
import assert from 'node:assert/strict'
import http from 'node:http'
import { startApi } from '../e2e/harness.mjs'
import { COUNTING } from '../e2e/rows_read.mjs'
import { atEnd } from '../lifetime.mjs'
import { makeAgent, startRedis } from './parts.mjs'

/**
 * Starts a proxy in front of a Worker, whose address stays the same when the Worker behind it is another one.
 * It is the agents' way to the Worker.
 */
async function startFront() {
  const front = {
    /** The Worker's address. */
    target: undefined,
    /** The agents' requests, each with its response's status and the rows that D1 read for it. */
    requests: [],
    /** Refuses every connection while it is true. */
    isDown: false,
    /** Drops a request before the Worker has it, if this returns true. */
    refuse: undefined,
    /** Drops the response of a request that the Worker has carried out, if this returns true. */
    lose: undefined,
  }
  const server = http.createServer((request, response) => {
    const { method, url, headers } = request
    if (front.isDown || front.refuse?.(method, url)) return void request.socket.destroy()
    const { hostname, port } = new URL(front.target)
    const onwards = http.request({ hostname, port, method, path: url, headers, agent: false }, (answer) => {
      front.requests.push({ method, url, status: answer.statusCode, rows: Number(answer.headers['x-test-rows-read']) })
      if (front.lose?.(method, url)) {
        answer.resume()
        return void request.socket.destroy()
      }
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    onwards.on('error', () => request.socket.destroy())
    request.pipe(onwards)
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  front.url = `http://127.0.0.1:${server.address().port}`
  return front
}

/** Starts the Worker with a front. `database` is the MariaDB of its cells. */
export async function startRig({ database, ...options } = {}) {
  const front = await startFront()
  // The agents sign the address that they know, which is the front's.
  const api = await startApi({ front: COUNTING, ...options, vars: { TENANTS_PUBLIC_URL: front.url, ...options.vars } })
  front.target = api.url
  return {
    api, front,

    /** Makes a cell, with a Redis and an agent of its own. The agent's key is bound, and can do nothing but its cell's work. */
    async cell(id, { redis, ...options } = {}) {
      await api.expect(201, 'PUT', `/cells/${id}`, { body: { name: 'A test' } })
      const { json: key } = await api.expect(201, 'POST', '/keys', { body: { name: `agent of ${id}`, scopes: [`cell:${id}`], bound: true } })
      const registry = { url: front.url, key: key.api_key, secret: key.signing_secret }
      redis ??= await startRedis()
      return { id, redis, registry, agent: makeAgent({ registry, redis, database, cell: id, ...options }) }
    },

    /** Creates a tenant on a cell. */
    tenant: (cell, id, more = {}) => api.expect(201, 'POST', '/tenants', { body: { id, hostname: `${id.replaceAll('_', '-')}.example.com`, is_enabled: true, cell_id: cell, ...more } }),
  }
}

/** The ids that a Redis has keys of. */
export const tenantsIn = async (redis) => (await redis.keys()).filter((key) => key.startsWith('chv:_:tenant:')).map((key) => key.slice('chv:_:tenant:'.length))

/** One round of an agent that does not run. */
export async function round(agent, status = 0) {
  const once = await agent.run('once')
  assert.equal(once.status, status, once.stderr)
  return once
}
