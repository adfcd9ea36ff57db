// Measures whether a registry with many sites that have a database each is slower than one with few: the built Worker in workerd, with
// D1 and a Durable Object for each site. Prints the processor time of workerd for each kind of request, on both in turn.
//   npm run build && node benches/sites.mjs [sites, by default 10000] [rounds, by default 200]
// 10,000 sites take about ten minutes to install, and a gigabyte or two of disk.
import { readFileSync, readdirSync } from 'node:fs'
import { startApi } from '../tests/e2e/harness.mjs'

const [many = 10_000, rounds = 200] = process.argv.slice(2).map(Number)
const FEW = 10
const AT_ONCE = 8
/** Sites that one run of the cron trigger counts. */
const COUNTED = 8
// The cheapest hash that is allowed: it takes the same time everywhere.
const vars = {
  CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'database', TENANTS_PASSWORD_MEMORY_KIB: '7168', TENANTS_PASSWORD_PASSES: '5',
  TENANTS_STATS_MIN_AGE: '0', TENANTS_STATS_PER_RUN: String(COUNTED),
}
const admin = { username: 'admin', email: 'admin@example.com', password: 'a password' }

/** Processes named workerd that this one has started. */
const workerds = () => readdirSync('/proc').filter((pid) => {
  try {
    const [, name, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return name?.startsWith('workerd') && Number(parent) === process.pid
  } catch {
    return false // It ended meanwhile, or is no process.
  }
})

/** The processor time of a process, in milliseconds. The kernel counts in steps of 10 ms. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function start(sites) {
  const before = workerds()
  const api = await startApi({ vars })
  const pid = workerds().find((pid) => !before.includes(pid))
  const ids = Array.from({ length: sites }, (_, i) => `s${String(i).padStart(6, '0')}`)
  const left = ids.values()
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const id of left) {
      await api.tenant({ id, hostname: `${id}.example.com` })
      await api.expect(201, 'POST', `/tenants/${id}/install`, { body: admin })
    }
  }))
  return { api, pid, ids }
}

let made = 0
const kinds = {
  'POST /tenants': (api) => api.expect(201, 'POST', '/tenants', { body: { id: `n${made}`, hostname: `n${made}.example.com`, is_enabled: true } }),
  install: (api) => api.expect(201, 'POST', `/tenants/n${made}/install`, { body: admin }),
  'reset a password': (api, id) => api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin' } }),
  'GET /tenants/{id}': (api, id) => api.expect(200, 'GET', `/tenants/${id}`),
  'PATCH /tenants/{id}': (api, id) => api.expect(204, 'PATCH', `/tenants/${id}`, { body: { labels: { round: String(made) } } }),
  [`count the statistics of ${COUNTED} sites`]: (api) => api.scheduled(),
  'delete and drop': (api) => api.expect(204, 'DELETE', `/tenants/n${made}`, { body: { drop_tables: true } }),
}

const small = await start(FEW)
console.log(`installing ${many} sites…`)
const big = await start(many)
const used = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, { few: 0, many: 0 }]))
// A block of requests of one kind on one of the two, then on the other: the kernel's steps are too coarse for a single request.
const BLOCK = 20
for (let round = 0; round < rounds / BLOCK; round++) {
  const first = made
  for (const [kind, send] of Object.entries(kinds)) {
    for (const [name, { api, pid, ids }] of round % 2 ? [['few', small], ['many', big]] : [['many', big], ['few', small]]) {
      const before = cpu(pid)
      for (let i = 0; i < BLOCK; i++) {
        made = first + i
        await send(api, ids[Math.floor(Math.random() * ids.length)])
      }
      used[kind][name] += cpu(pid) - before
    }
  }
  made = first + BLOCK
}
console.log(`processor time of workerd, ${rounds} rounds\n\n| | ${FEW} sites | ${many} | ratio |\n|---|---|---|---|`)
for (const [kind, { few, many }] of Object.entries(used)) console.log(`| ${kind} | ${(few / rounds).toFixed(2)} ms | ${(many / rounds).toFixed(2)} ms | ${(many / few).toFixed(2)} |`)
await Promise.all([small.api.stop(), big.api.stop()])
