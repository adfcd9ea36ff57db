// Measures what an `Idempotency-Key` costs a `POST /tenants`: the built Worker in workerd, one request with a key and one without in turn.
//   npm run build && node benches/idempotency_key.mjs [rounds, by default 2000]
import { inTurn, start } from './workerd.mjs'

const [rounds = 2000] = process.argv.slice(2).map(Number)
const { api, cpu } = await start()
const side = (name, headers) => ({
  cpu,
  create: (i) => api.expect(201, 'POST', '/tenants', { body: { id: `${name}${i}`, hostname: `${name}${i}.example.com`, is_enabled: true }, headers: headers(i) }),
})
const sides = { without: side('a', () => ({})), with: side('b', (i) => ({ 'Idempotency-Key': `"order-${i}"` })) }
const { create } = await inTurn(sides, { create: (side, i) => side.create(i) }, rounds)
console.log(`without ${create.without.toFixed(3)} ms, with ${create.with.toFixed(3)} ms: ${(create.with / create.without).toFixed(3)}`)
await api.stop()
