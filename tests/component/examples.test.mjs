// Runs the example servers, in Python with the component and in Rust with the core, and the commands of the component's README.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { environment } from '../../scripts/lib/environment.mjs'
import { root } from '../../scripts/lib/run.mjs'
import { noPython, python } from './python.mjs'
import { until } from '../until.mjs'
import { receiver } from './receiver.mjs'

const SECRETS = {
  CHEVERETO_TENANTS_API_KEY_SECRET: 'the secret of keys',
  CHEVERETO_TENANTS_API_REQUEST_SECRET: 'the secret of requests',
  CHEVERETO_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
}
/** Kills an example after this many milliseconds, even if the test hangs. */
const LIFETIME = 60_000

/**
 * Starts a program that prints an API key and its URL, sends it requests, then ends it with `signal`. `known` is the key of a database that has one already,
 * since the program prints only a new one. Returns its log.
 */
async function served(command, args, signal, ask, variables = {}, known) {
  const child = spawn(command, args, { cwd: root, env: { ...process.env, ...SECRETS, ...variables }, stdio: ['ignore', 'pipe', 'pipe'], timeout: LIFETIME, killSignal: 'SIGKILL' })
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text))
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)))
  try {
    let key = known
    let url
    for await (const line of createInterface({ input: child.stdout })) {
      key ??= line.match(/chv_1_\S+/)?.[0]
      url = line.match(/http:\S+/)?.[0]
      if (url) break
    }
    assert.ok(key && url, `the program did not print its key and URL: ${log}`)
    await ask(async (method, target, body, more = {}, signal = AbortSignal.timeout(10_000)) => {
      const text = body === undefined ? '' : JSON.stringify(body)
      const headers = { 'X-API-Key': key, 'X-Signature': createHmac('sha256', SECRETS.CHEVERETO_TENANTS_API_REQUEST_SECRET).update(text).digest('hex'), ...more }
      if (body !== undefined) headers['Content-Type'] = 'application/json'
      const answer = await fetch(url + target, { method, headers, body: text || undefined, signal })
      return { status: answer.status, text: await answer.text(), headers: answer.headers }
    }, key)
  } finally {
    child.kill(signal)
  }
  assert.equal(await ended, 0, log)
  return log
}

/** Sends a write while the database is busy, leaves, and then looks that it was made. Its request id is `left`. */
async function aClientThatLeaves(ask, file) {
  const db = new DatabaseSync(file, { timeout: 5_000 })
  db.exec('BEGIN IMMEDIATE')
  const leaving = ask('POST', '/_/api/4/tenants', { id: 'late', hostname: 'late.example.com', is_enabled: true }, { 'X-Request-ID': 'left' }, AbortSignal.timeout(300))
  await assert.rejects(leaving, { name: 'TimeoutError' })
  db.exec('ROLLBACK')
  db.close()
  await until(async () => (await ask('GET', '/_/api/4/tenants/late')).status === 200, 'the tenant is made')
}

/** Asks for a site on a cell, on a server that can wait for the job or cannot. */
async function aSiteOnACell(ask, waits) {
  assert.equal((await ask('PUT', '/_/api/4/cells/eu', {})).status, 201)
  assert.equal((await ask('POST', '/_/api/4/tenants', { id: 'far', hostname: 'far.example.com', is_enabled: true, cell_id: 'eu' })).status, 201)
  const admin = { username: 'admin', email: 'admin@example.com', password: 'correct horse' }
  const began = Date.now()
  for (const prefer of waits ? ['wait=1', 'respond-async'] : ['wait=60', 'respond-async, wait=60']) {
    const { status, text, headers } = await ask('POST', '/_/api/4/tenants/far/install', admin, { Prefer: prefer })
    assert.equal(status, 202, text)
    assert.equal(JSON.parse(text).state, 'waiting')
    assert.equal(headers.get('location'), `/_/api/4/jobs/${JSON.parse(text).id}`)
    assert.equal(headers.get('preference-applied'), prefer.startsWith('respond-async') ? 'respond-async' : waits ? prefer : null)
  }
  const took = Date.now() - began
  assert.ok(took < 10_000 && (!waits || took >= 1_000), `the server waited for ${took} ms`)
}

