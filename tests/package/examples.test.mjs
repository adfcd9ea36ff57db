// Runs the examples that embed the npm package, as a reader would.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, createServer, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { bun } from '../../scripts/lib/runtimes.mjs'
import { root } from '../../scripts/lib/run.mjs'
import { browse, noBrowser } from '../browser.mjs'

const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-examples-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const hex = () => randomBytes(32).toString('hex')
const secrets = { CHEVERETO_TENANTS_API_KEY_SECRET: hex(), CHEVERETO_TENANTS_API_REQUEST_SECRET: hex(), CHEVERETO_ENCRYPTION_KEY: randomBytes(32).toString('base64') }

/** Starts a server. Resolves with its URL, the key if it printed one, and a function that stops it. */
function serve(program, file, env) {
  const child = spawn(program, [path.join(root, 'examples', file)], { env: { ...process.env, ...secrets, PORT: '0', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  after(() => child.kill())
  return new Promise((resolve, reject) => {
    let printed = ''
    const read = (text) => {
      printed += text
      const url = /^Serving (http\S+)$/m.exec(printed)?.[1]
      if (url) resolve({ url, key: /^API key, shown once: (\S+)$/m.exec(printed)?.[1], stop: () => new Promise((done) => (child.on('exit', done), child.kill())) })
    }
    child.stdout.setEncoding('utf8').on('data', read)
    child.stderr.setEncoding('utf8').on('data', read)
    child.on('error', reject)
    child.on('exit', (code) => reject(new Error(`the server exited with code ${code}: ${printed}`)))
  })
}

const call = (url, key, method, where, value, timeout = 10_000) => {
  const body = value === undefined ? undefined : JSON.stringify(value)
  const headers = { 'X-API-Key': key, 'X-Signature': createHmac('sha256', secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET).update(body ?? '').digest('hex'), ...(body ? { 'Content-Type': 'application/json' } : {}) }
  return fetch(url + where, { method, body, headers, signal: AbortSignal.timeout(timeout) })
}

const SERVERS = [['Bun.serve with bun:sqlite', bun, 'bun/server.mjs'], ["Node's http with node:sqlite", () => process.execPath, 'node/server.mjs']]

for (const [name, program, file] of SERVERS) {
  test(`${name} serves the API, keeps its data over a restart, and passes on the caller's address`, async () => {
    const DATABASE = path.join(folder, `${file.split('/')[0]}.db`)
    const first = await serve(program(), file, { DATABASE })
    assert.ok(first.key, 'the first start prints the key')
    const made = await call(first.url, first.key, 'POST', '/tenants', { id: 'acme', hostname: 'acme.example.com', is_enabled: true, env: { A: 'grüße' } })
    assert.equal(made.status, 201, await made.clone().text())
    const tenant = await made.json()
    assert.equal((await call(first.url, first.key, 'DELETE', '/tenants/nobody')).status, 404)
    assert.equal((await call(first.url, first.key, 'POST', '/tenants', { x: 'x'.repeat(70_000) })).status, 413)
    assert.equal((await fetch(`${first.url}/tenants`)).status, 401)
    await first.stop()

    const again = await serve(program(), file, { DATABASE, CHEVERETO_TENANTS_API_IP_ALLOW_LIST: '127.0.0.1' })
    assert.equal(again.key, undefined)
    const listed = await call(again.url, first.key, 'GET', '/tenants')
    assert.deepEqual([listed.status, await listed.json()], [200, [tenant]])
    await again.stop()

    const apart = await serve(program(), file, { DATABASE, CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'database' })
    const admin = { username: 'admin', email: 'admin@example.com', password: 'a password' }
    for (const status of [201, 409]) assert.equal((await call(apart.url, first.key, 'POST', '/tenants/ACME/install', admin)).status, status)
    const site = new DatabaseSync(path.join(`${DATABASE}.sites`, 'site-acme.db'))
    assert.deepEqual(site.prepare('SELECT username FROM chv_users').all().map((row) => row.username), ['admin'])
    site.close()
    assert.equal((await call(apart.url, first.key, 'DELETE', '/tenants/acme', { drop_tables: true })).status, 204)
    await apart.stop()

    const sending = await serve(program(), file, { DATABASE, TENANTS_DEVELOPMENT: 'true' })
    const receiver = createServer(async (request, response) => {
      const event = await new Response(request).json()
      response.end()
      receiver.emit('event', event)
    }).listen(0, '127.0.0.1')
    after(() => receiver.close().closeAllConnections())
    await once(receiver, 'listening')
    const hook = { url: `http://127.0.0.1:${receiver.address().port}/`, types: ['tenant.created'] }
    assert.equal((await call(sending.url, first.key, 'POST', '/webhooks', hook)).status, 201)
    const event = once(receiver, 'event', { signal: AbortSignal.timeout(10_000) })
    assert.equal((await call(sending.url, first.key, 'POST', '/tenants', { id: 'beta', hostname: 'beta.example.com', is_enabled: true })).status, 201)
    assert.equal((await event)[0].data.id, 'beta')
    await sending.stop()

    const closed = await serve(program(), file, { DATABASE, CHEVERETO_TENANTS_API_IP_ALLOW_LIST: '192.0.2.7' })
    assert.equal((await call(closed.url, first.key, 'GET', '/tenants')).status, 403)
    await closed.stop()
  })
}

/** Sends a request on an agent's connection. Resolves with its status and body. A body that is a list goes in chunks. */
function send(agent, url, method, headers, body) {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { agent, method, headers, timeout: 5_000 }, async (response) => {
      try {
        resolve({ status: response.statusCode, text: await new Response(response).text() })
      } catch (error) {
        reject(error)
      }
    })
    request.on('timeout', () => request.destroy(new Error('no response in time'))).on('error', reject)
    for (const part of Array.isArray(body) ? body : []) request.write(part)
    request.end(Array.isArray(body) ? undefined : body)
  })
}

