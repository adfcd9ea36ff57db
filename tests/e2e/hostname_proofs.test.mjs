// TENANTS_HOSTNAME_PROOF=txt (API.md §18): the Worker asks a resolver, which asks a real DNS server.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import http from 'node:http'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { programPath } from '../../scripts/lib/system.mjs'
import { freePorts } from '../ports.mjs'
import { missing, startApi } from './harness.mjs'

const skip = missing(programPath('dnsmasq') ?? 'dnsmasq', '--version')
const running = new Set()
after(() => running.forEach((stop) => stop()))

/** A DNS server for `example`, whose TXT records `set` replaces. */
async function startDns() {
  const [port] = await freePorts(1)
  const resolver = new Resolver({ timeout: 1000, tries: 1 })
  resolver.setServers([`127.0.0.1:${port}`])
  let child
  const stop = async () => {
    if (!child) return
    const ended = once(child, 'exit')
    child.kill()
    await ended
    child = undefined
  }
  running.add(() => child?.kill('SIGKILL'))
  return {
    resolver,
    stop,
    async set(records) {
      await stop()
      const texts = Object.entries(records).map(([name, text]) => `--txt-record=${name},${text}`)
      child = spawn(programPath('dnsmasq'), ['--keep-in-foreground', '--conf-file=/dev/null', '--no-hosts', '--no-resolv', '--user=', '--group=', '--pid-file=', `--port=${port}`,
        '--listen-address=127.0.0.1', '--bind-interfaces', '--local=/example/', '--txt-record=ready.example,yes', ...texts], { stdio: 'ignore' })
      for (const end = Date.now() + 10_000; ; await sleep(50)) {
        if (await resolver.resolveTxt('ready.example').catch(() => undefined)) return
        assert.ok(Date.now() < end, 'the DNS server does not answer')
      }
    },
  }
}

/** A resolver that answers in JSON. It asks the DNS server each time, and keeps nothing. */
async function startResolver({ resolver }) {
  const asked = []
  const server = http.createServer(async ({ url, headers }, response) => {
    const query = new URL(url, 'http://localhost').searchParams
    asked.push(query.get('name'))
    assert.deepEqual([query.get('type'), headers.accept], ['TXT', 'application/dns-json'])
    const [status, records] = await resolver.resolveTxt(query.get('name')).then((all) => [0, all], ({ code }) => [{ ENODATA: 0, ENOTFOUND: 3 }[code] ?? 2, []])
    response.setHeader('content-type', 'application/dns-json')
    response.end(JSON.stringify({ Status: status, Answer: records.map((parts) => ({ name: query.get('name'), type: 16, TTL: 0, data: parts.map((part) => JSON.stringify(part)).join(' ') })) }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  running.add(() => server.close())
  return { asked, url: `http://127.0.0.1:${server.address().port}/dns-query` }
}

test('a hostname is routed once its owner has shown it, and stays when the record goes away', { skip, timeout: 120_000 }, async () => {
  const dns = await startDns()
  const { url, asked } = await startResolver(dns)
  const api = await startApi({ vars: { TENANTS_HOSTNAME_PROOF: 'txt', TENANTS_DOH_URL: url, TENANTS_DEVELOPMENT: 'true' } })
  await dns.set({})
  for (const id of ['a', 'b']) await api.tenant({ id, hostname: `${id}.example.com` })
  const path = (id, name = 'photos.example') => `/tenants/${id}/hostnames/${name}`
  const claim = async (id) => (await api.expect(201, 'PUT', path(id), { body: { kind: 'alias' } })).json.proof
  const isRouted = async () => (await api.expect(200, 'GET', '/config/traefik', { key: null })).text.includes('`photos.example`')
  const shown = async (id) => (await api.expect(200, 'GET', `/tenants/${id}/hostnames`)).json[0]
  const [ofA, ofB] = [await claim('a'), await claim('b')]
  assert.equal(ofA.name, '_tenants-proof.photos.example')
  assert.notEqual(ofA.value, ofB.value)

  // No such name; another record; the other one's value.
  assert.equal((await api.expect(409, 'POST', `${path('a')}/verify`)).json.code, 'proof_missing')
  await dns.set({ [ofA.name]: 'v=spf1 -all', 'photos.example': ofA.value })
  assert.equal((await api.expect(409, 'POST', `${path('a')}/verify`)).json.code, 'proof_missing')
  await dns.set({ [ofA.name]: ofB.value })
  assert.equal((await api.expect(409, 'POST', `${path('a')}/verify`)).json.code, 'proof_missing')
  assert.equal(await isRouted(), false)
  assert.deepEqual([...new Set(asked)], [ofA.name])

  // The cron trigger finds the other one's.
  await api.scheduled()
  assert.equal((await shown('b')).claimed_until, null)
  assert.equal(await isRouted(), true)
  await dns.set({ [ofA.name]: ofA.value })
  assert.equal((await api.expect(409, 'POST', `${path('a')}/verify`)).json.errors[0].holder, 'b')

  // Now its record is gone.
  assert.equal((await api.expect(200, 'POST', `${path('b')}/verify`)).json.proof_missing_since.length, 19)
  assert.equal(await isRouted(), true)
  await dns.stop()
  assert.equal((await api.expect(503, 'POST', `${path('b')}/verify`)).json.code, 'lookup_failed')
  await dns.set({ [ofB.name]: ofB.value })
  assert.equal((await api.expect(200, 'POST', `${path('b')}/verify`)).json.proof_missing_since, null)
  assert.equal(await isRouted(), true)
})