/** Creates, reads, changes and deletes a tenant, and sends requests that must be refused. */
async function aTenantsLife(ask, waits = false) {
  const tenant = { id: 'acme', hostname: 'acme.example.com', is_enabled: true, env: { COLOUR: 'blue' } }
  const created = await ask('POST', '/_/api/4/tenants', tenant)
  assert.equal(created.status, 201, created.text)
  assert.equal(created.headers.get('location'), '/_/api/4/tenants/acme')
  assert.equal((await ask('POST', '/_/api/4/tenants', tenant)).status, 409)
  assert.equal((await ask('PATCH', '/_/api/4/tenants/ACME', { is_enabled: false })).status, 204)
  // A condition that cannot be read is one that does not hold, and never none.
  assert.equal((await ask('PATCH', '/_/api/4/tenants/acme', { is_enabled: true }, { 'If-Match': '"\u00e9"' })).status, 412)
  assert.equal((await ask('PATCH', '/_/api/4/tenants/acme', { is_enabled: true }, { 'Idempotency-Key': '\u00e9' })).status, 400)
  const read = await ask('GET', '/_/api/4/tenants/acme')
  assert.equal(read.status, 200)
  assert.deepEqual(JSON.parse(read.text).env, { COLOUR: 'blue' })
  assert.equal(JSON.parse(read.text).is_enabled, false)
  assert.equal((await ask('DELETE', '/_/api/4/tenants/acme')).status, 204)
  assert.equal((await ask('GET', '/_/api/4/tenants/acme')).status, 404)
  assert.equal((await ask('POST', '/_/api/4/tenants', { ...tenant, env: { LONG: 'x'.repeat(70_000) } })).status, 413)
  await aSiteOnACell(ask, waits)
  const verified = await ask('POST', '/_/api/4/auth/verify')
  assert.equal(JSON.parse(verified.text).key.name, 'first')
}

test('the Python example serves the API and logs no env value', { skip: noPython() }, async () => {
  const log = await served(python, [path.join('examples', 'python', 'serve.py'), '--port', '0', '--database', ':memory:'], 'SIGTERM', (ask) => aTenantsLife(ask))
  assert.match(log, /'route': '\/tenants\/\{id\}'/)
  assert.doesNotMatch(log, /blue/)
})

test('the Python example answers 500 after a trap, and then goes on with a new instance', { skip: noPython() }, async () => {
  // The first API that it makes fails at each request.
  const program = `
import sys
sys.path.insert(0, "examples/python")
import serve
class Broken(serve.Exchange):
    def handle(self, *arguments):
        serve.Exchange = whole
        raise RuntimeError("wasm trap: unreachable")
whole, serve.Exchange = serve.Exchange, Broken
serve.main()`
  const log = await served(python, ['-c', program, '--port', '0', '--database', ':memory:'], 'SIGTERM', async (ask) => {
    for (const status of [500, 200, 200]) assert.equal((await ask('GET', '/_/api/4/tenants')).status, status)
  })
  assert.match(log, /GET \/_\/api\/4\/tenants: wasm trap/)
})

test('the Python example sends the event of a write at once, looks up records regularly, and goes on with the other tasks if one fails', { skip: noPython() }, async (t) => {
  const { got, url, stop } = await receiver()
  const folder = mkdtempSync(path.join(tmpdir(), 'tenants-regular-'))
  t.after(() => {
    stop()
    rmSync(folder, { recursive: true })
  })
  const file = path.join(folder, 'registry')
  const asked = () => got.filter(({ url }) => url.startsWith('/dns?')).length
  let first
  const write = async (ask, key) => {
    first = key
    assert.equal((await ask('POST', '/_/api/4/webhooks', { url: `${url}/hook` })).status, 201)
    for (const id of ['acme', 'other']) {
      assert.equal((await ask('POST', '/_/api/4/tenants', { id, hostname: `${id}.example.com`, is_enabled: true })).status, 201)
      await until(() => got.some(({ url, body }) => url === '/hook' && JSON.parse(body).data.id === id), `the event of ${id} arrives`)
    }
    await aClientThatLeaves(ask, file)
    await until(() => got.some(({ url, body }) => url === '/hook' && JSON.parse(body).data.id === 'late'), 'the event of late arrives')
    assert.equal(asked(), 0)
  }
  const work = async (ask) => {
    const database = new DatabaseSync(file, { timeout: 5_000 })
    database.exec('PRAGMA foreign_keys = OFF; ALTER TABLE webhooks RENAME TO elsewhere')
    for (const name of ['one', 'two']) {
      const before = asked()
      assert.equal((await ask('PUT', `/_/api/4/tenants/acme/hostnames/${name}.example.com`, { kind: 'alias' })).status, 201)
      database.exec("UPDATE tenant_hostnames SET check_at = '2000-01-01 00:00:00'")
      await until(() => asked() > before, `the record of ${name} is looked up`)
    }
    database.close()
  }
  const run = (life, ...more) => {
    const args = [path.join('examples', 'python', 'serve.py'), '--port', '0', '--database', file, ...more]
    return served(python, args, 'SIGTERM', life, { TENANTS_DEVELOPMENT: 'true', TENANTS_HOSTNAME_PROOF: 'txt', TENANTS_DOH_URL: `${url}/dns` }, first)
  }
  const written = await run(write)
  assert.match(written, /'request-id': 'left'/)
  assert.doesNotMatch(written, /Traceback/)
  const log = await run(work, '--every', '0.2')
  assert.match(log, /^deliver_webhooks: failed: .*webhooks/m)
  assert.doesNotMatch(log, /^(count_statistics|look_up_proofs):/m)
})