for (const [name, program, file] of SERVERS) {
  test(`${name} ends a list that breaks off, and a body that is too long, and serves the next request`, async () => {
    const DATABASE = path.join(folder, `${file.split('/')[0]}-broken.db`)
    const { url, key, stop } = await serve(program(), file, { DATABASE })
    const db = new DatabaseSync(DATABASE, { timeout: 5_000 })
    db.exec("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 6000) INSERT INTO tenants (id, hostname, is_enabled, created_at, updated_at) SELECT 't' || n, 'h' || n, 1, '', '' FROM c")
    assert.equal((await (await call(url, key, 'GET', '/tenants')).json()).length, 6000)
    db.exec("UPDATE tenants SET limits = 'x' WHERE id = 't999'")
    db.close()
    await assert.rejects(async () => (await call(url, key, 'GET', '/tenants')).text())
    assert.equal((await call(url, key, 'GET', '/tenants?limit=1')).status, 200)

    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const long = 'x'.repeat(300_000)
    const headers = { 'X-API-Key': key, 'X-Signature': createHmac('sha256', secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET).update(long).digest('hex') }
    for (const body of [long, [long.slice(0, 100_000), long.slice(100_000)]]) {
      assert.equal((await send(agent, `${url}/tenants`, 'POST', headers, body)).status, 413)
      assert.equal((await send(agent, `${url}/tenants`, 'GET', {})).status, 401)
    }
    agent.destroy()
    await stop()
  })
}

test("Node's http takes the path from the request line, which may be a whole URL, and only the host from `Host`", async () => {
  const { url, stop } = await serve(process.execPath, 'node/server.mjs', { DATABASE: path.join(folder, 'node-host.db') })
  const { host, port } = new URL(url)
  const statusOf = (line, hostHeader) => new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.end(`GET ${line} HTTP/1.1\r\nHost: ${hostHeader}\r\nConnection: close\r\n\r\n`)).setEncoding('latin1').on('error', reject)
    socket.once('data', (text) => resolve(Number(text.split(' ')[1])))
  })
  const list = '/_/api/4/tenants'
  assert.equal(await statusOf(list, host), 401)
  assert.equal(await statusOf(`http://${host}${list}`, host), 401)
  assert.equal(await statusOf('/elsewhere', host), 404)
  for (const wrong of [`a${list}?x=`, `a@${host}/`, 'a b']) assert.equal(await statusOf('/elsewhere', wrong), 400, wrong)
  await stop()
})

