// A stand-in for the registry's routes that an agent calls, in memory. It answers as docs/API.md describes them (§15).
import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import http from 'node:http'
import { after } from 'node:test'
import { NO_STATS } from '../e2e/harness.mjs'
import { until } from './parts.mjs'

const BASE = '/_/api/4'

/** Whether a request has the signature of a bound key, which covers the whole of it (RFC 9421). */
function isSigned({ method, url, headers }, body, secret) {
  const [, label, params] = /^(\w+)=(\(.*)$/.exec(headers['signature-input'] ?? '') ?? []
  if (!params) return false
  const components = [...params.split(')')[0].matchAll(/"([^"]+)"/g)].map(([, name]) => name)
  const needed = ['@method', '@target-uri', 'x-api-key', ...['if-none-match', 'idempotency-key'].filter((name) => name in headers), ...(body.length ? ['content-digest'] : [])]
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`
  if (!needed.every((name) => components.includes(name)) || (body.length && headers['content-digest'] !== digest)) return false
  const values = { '@method': method, '@target-uri': `http://${headers.host}${url}`, ...headers }
  const base = [...components.map((name) => `"${name}": ${values[name]}`), `"@signature-params": ${params}`].join('\n')
  return headers.signature === `${label}=:${createHmac('sha256', secret).update(base).digest('base64')}:`
}

/** Starts a stand-in for a registry with one cell. */
export async function startRegistry({ cell = 'main' } = {}) {
  const secret = randomBytes(16).toString('hex')
  const key = `chv_1_${randomBytes(16).toString('hex')}`
  /** Requests that came, as `METHOD /path`, with their status. */
  const requests = []
  /** Tenants and marks by id, each with its revision. */
  let rows = new Map()
  let epoch = 1
  let revision = 0
  const jobs = []
  const stats = new Map()
  let isDown = false
  let seen = 0
  let pageTenants = Infinity

  const cursorOf = (row) => Buffer.from(JSON.stringify([epoch, row?.revision ?? 0, row?.id ?? ''])).toString('base64url')
  const problem = (status, code) => ({ status, body: { type: 'about:blank', title: code, status, detail: code, code, request_id: 'r', errors: [] } })

  function page(query) {
    const after = query.get('after')
    let from = [0, '']
    if (after !== null) {
      const [of, ...rest] = JSON.parse(Buffer.from(after, 'base64url').toString())
      if (of !== epoch) return problem(410, 'cursor_gone')
      from = rest
    }
    const all = [...rows.values()].filter((row) => after !== null || !row.gone)
      .filter((row) => row.revision > from[0] || (row.revision === from[0] && row.id > from[1]))
      .sort((a, b) => a.revision - b.revision || (a.id < b.id ? -1 : 1))
    const limit = Math.min(Number(query.get('limit') ?? 500), pageTenants)
    const some = all.slice(0, limit)
    const waiting = leasable().length > 0
    const etag = `"${epoch}-${revision}-${waiting}-${after ?? ''}"`
    const last = some.at(-1)
    return {
      status: 200, etag: waiting ? undefined : etag, compare: etag,
      body: {
        cursor: last ? cursorOf(last) : after ?? cursorOf([...rows.values()].sort((a, b) => b.revision - a.revision)[0]),
        more: all.length > some.length, jobs_waiting: waiting,
        gone: some.filter((row) => row.gone).map((row) => row.id),
        tenants: some.filter((row) => !row.gone).map(({ error, id, ...tenant }) => (error ? { id, revision: tenant.revision, error } : { id, ...tenant })),
      },
    }
  }

  const leasable = () => jobs.filter((job) => job.state === 'waiting' || (job.state === 'running' && job.leased_until < Date.now()))
  const ofLease = (id, body) => jobs.find((job) => job.id === id && job.lease === body.lease)

  function answer(method, path, query, body) {
    if (method === 'GET' && path === `/cells/${cell}/tenants`) return page(query)
    if (method === 'GET' && path === '/config/traefik') return !registry.traefik() ? problem(404, 'not_found') : { status: 200, etag: `"${epoch}-${revision}"`, compare: `"${epoch}-${revision}"`, body: registry.traefik() }
    if (method === 'POST' && path === `/cells/${cell}/jobs/lease`) {
      const leased = leasable().slice(0, body.max)
      for (const job of leased) Object.assign(job, { state: 'running', attempt: job.attempt + 1, lease: randomBytes(8).toString('hex'), leased_until: Date.now() + 1000 * (registry.leaseSeconds ?? body.seconds) })
      return { status: 200, body: { jobs: leased.map(({ id, lease, tenant_id, kind, attempt, input }) => ({ id, lease, leased_until: '', tenant_id, kind, attempt, input })) } }
    }
    if (method === 'POST' && path === `/cells/${cell}/stats`) {
      const names = (object) => Object.keys(object).sort().join()
      if (body.tenants.some((one) => names(one.stats) !== names(NO_STATS))) return problem(422, 'invalid')
      for (const one of body.tenants) stats.set(one.id, one)
      return { status: 200, body: { stored: body.tenants.length } }
    }
    const [, id, what] = /^\/jobs\/([^/]+)\/(renew|finish)$/.exec(path) ?? []
    if (method !== 'POST' || !id) return problem(404, 'not_found')
    const job = ofLease(id, body)
    if (!job) return problem(409, 'lease_lost')
    if (what === 'renew') {
      if (job.state !== 'running' || job.leased_until < Date.now()) return problem(409, 'lease_lost')
      job.leased_until = Date.now() + 1000 * (registry.leaseSeconds ?? body.seconds)
    } else {
      assert.ok(['done', 'refused', 'failed'].includes(body.state))
      if (job.state === 'running') Object.assign(job, { state: body.state, error: body.error ?? null })
    }
    return { status: 204 }
  }

  const server = http.createServer((request, response) => {
    const chunks = []
    request.on('data', (c) => chunks.push(c)).on('end', () => {
      const raw = Buffer.concat(chunks)
      const url = new URL(request.url, 'http://registry')
      const reply = ({ status, body, etag }) => {
        requests.push({ method: request.method, path: url.pathname.slice(BASE.length), query: url.searchParams, status })
        const text = body === undefined ? '' : JSON.stringify(body)
        response.writeHead(status, { 'content-type': 'application/json', ...(etag ? { etag } : {}) }).end(text)
      }
      if (isDown) return void request.socket.destroy()
      seen++
      // The request is taken, and never answered.
      if (registry.hangs === true || (registry.hangs && registry.hangs(request.method, url.pathname))) return
      assert.ok(url.pathname.startsWith(BASE))
      if (request.headers['x-api-key'] !== key || !isSigned(request, raw, secret)) return reply(problem(401, 'unauthorized'))
      const result = answer(request.method, url.pathname.slice(BASE.length), url.searchParams, raw.length ? JSON.parse(raw) : {})
      if (result.compare && request.headers['if-none-match'] === result.compare && result.etag) return reply({ status: 304, etag: result.etag })
      if (registry.lose?.(request.method, url.pathname)) return void request.socket.destroy()
      reply(result)
    })
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  const registry = {
    url: `http://127.0.0.1:${server.address().port}`, key, secret, requests, jobs, stats,
    /** Makes or changes tenants in one write: all get the same revision. */
    put(...tenants) {
      revision++
      for (const tenant of tenants) {
        const old = rows.get(tenant.id)
        const base = old && !old.gone ? old : {
          hostname: `${tenant.id.toLowerCase()}.example`, is_enabled: true, plan_id: null, limits: null, env: null, created_at: '2026-08-17 23:15:57', updated_at: null,
        }
        const merged = { ...base, ...tenant, revision }
        merged.hostnames = tenant.hostnames ?? [merged.hostname]
        rows.set(tenant.id, merged)
      }
    },
    remove(...ids) {
      for (const id of ids) rows.set(id, { id, gone: true, revision: ++revision })
    },
    /** Reads a tenant again that had an `error`, as after a key came back: its revision stays. */
    mend: (id) => { delete rows.get(id).error },
    job(kind, tenant_id, input = null) {
      const job = { id: randomBytes(8).toString('hex'), kind, tenant_id, input, state: 'waiting', attempt: 0, lease: null, leased_until: 0, error: null }
      jobs.push(job)
      return job
    },
    install: (id, password = 'correct horse') => registry.job('install', id, { username: 'admin', email: 'admin@example.com', password }),
    ended: (job) => until(() => !['waiting', 'running'].includes(job.state) && job, () => `the job does not end: ${JSON.stringify(job)}`, { within: 60_000 }),
    down(value) {
      isDown = value
      if (value) server.closeAllConnections()
    },
    /** Copies the database, for `restore`. */
    copy: () => ({ rows: new Map([...rows].map(([id, row]) => [id, { ...row }])), revision }),
    restore(copy) {
      rows = new Map([...copy.rows].map(([id, row]) => [id, { ...row }]))
      revision = copy.revision
      epoch++
    },
    pages: (tenants) => { pageTenants = tenants },
    /** Drops the connection after the request was carried out, if this returns true. */
    lose: undefined,
    /** Answers nothing more if it is `true`. A function says which requests get no answer, by method and path. */
    hangs: false,
    /** How many requests came, answered or not. */
    seen: () => seen,
    /** Shortens leases. */
    leaseSeconds: undefined,
    traefik: () => ({
      http: {
        routers: Object.fromEntries([...rows.values()].filter((row) => !row.gone).map((row) => [row.id, { rule: row.hostnames.map((h) => `Host(\`${h}\`)`).join(' || '), service: 'chevereto' }])),
        services: { chevereto: { loadBalancer: { servers: [{ url: registry.service ?? 'http://127.0.0.1:1' }] } } },
      },
    }),
    service: undefined,
    polls: () => requests.filter((r) => r.path === `/cells/${cell}/tenants`),
  }
  return registry
}
