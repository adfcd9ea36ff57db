// The requests that the package itself sends: to the address that it has checked and to none else, without following a redirect.
import assert from 'node:assert/strict'
import dns from 'node:dns/promises'
import { once } from 'node:events'
import { createServer } from 'node:http'
import net from 'node:net'
import { after, afterEach, mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { checkedSender, sendBy } from '../../crates/wasm/js/outbound.js'

const asked = []
const server = createServer((request, response) => {
  let body = ''
  request.on('data', (data) => { body += data })
  request.on('end', () => {
    asked.push({ method: request.method, url: request.url, host: request.headers.host, kind: request.headers['content-type'], body })
    if (request.url === '/redirect') response.writeHead(302, { location: '/secret' }).end('moved')
    else if (request.url === '/long') response.end('x'.repeat(100_000))
    else if (request.url === '/never') response.write('be')
    else if (request.url === '/half') response.writeHead(200, { 'content-length': 10 }).write('half', () => response.destroy())
    else if (request.url === '/cut') request.socket.destroy()
    else if (request.url === '/switch') request.socket.end('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
    else response.end('hello')
  })
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address()
after(() => server.close().closeAllConnections())
afterEach(() => {
  mock.restoreAll()
  asked.length = 0
})

const order = (path, more = {}) => (
  { method: 'POST', url: `http://localhost:${port}${path}`, headers: [['content-type', 'text/plain']], body: 'grüße', limit: 1024, timeout: 5_000, ...more })
const text = ([status, bytes]) => [status, new TextDecoder().decode(bytes)]
const senders = { 'the checked connection': (request) => checkedSender()(request, () => true), "the host's fetch": (request) => sendBy(fetch, request) }

for (const [name, send] of Object.entries(senders)) {
  test(`${name} sends the request and reads the answer`, async () => {
    assert.deepEqual(text(await send(order('/a?b=c'))), [200, 'hello'])
    assert.deepEqual(asked, [{ method: 'POST', url: '/a?b=c', host: `localhost:${port}`, kind: 'text/plain', body: 'grüße' }])
  })

  test(`${name} follows no redirect`, async () => {
    assert.deepEqual(text(await send(order('/redirect'))), [302, 'moved'])
    assert.deepEqual(asked.map(({ url }) => url), ['/redirect'])
  })

  test(`${name} reads no more than the limit`, async () => {
    assert.deepEqual(text(await send(order('/long'))), [200, 'x'.repeat(1024)])
  })

  test(`${name} fails after the timeout, and if the answer breaks off`, async () => {
    await assert.rejects(send(order('/never', { timeout: 300 })), /abort|time/i)
    await assert.rejects(send(order('/half')))
  })
}

test('a name that resolves to an address that may not be called is not called', async () => {
  await assert.rejects(checkedSender()(order('/'), (address) => address !== '127.0.0.1' && address !== '::1'), /which may not be called/)
  assert.deepEqual(asked, [])
})

test('one private address among several is enough to refuse the name', async () => {
  mock.method(dns, 'lookup', async () => [{ address: '93.184.216.34', family: 4 }, { address: '127.0.0.1', family: 4 }])
  await assert.rejects(checkedSender()(order('/'), (address) => address !== '127.0.0.1'), /resolves to 127\.0\.0\.1/)
  assert.deepEqual(asked, [])
})

test('an address that accepts no connection leaves the request to the next one', async () => {
  // Nobody listens on 127.0.0.2.
  mock.method(dns, 'lookup', async () => [{ address: '127.0.0.2', family: 4 }, { address: '127.0.0.1', family: 4 }])
  assert.deepEqual(text(await checkedSender()(order('/'), () => true)), [200, 'hello'])
  assert.equal(asked.length, 1)
  // A request that was sent is not sent again.
  await assert.rejects(checkedSender()(order('/cut'), () => true))
  assert.deepEqual(asked.map(({ url }) => url), ['/', '/cut'])
  mock.method(dns, 'lookup', async () => [{ address: '127.0.0.2', family: 4 }])
  await assert.rejects(checkedSender()(order('/'), () => true), /ECONNREFUSED/)
})

test('an answer that changes the protocol is an answer', async () => {
  assert.deepEqual(text(await checkedSender()(order('/switch'), () => true)), [101, ''])
})

test('an address whose packets are lost leaves the request to the next one in time', { skip: process.platform !== 'linux' && 'other systems refuse what a full backlog has no room for' }, async () => {
  // Linux drops the packets of connections that a backlog has no room for, and nothing accepts those that are in it.
  const full = new Worker('require("node:net").createServer().listen({ port: ' + port + ', host: "127.0.0.3", backlog: 1 }, () => { require("node:worker_threads").parentPort.postMessage(0); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) })', { eval: true })
  await once(full, 'message')
  const held = Array.from({ length: 8 }, () => net.connect(port, '127.0.0.3').on('error', () => {}))
  try {
    await sleep(200)
    mock.method(dns, 'lookup', async () => [{ address: '127.0.0.3', family: 4 }, { address: '127.0.0.1', family: 4 }])
    assert.deepEqual(text(await checkedSender()(order('/', { timeout: 2_000 }), () => true)), [200, 'hello'])
    mock.method(dns, 'lookup', async () => [{ address: '127.0.0.3', family: 4 }])
    await assert.rejects(checkedSender()(order('/', { timeout: 500 }), () => true), /abort|time/i)
  } finally {
    held.forEach((socket) => socket.destroy())
    await full.terminate()
  }
})

test("a host's fetch that never settles, or whose body does not, is not waited for", async () => {
  await assert.rejects(sendBy(() => new Promise(() => {}), order('/', { timeout: 200 })), /abort|time/i)
  let isCancelled = false
  const body = new ReadableStream({ cancel: () => { isCancelled = true } })
  await assert.rejects(sendBy(async () => new Response(body), order('/', { timeout: 200 })), /abort|time/i)
  assert.ok(isCancelled)
})

test('the connection goes to the address that was checked, whatever the name resolves to afterwards', async () => {
  const lookup = mock.method(dns, 'lookup', async () => [{ address: '127.0.0.1', family: 4 }])
  const checked = []
  const answer = await checkedSender()(order('/', { url: `http://hooks.example.com:${port}/` }), (address) => checked.push(address) > 0)
  assert.deepEqual(text(answer), [200, 'hello'])
  assert.deepEqual([checked, lookup.mock.callCount(), asked[0].host], [['127.0.0.1'], 1, `hooks.example.com:${port}`])
})
