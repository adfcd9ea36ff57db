// The requests that the component's Python host sends for the service: to the address that was judged and to none else, without following a redirect.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { promisify } from 'node:util'
import { missing, run } from '../e2e/harness.mjs'
import { noPython, python } from './python.mjs'
import { receiver } from './receiver.mjs'

const skip = noPython()
const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-network-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let files = 0

/** Does a task of files.py in a process of its own, on a new file. */
async function start(world, task, variables, ...rest) {
  const { stdout } = await promisify(execFile)(python, [path.join(import.meta.dirname, 'files.py'), world, task, path.join(folder, `${++files}.sqlite`), ...rest], { env: { ...process.env, ...variables } })
  return JSON.parse(stdout)
}

const report = (more) => ({ enabled: true, accepted: 0, refused: 0, 'given-up': 0, disabled: 0, cut: false, ...more })

for (const world of ['exchange', 'service']) {
  test(`in the world ${world}, a receiver gets an event, and a resolver is asked`, { skip }, async (t) => {
    const { got, url, stop } = await receiver()
    t.after(stop)
    const variables = { TENANTS_DEVELOPMENT: 'true', TENANTS_HOSTNAME_PROOF: 'txt', TENANTS_DOH_URL: `${url}/dns` }
    const { reports, answers } = await start(world, 'send', variables, `${url.replace('127.0.0.1', 'localhost')}/hook?a=b`, '127.0.0.1')
    assert.deepEqual(reports, [report({ cut: false }), report({ accepted: 1 }), { counted: 1, failed: [] }])
    assert.deepEqual(answers, ['thanks', 'thanks'])
    const [hook, question, tried] = got
    assert.deepEqual([hook.method, hook.url, hook.headers.host, hook.headers['content-type'], JSON.parse(hook.body).type],
      ['POST', '/hook?a=b', `localhost:${new URL(url).port}`, 'application/json', 'tenant.created'])
    assert.match(question.url, /^\/dns\?.*photos\.example\.com/)
    assert.deepEqual([question.method, question.body, JSON.parse(tried.body).type], ['GET', '', 'webhook.test'])
    assert.equal(got.length, 3)
  })

  test(`in the world ${world}, one private address among those of a name is enough to call none`, { skip }, async (t) => {
    const { connections, port, stop } = await receiver()
    t.after(stop)
    const variables = { TENANTS_HOSTNAME_PROOF: 'txt', TENANTS_DOH_URL: `https://dns.example.com:${port}/dns` }
    const { reports, answers } = await start(world, 'send', variables, `https://hooks.example.com:${port}/`, '127.0.0.1', '93.184.216.34')
    const refused = (name) => `${name} resolves to 127.0.0.1, which may not be called`
    assert.deepEqual(reports, [report({ cut: false }), report({ refused: 1 }), { counted: 0, failed: [refused('dns.example.com')] }])
    assert.deepEqual(answers, [refused('hooks.example.com'), refused('hooks.example.com')])
    assert.equal(connections(), 0)
  })
}

test('a request goes to the address that was judged, and ends at the limit, at a redirect, at the end of its time, and where the answer breaks off', { skip }, async (t) => {
  const { got, connections, port, stop } = await receiver()
  t.after(stop)
  const order = (target, more = {}) => ({ url: `http://hooks.example.com:${port}${target}`, timeout: 5_000, addresses: ['127.0.0.1'], private: [], ...more })
  const orders = [order('/a'), order('/long'), order('/redirect'), order('/half'), order('/slow', { timeout: 700 }), order('/b', { addresses: [] }), order('/c', { private: ['127.0.0.1'] }),
    // Nobody listens on 127.0.0.2.
    order('/d', { addresses: ['127.0.0.2', '127.0.0.1'] }), order('/e', { addresses: ['127.0.0.2'] })]
  const came = JSON.parse(await run(python, [path.join(import.meta.dirname, 'fetch.py')], JSON.stringify(orders)))
  const { milliseconds } = came[4]
  assert.ok(milliseconds >= 700 && milliseconds < 5_000, `${milliseconds} ms`)
  assert.deepEqual(came.map(({ tag, status, body, reason }) => [tag, status ?? reason, body]), [
    ['answered', 200, 'thanks'], ['answered', 200, 'x'.repeat(1024)], ['answered', 302, 'moved'],
    ['failed', came[3].reason, undefined], ['failed', 'the answer did not end in time', undefined],
    ['failed', 'hooks.example.com resolves to nothing, which may not be called', undefined],
    ['failed', 'hooks.example.com resolves to 127.0.0.1, which may not be called', undefined],
    ['answered', 200, 'thanks'], ['failed', came[8].reason, undefined],
  ])
  assert.match(came[8].reason, /refused/)
  assert.deepEqual([got.map(({ url }) => url), connections()], [['/a', '/long', '/redirect', '/half', '/slow', '/d'], 6])
  const [{ method, headers, body }] = got
  assert.deepEqual([method, headers.host, headers['content-type'], headers['content-length'], body], ['POST', `hooks.example.com:${port}`, 'text/plain', '7', 'grüße'])
})

test('a connection to an https URL names the host of the URL, and trusts only its certificate', { skip: skip || missing('openssl', 'version') }, async (t) => {
  const subject = ['-subj', '/CN=A test', '-addext', 'subjectAltName=DNS:hooks.example.com']
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', ...subject, '-keyout', path.join(folder, 'key.pem'), '-out', path.join(folder, 'cert.pem')])
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(path.join(folder, name)))
  const names = []
  const server = createServer({ key, cert, SNICallback: (name, done) => done(null, names.push(name) && undefined) }, ({ headers }, response) => response.end(headers.host)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close().closeAllConnections())
  const { port } = server.address()
  const orders = ['hooks.example.com', 'other.example.com', '127.0.0.1'].map((name) => ({ url: `https://${name}:${port}/`, timeout: 5_000, addresses: ['127.0.0.1'], private: [] }))
  const child = run('env', [`SSL_CERT_FILE=${path.join(folder, 'cert.pem')}`, python, path.join(import.meta.dirname, 'fetch.py')], JSON.stringify(orders))
  const [right, ...wrong] = JSON.parse(await child)
  assert.deepEqual([right.tag, right.status, right.body], ['answered', 200, `hooks.example.com:${port}`])
  assert.deepEqual(names, ['hooks.example.com', 'other.example.com'])
  for (const { tag, reason } of wrong) assert.match(`${tag}: ${reason}`, /^failed: .*certificate/i)
})