test('the Rust example serves the API, logs no env value, and warns of a misspelt variable', async () => {
  const built = spawnSync('cargo', ['build', '--locked', '--quiet', '-p', 'tenants-example-axum'], { cwd: root, env: environment(), encoding: 'utf8' })
  assert.equal(built.status, 0, built.stderr)
  const log = await served(path.join(root, 'target', 'debug', 'tenants-example-axum'), ['0', ':memory:'], 'SIGINT', (ask) => aTenantsLife(ask, true), { CHEVERETO_TENANTS_API_IP_ALOW_LIST: '192.0.2.1' })
  assert.match(log, /"route":"\/tenants\/\{id\}"/)
  assert.match(log, /^\{"level":"warn","variable":"CHEVERETO_TENANTS_API_IP_ALOW_LIST","cause":".*CHEVERETO_TENANTS_API_IP_ALLOW_LIST"\}$/m)
  assert.doesNotMatch(log, /192\.0\.2\.1/)
  // The request that waits for its cell takes a second.
  assert.match(log, /"route":"\/tenants\/\{id\}\/install".*"duration_ms":1\d{3}/)
  assert.doesNotMatch(log, /blue/)
})

test('the Rust example has a database for each site, if it shall', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tenants-sites-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const database = path.join(folder, 'registry')
  const site = path.join(`${database}.sites`, 'site-acme.sqlite')
  const life = async (ask) => {
    const admin = { username: 'admin', email: 'admin@example.com', password: 'a password' }
    assert.equal((await ask('POST', '/_/api/4/tenants', { id: 'Acme', hostname: 'acme.example.com', is_enabled: true })).status, 201)
    assert.equal((await ask('POST', '/_/api/4/tenants/acme/install', admin)).status, 201)
    assert.equal((await ask('POST', '/_/api/4/tenants/acme/install', admin)).status, 409)
    const tables = (file) => new DatabaseSync(file).prepare("SELECT name FROM sqlite_master WHERE name GLOB 'chv_*users'").all().map(({ name }) => name)
    assert.deepEqual([tables(database), tables(site)], [[], ['chv_users']])
    assert.equal((await ask('PATCH', '/_/api/4/tenants/acme/user-password-reset', { username: 'admin' })).status, 200)
    assert.equal((await ask('DELETE', '/_/api/4/tenants/acme', { drop_tables: true })).status, 204)
    assert.deepEqual(tables(site), [])
  }
  const variables = { CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'database', TENANTS_LOG_LEVEL: 'error' }
  const log = await served(path.join(root, 'target', 'debug', 'tenants-example-axum'), ['0', database], 'SIGINT', life, variables)
  assert.doesNotMatch(log, /"level":"(info|warn)"/)
})

test('the Rust example sends the event of a write at once, and carries out what is past its time', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'tenants-scheduled-'))
  const { got, url, stop } = await receiver()
  t.after(() => {
    stop()
    rmSync(folder, { recursive: true })
  })
  const database = path.join(folder, 'registry')
  const runs = (life, known) => served(path.join(root, 'target', 'debug', 'tenants-example-axum'), ['0', database], 'SIGINT', life, { TENANTS_DEVELOPMENT: 'true' }, known)
  let first
  const log = await runs(async (ask, key) => {
    first = key
    assert.equal((await ask('POST', '/_/api/4/webhooks', { url, types: ['tenant.created'] })).status, 201)
    assert.equal((await ask('POST', '/_/api/4/tenants', { id: 'acme', hostname: 'acme.example.com', is_enabled: true, suspend_at: '2100-01-01 00:00:00' })).status, 201)
    await until(() => got.length > 0, 'the event arrives', { within: 10_000 })
    assert.equal(JSON.parse(got[0].body).data.id, 'acme')
    await aClientThatLeaves(ask, database)
    await until(() => got.some(({ body }) => JSON.parse(body).data.id === 'late'), 'the event of the client that left arrives', { within: 10_000 })
  })
  assert.match(log, /"status":201,.*"request_id":"left"/)
  const db = new DatabaseSync(database)
  db.exec("UPDATE tenants SET suspend_at = '2026-01-01 00:00:00'")
  db.close()
  await runs(async (ask) => {
    await until(async () => {
      const { suspend_at: suspendAt, served: isServed } = JSON.parse((await ask('GET', '/_/api/4/tenants/acme')).text)
      return suspendAt === null && !isServed
    }, 'the tenant is suspended', { within: 10_000 })
  }, first)
})

test('the last command of the README creates a tenant', { skip: noPython() }, () => {
  const readme = readFileSync(path.join(root, 'crates', 'component', 'README.md'), 'utf8')
  const [, commands] = readme.match(/^```sh\n(.*?)^```/ms)
  const { status, stdout, stderr } = spawnSync('sh', ['-e', '-c', commands], { cwd: root, env: environment(), encoding: 'utf8', timeout: 600_000 })
  assert.equal(status, 0, stderr)
  const last = stdout.trim().split('\n').at(-1)
  assert.match(last, /^201 \{"id":"acme","hostname":"acme\.example\.com","is_enabled":true,/)
})
