// Webhooks: the built Worker sends events to a receiver on this machine, which is down, slow, broken or fine.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import path from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Webhook } from 'standardwebhooks'
import { environment } from '../../scripts/lib/python.mjs'
import { ROOT, startApi } from './harness.mjs'

const api = await startApi({ vars: { TENANTS_DEVELOPMENT: 'true' } })

/** A receiver. `answer` gets each message and the response to write; `got` has all messages. */
async function receiver(answer) {
  const got = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    const message = { url: request.url, headers: request.headers, body, event: JSON.parse(body) }
    message.name = `${message.event.type} ${message.event.data.id}`
    got.push(message)
    answer(response, message)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  const close = () => server.listening && (server.closeAllConnections(), server.close())
  after(close)
  return { got, server, port, close, url: `http://127.0.0.1:${port}/hooks` }
}

const accept = (response) => response.end('thanks')
const until = async (what, holds) => {
  for (const end = Date.now() + 15_000; !(await holds()); await sleep(50)) assert.ok(Date.now() < end, what)
}

/** Makes a webhook for events of tenants, and removes the others. */
async function hook(url, more) {
  for (const { id } of (await api.expect(200, 'GET', '/webhooks')).json) await api.expect(204, 'DELETE', `/webhooks/${id}`)
  return (await api.expect(201, 'POST', '/webhooks', { body: { url, types: ['tenant.*'], ...more } })).json
}

/** Makes what was refused due at once, and lets a write begin a run. */
async function due() {
  await api.sql("UPDATE webhook_behind SET next_at = '2000-01-01 00:00:00'")
  await api.expect(201, 'POST', '/tenants-plans', { body: { id: `p${Math.random().toString(36).slice(2)}` } })
}

test('a write sends its event at once, with a signature that the specification\'s libraries verify', async () => {
  const { got, url } = await receiver(accept)
  const { id, secret } = await hook(url)
  const tenant = await api.tenant()
  await until('the event comes', () => got.length === 1)
  const [{ headers, body, event, url: where }] = got
  assert.equal(where, '/hooks')
  assert.deepEqual([event.type, event.data.id], ['tenant.created', tenant.id.toLowerCase()])
  assert.equal(headers['content-type'], 'application/json')
  assert.deepEqual(new Webhook(secret).verify(body, headers), event)
  assert.throws(() => new Webhook(secret).verify(body.replace('created', 'deleted'), headers))
  const other = (await api.expect(200, 'POST', `/webhooks/${id}/rotate`, { body: { overlap_seconds: 60 } })).json
  await api.expect(204, 'DELETE', `/tenants/${tenant.id}`)
  await until('the second event comes', () => got.length === 2)
  for (const each of [secret, other.secret]) new Webhook(each).verify(got[1].body, got[1].headers)
  const deliveries = async () => (await api.expect(200, 'GET', `/webhooks/${id}/deliveries`)).json
  await until('the deliveries are there', async () => (await deliveries()).length === 2)
  assert.deepEqual((await deliveries()).map(({ outcome, status, answer }) => [outcome, status, answer]), [['accepted', 200, 'thanks'], ['accepted', 200, 'thanks']])
  const tried = (await api.expect(200, 'POST', `/webhooks/${id}/test`)).json
  assert.deepEqual([tried.outcome, tried.status, tried.answer, got[2].event.type], ['accepted', 200, 'thanks', 'webhook.test'])
})

const { python, missing } = environment('standardwebhooks-1.1.0', ['-r', path.join(ROOT, 'tests/e2e/webhooks.requirements.txt')], (folder) => (
  spawnSync(path.join(folder, 'bin/python'), ['-c', 'import standardwebhooks']).status === 0))
test('the library for Python verifies the signature, too', { skip: missing() }, async () => {
  const { got, url } = await receiver(accept)
  const { secret } = await hook(url)
  await api.tenant()
  await until('the event comes', () => got.length === 1)
  const [{ headers, body }] = got
  const program = 'import json, sys\nfrom standardwebhooks import Webhook\nd = json.load(sys.stdin)\nprint(Webhook(d["secret"]).verify(d["body"], d["headers"])["type"])'
  const run = (input) => spawnSync(python, ['-c', program], { input: JSON.stringify(input), encoding: 'utf8' })
  assert.equal(run({ secret, body, headers }).stdout, 'tenant.created\n')
  assert.notEqual(run({ secret, body: `${body} `, headers }).status, 0)
})

