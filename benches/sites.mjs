// Measures whether a registry with many sites that have a database each is slower than one with few: the built Worker in workerd, with
// D1 and a Durable Object for each site.
//   npm run build && node benches/sites.mjs [--rounds 200] [numbers of sites, by default 10 200 10000]
// 10,000 sites take about ten minutes to install, and a gigabyte or two of disk.
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { inTurn, start } from './workerd.mjs'

const { values, positionals } = parseArgs({ options: { rounds: { type: 'string', default: '200' } }, allowPositionals: true })
const rounds = Number(values.rounds)
const sizes = positionals.length ? positionals.map(Number) : [10, 200, 10_000]
const AT_ONCE = 8
/** As many sites as stay in memory: requests to these find an open database at any number of sites. */
const SAME = 10
/** The sites that one run of the cron trigger counts. */
const COUNTED = 8
/** workerd closes a database that nobody has asked for ten seconds. The cron trigger counts every ten minutes, so it finds none open, however many there are. */
const CLOSED_AFTER_MS = 15_000
const CLOSED_ROUNDS = 20
const vars = {
  CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'database',
  TENANTS_STATS_MIN_AGE: '0',
  TENANTS_STATS_PER_RUN: String(COUNTED),
  // The cheapest hash that is allowed: it takes the same time everywhere.
  TENANTS_PASSWORD_MEMORY_KIB: '7168',
  TENANTS_PASSWORD_PASSES: '5',
}
const admin = { username: 'admin', email: 'admin@example.com', password: 'a password' }

async function startWith(sites) {
  console.log(`installing ${sites} sites…`)
  const side = await start({ vars })
  const ids = Array.from({ length: sites }, (_, i) => `s${String(i).padStart(6, '0')}`)
  const left = ids.values()
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const id of left) {
      await side.api.tenant({ id, hostname: `${id}.example.com` })
      await side.api.expect(201, 'POST', `/tenants/${id}/install`, { body: admin })
    }
  }))
  // From now on the order is that of the times, and no longer that of the ids.
  await side.api.sql('UPDATE tenants SET stats_turn_at = updated_at')
  return { ...side, any: () => one(ids), same: () => one(ids.slice(0, SAME)), counted: ids.slice(0, COUNTED) }
}

const one = (ids) => ids[Math.floor(Math.random() * ids.length)]

const reset = (api, id) => api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin' } })
const label = (api, id, i) => api.expect(204, 'PATCH', `/tenants/${id}`, { body: { labels: { round: String(i) } } })

const kinds = {
  'POST /tenants': ({ api }, i) => api.expect(201, 'POST', '/tenants', { body: { id: `n${i}`, hostname: `n${i}.example.com`, is_enabled: true } }),
  install: ({ api }, i) => api.expect(201, 'POST', `/tenants/n${i}/install`, { body: admin }),
  'reset a password': ({ api, any }) => reset(api, any()),
  'the same, of ten sites': ({ api, same }) => reset(api, same()),
  [`count the statistics of ${COUNTED} sites`]: ({ api }) => api.scheduled(),
  [`the same, of always the same ${COUNTED}`]: async ({ api, counted }) => {
    await api.sql(`UPDATE tenants SET stats_turn_at = NULL WHERE id IN (${counted.map(() => '?')})`, ...counted)
    await api.scheduled()
  },
  'GET /tenants/{id}': ({ api, any }) => api.expect(200, 'GET', `/tenants/${any()}`),
  'PATCH /tenants/{id}': ({ api, any }, i) => label(api, any(), i),
  'the same, of ten tenants': ({ api, same }, i) => label(api, same(), i),
  'delete and drop': ({ api }, i) => api.expect(204, 'DELETE', `/tenants/n${i}`, { body: { drop_tables: true } }),
}

const sides = {}
for (const size of sizes) sides[`n${size}`] = await startWith(size)
const used = await inTurn(sides, kinds, rounds)
const closed = Object.fromEntries(Object.keys(sides).map((side) => [side, 0]))
for (let round = 0; round < CLOSED_ROUNDS; round++) {
  await sleep(CLOSED_AFTER_MS)
  for (const [name, { api, cpu }] of Object.entries(sides)) {
    const before = cpu()
    await api.scheduled()
    closed[name] += (cpu() - before) / CLOSED_ROUNDS
  }
}
used[`the same, none of which is open`] = closed
console.log(`\nprocessor time of workerd in milliseconds, ${rounds} rounds\n\n| | ${sizes.map((n) => `${n} sites`).join(' | ')} |\n|---|${'---|'.repeat(sizes.length)}`)
for (const [kind, times] of Object.entries(used)) console.log(`| ${kind} | ${Object.values(times).map((ms) => ms.toFixed(2)).join(' | ')} |`)
for (const { api } of Object.values(sides)) await api.stop()