test('Bun.serve does not cut off a request without a body that waits for a cell', async () => {
  const DATABASE = path.join(folder, 'bun-waits.db')
  // Longer than the ten seconds after which Bun ends an idle connection by default.
  const { url, key, stop } = await serve(bun(), 'bun/server.mjs', { DATABASE, TENANTS_JOB_WAIT_SECONDS: '12' })
  assert.equal((await call(url, key, 'PUT', '/cells/c1', {})).status, 201)
  assert.equal((await call(url, key, 'POST', '/tenants', { id: 'a', hostname: 'a.example.com', is_enabled: true, cell_id: 'c1' })).status, 201)
  assert.equal((await call(url, key, 'POST', '/tenants/a/erase', undefined, 30_000)).status, 202)
  await stop()
})

/** Uses the example page in a frame, as a person would, and reloads it in between. */
const visitor = `<!doctype html><meta charset="utf-8"><iframe id="page" style="width:800px;height:600px"></iframe><script type="module">
  const frame = document.getElementById('page')
  const until = async (what, test) => {
    for (let tries = 0; tries < 400; tries++) {
      if (test(frame.contentDocument)) return
      await new Promise((done) => setTimeout(done, 25))
    }
    throw new Error(what + ': ' + frame.contentDocument.body?.innerText)
  }
  const load = async () => {
    frame.src = '/examples/browser/index.html?' + Math.random()
    await new Promise((done) => { frame.onload = done })
    await until('the page is ready', (d) => d.body?.dataset.ready)
  }
  const type = (id, hostname) => {
    const form = frame.contentDocument.forms[0]
    form.elements.id.value = id
    form.elements.hostname.value = hostname
    form.requestSubmit()
  }
  const tenants = () => [...frame.contentDocument.querySelectorAll('#tenants li')].map((li) => [li.querySelector('strong').textContent, li.querySelector('small').textContent, !li.classList.contains('off')])
  const press = (text) => [...frame.contentDocument.querySelectorAll('#tenants button')].find((b) => b.textContent === text).click()
  const result = {}
  try {
    await load()
    result.before = tenants()
    type('acme', 'acme.example.com')
    await until('one tenant', () => tenants().length === 1)
    result.exchange = frame.contentDocument.getElementById('exchange').textContent
    type('ACME', 'other.example.com')
    await until('a problem', (d) => !d.getElementById('problem').hidden)
    result.problem = frame.contentDocument.getElementById('problem').textContent
    type('beta', 'beta.example.com')
    await until('two tenants', () => tenants().length === 2)
    press('Switch off')
    await until('one is off', () => tenants().some(([, , on]) => !on))
    await load()
    result.reloaded = tenants()
    press('Delete')
    await until('one is gone', () => tenants().length === 1)
    await load()
    result.after = tenants()
  } catch (error) {
    result.error = String(error)
  }
  await fetch('/result', { method: 'POST', body: JSON.stringify(result) })
</script>`

test('the example page signs its requests, and keeps its tenants in the browser over a reload', { skip: noBrowser() }, async () => {
  const { error, before, exchange, problem, reloaded, after: left } = await browse({ '/': ['text/html', visitor] })
  assert.equal(error, undefined)
  assert.deepEqual(before, [])
  assert.match(exchange, /^POST \/_\/api\/4\/tenants\nX-Signature: [0-9a-f]{64}\n[^]*\n201\n\{"id":"acme"/)
  assert.match(problem, /taken/)
  assert.deepEqual(reloaded, [['acme', 'acme.example.com', false], ['beta', 'beta.example.com', true]])
  assert.deepEqual(left, [['beta', 'beta.example.com', true]])
})