for (const [name, break_, status] of [
  ['answers 500', (response) => response.writeHead(500).end('broken'), 500],
  ['answers with a redirect, which nobody follows', (response) => response.writeHead(302, { location: '/elsewhere' }).end(), 302],
  ['closes half-way', (response) => response.writeHead(200, { 'content-length': 100 }).write('half', () => response.destroy()), null],
  ['answers nothing and closes', (response) => response.destroy(), null],
]) {
  test(`nothing is lost if the receiver ${name}`, async () => {
    let isBroken = true
    const { got, url } = await receiver((response, message) => (isBroken && message.name.endsWith(` ${held}`) ? break_(response) : accept(response)))
    const { id } = await hook(url)
    const [one, other] = [api.fresh(), api.fresh()]
    const held = one.id.toLowerCase()
    await api.expect(201, 'POST', '/tenants', { body: one })
    await api.expect(204, 'PATCH', `/tenants/${one.id}`, { body: { is_enabled: false } })
    await api.expect(201, 'POST', '/tenants', { body: other })
    await until('another subject is not held up', () => got.some((m) => m.name === `tenant.created ${other.id.toLowerCase()}`))
    assert.ok(got.some((m) => m.name === `tenant.created ${held}`))
    assert.ok(!got.some((m) => m.name === `tenant.updated ${held}`), 'the later event waits')
    isBroken = false
    await until('it is known', async () => (await api.expect(200, 'GET', `/webhooks/${id}`)).json.behind === 1)
    await due()
    await until('both events come', () => got.some((m) => m.name === `tenant.updated ${held}`))
    const names = got.filter((m) => m.event.data.id === held)
    assert.deepEqual(names.map((m) => m.event.type), ['tenant.created', 'tenant.created', 'tenant.updated'])
    assert.equal(names[0].headers['webhook-id'], names[1].headers['webhook-id'], 'the same id each time')
    assert.ok(got.every((m) => m.url === '/hooks'))
    await until('it is noted', async () => (await api.expect(200, 'GET', `/webhooks/${id}`)).json.behind === 0)
    const { json } = await api.expect(200, 'GET', `/webhooks/${id}/deliveries`)
    const refused = json.filter((d) => d.outcome === 'refused')
    assert.deepEqual(refused.map((d) => [d.subject, d.status]), [[held, status]])
  })
}

test('a receiver that is down gets the events when it is up again, in order', async () => {
  const down = await receiver(accept)
  down.close()
  const { id } = await hook(down.url)
  const tenant = await api.tenant()
  await until('the refusal is noted', async () => (await api.expect(200, 'GET', `/webhooks/${id}`)).json.behind === 1)
  await api.expect(204, 'DELETE', `/tenants/${tenant.id}`)
  const up = await receiver(accept)
  await api.expect(204, 'PATCH', `/webhooks/${id}`, { body: { url: up.url } })
  await due()
  await until('both come', () => up.got.length === 2)
  assert.deepEqual(up.got.map((m) => m.event.type), ['tenant.created', 'tenant.deleted'])
})

test('a receiver that is slow delays no request, and many writes at once send each event once', async () => {
  const { got, url } = await receiver((response) => setTimeout(() => accept(response), 400))
  await hook(url)
  const began = Date.now()
  const bodies = Array.from({ length: 8 }, () => api.fresh())
  await Promise.all(bodies.map((body) => api.expect(201, 'POST', '/tenants', { body })))
  assert.ok(Date.now() - began < 3_000, 'the writes wait for nobody')
  await until('all come', async () => {
    if (got.length < 8) await due()
    return got.length >= 8
  })
  await sleep(600)
  assert.equal(new Set(got.map((m) => m.headers['webhook-id'])).size, 8)
  assert.equal(got.length, 8, 'each once')
})

test('private addresses are refused by name and by number, and other schemes', async () => {
  for (const url of ['http://10.0.0.1/', 'https://10.0.0.1/', 'https://169.254.169.254/', 'https://[::ffff:192.168.0.1]/', 'https://printer.local/', 'https://intranet/', 'http://example.com/', 'https://2130706433/', 'ftp://127.0.0.1/']) {
    const { json } = await api.expect(422, 'POST', '/webhooks', { body: { url } })
    assert.deepEqual(json.errors.map(({ pointer }) => pointer), ['/url'], url)
  }
  const production = await startApi()
  for (const url of ['http://127.0.0.1:1/', 'http://localhost/', 'https://localhost/', 'https://[::1]/']) await production.expect(422, 'POST', '/webhooks', { body: { url } })
})
