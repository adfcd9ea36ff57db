// Runs `tenants` against the built Worker: every command that uses the API, and its effect on the database.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { expectTenants, tenants as runTenants } from './cli.mjs'
import { startApi } from './harness.mjs'

const api = await startApi({ vars: { TENANTS_DEVELOPMENT: 'true' } })
const vars = {
  TENANTS_URL: api.url,
  TENANTS_API_KEY: api.key,
  CHEVERETO_TENANTS_API_REQUEST_SECRET: api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET,
}
const tenants = (args, more = {}) => expectTenants(0, args, { ...more, vars: { ...vars, ...more.vars } })
const refused = (args, more = {}) => expectTenants(1, args, { ...more, vars: { ...vars, ...more.vars } })
const json = async (args, more) => JSON.parse((await tenants([...args, '--format', 'json'], more)).output)
const tables = async () => (await api.sql("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'chv_acme_%' ORDER BY name")).map((r) => r.name)

test('the commands create, show, edit, list and delete a tenant and its plan', async () => {
  assert.equal((await json(['auth:verify'])).valid, true)
  const plan = await json(['plan:create', '--id', 'basic', '--name', 'Basic', '--limits', '{"CHEVERETO_MAX_USERS": "2"}'])
  assert.deepEqual(plan.limits, { CHEVERETO_MAX_USERS: '2' })
  const created = await json(['-C', 'create', '--id=acme', '--hostname=acme.example.com', '--is_enabled=1', '--plan_id=basic', '--env={"A": "é世"}'])
  assert.deepEqual([created.id, created.plan_id, created.env], ['acme', 'basic', { A: 'é世' }])
  assert.match((await tenants(['get', '--id', 'ACME'])).output, /^ *id +acme\n *hostname +acme\.example\.com\n/)

  assert.equal((await tenants(['edit', '--id', 'acme', '--hostname', 'new.example.com', '--plan_id', ''])).output, 'edited tenant `acme`\n')
  assert.deepEqual(await json(['get', '--id', 'acme']).then(({ hostname, plan_id }) => [hostname, plan_id]), ['new.example.com', null])
  assert.equal((await tenants(['plan:edit', '--id', 'basic', '--env', '{"B": 1}', '-q'])).output, '')
  assert.deepEqual((await json(['plan:get', '--id', 'basic'])).env, { B: '1' })
  assert.deepEqual((await json(['plan:list'])).map(({ id }) => id), ['basic'])

  const routers = (await json(['config:traefik'])).http.routers
  assert.equal(routers.acme.rule, 'Host(`new.example.com`)')

  await tenants(['create', '--id', 'b', '--hostname', 'b', '--is_enabled', '0'])
  await tenants(['create', '--id', 'c', '--hostname', 'c', '--is_enabled', '0'])
  const part = await tenants(['list', '--limit', '1', '--after', 'acme', '--format', 'json'])
  assert.deepEqual(JSON.parse(part.output).map(({ id }) => id), ['b'])
  assert.equal(part.errors, 'There are more tenants: continue with --after b\n')
  assert.deepEqual((await json(['list'])).map(({ id }) => id), ['acme', 'b', 'c'])
  assert.deepEqual(await json(['cache']), { cached: 0, tenants: 3, plans: 1 })

  const taken = await refused(['create', '--id', 'b', '--hostname', 'c', '--is_enabled', '1'])
  assert.match(taken.errors, /^error: Conflict: already taken: id, hostname\n( +\/(id|hostname): .+\n){2} +\(status 409, code conflict, request id cli-[0-9a-f]{32}\)\n$/)
  for (const id of ['b', 'c']) assert.equal((await tenants(['delete', '--id', id])).output, `deleted tenant \`${id}\`\n`)
  await tenants(['plan:delete', '--id', 'basic'])
  assert.match((await refused(['plan:get', '--id', 'basic'])).errors, /there is no such plan/)
})

test('a write can be tried, and carried out under a condition', async () => {
  const create = ['create', '--id', 'v', '--hostname', 'v.example.com', '--is_enabled', '1']
  assert.deepEqual(await json([...create, '--validate-only']), { valid: true })
  await tenants(create)
  assert.match((await refused([...create, '--validate-only'])).errors, /status 409, code conflict/)
  const version = async (command, id) => (await tenants([command, '--id', id, '--etag'])).output.trim()
  const old = await version('get', 'v')
  const edit = ['edit', '--id', 'v', '--is_enabled', '0']
  assert.equal((await tenants([...edit, '--validate-only', '--if-match', old])).output.trim(), 'valid   yes')
  assert.equal(await version('get', 'v'), old)
  assert.equal((await tenants([...edit, '--if-match', old])).output, 'edited tenant `v`\n')
  assert.notEqual(await version('get', 'v'), old)
  assert.match((await refused([...edit, '--if-match', old])).errors, /status 412, code precondition_failed/)
  assert.match((await refused([...edit, '--if-match', 'v'])).errors, /status 400, code malformed_header/)
  assert.match((await refused(['delete', '--id', 'v', '--if-match', old])).errors, /status 412/)
  await tenants(['delete', '--id', 'v', '--if-match', await version('get', 'v')])

  await tenants(['plan:create', '--id', 'v'])
  const plan = await version('plan:get', 'v')
  await tenants(['plan:edit', '--id', 'v', '--limits', '{}', '--if-match', plan])
  assert.match((await refused(['plan:delete', '--id', 'v', '--if-match', plan])).errors, /status 412/)
  await tenants(['plan:delete', '--id', 'v', '--if-match', '*'])

  assert.deepEqual(await json(['cell:create', '--id', 'v', '--validate-only']), { valid: true })
  assert.deepEqual(await json(['cell:list']), [])
})

test('the commands install a site, reset its password and drop its tables', async () => {
  const install = ['install', '-u', 'Admin', '-e', 'admin@example.com', '-x', '-']
  const password = 'a password of 24 letters'
  const installed = await json(install, { input: `${password}\n`, vars: { CHEVERETO_TENANT: 'acme' } })
  assert.deepEqual(installed, { id: 'acme', username: 'Admin', email: 'admin@example.com' })
  assert.ok((await tables()).includes('chv_acme_users'))
  const hash = async () => (await api.sql('SELECT * FROM chv_acme_users')).map((row) => Object.values(row).find((value) => /^\$argon2id\$/.test(value)))
  const [first] = await hash()
  assert.ok(first)
  assert.match((await refused([...install, '--id', 'acme'], { input: password })).errors, /status 409, code conflict/)
  assert.match((await refused(['install', '--id', 'acme', '-u', 'x', '-e', 'y', '-x', 'z'])).errors, /\/username: .+\n.*\/email: .+\n.*\/password: /)

  const reset = await tenants(['password-reset', '--id', 'acme', '-u', 'admin'])
  assert.match(reset.output, /^\S{16,}\n$/)
  assert.ok(!reset.errors.includes(reset.output.trim()))
  const [second] = await hash()
  assert.notEqual(second, first)
  const given = await tenants(['user:password-reset', '--id', 'acme', '-u', 'admin', '-x', '-'], { input: 'another one' })
  assert.equal(given.output, 'set the password of user `admin` of tenant `acme`\n')
  assert.notEqual((await hash())[0], second)
  assert.match((await refused(['password-reset', '--id', 'acme', '-u', 'nobody'])).errors, /status 404/)

  await tenants(['delete', '--id', 'acme', '--drop-tables'])
  assert.deepEqual(await tables(), [])
})

test('audit:list shows what was written, and takes the filters', async () => {
  const body = api.fresh()
  await tenants(['create', '--id', body.id, '--hostname', body.hostname, '--is_enabled', '1'])
  await tenants(['edit', '--id', body.id, '--is_enabled', '0', '--env', '{"A": "1"}'])
  const entries = await json(['audit:list', '--subject-type', 'tenant', '--subject', body.id.toUpperCase()])
  assert.deepEqual(entries.map(({ action, changed }) => [action, changed]), [['tenant.create', []], ['tenant.update', ['is_enabled', 'env']]])
  const [last] = await json(['audit:list', '--action', 'tenant.update', '--key-id', String(api.keyId), '--since', entries[1].created_at, '--after', String(entries[0].id), '--limit', '1'])
  assert.deepEqual(last, entries[1])
  assert.match((await tenants(['audit:list', '--subject', body.id])).output, /^ ID +TIME +KEY +ACTION +SUBJECT +CHANGED +REQUEST\n─+\n.*tenant\.create.*\n.*tenant\.update.*\["is_enabled","env"\]/)
  assert.equal((await tenants(['audit:list', '--without-key'])).output, 'no entries\n')
  await refused(['audit:list', '--action', 'nothing'])
})

test('an API key gets another name and another end', async () => {
  const { id } = await api.makeKey({ name: 'ci' })
  const shown = async () => (({ name, expires_at }) => [name, expires_at])(JSON.parse((await api.expect(200, 'GET', `/keys/${id}`)).text))
  const edit = ['api:key:edit', '--id', String(id)]
  assert.equal((await tenants([...edit, '--expires', '2999-01-31 00:00:00'])).output, `edited key ${id}\n`)
  assert.deepEqual(await shown(), ['ci', '2999-01-31 00:00:00'])
  assert.deepEqual(await json([...edit, '--name', 'other', '--validate-only']), { valid: true })
  await tenants([...edit, '--name', '', '--expires', ''])
  assert.deepEqual(await shown(), [null, null])
  assert.match((await refused([...edit, '--expires', '2020-01-31 00:00:00'])).errors, /\/expires_at: expected a time in the future/)
  assert.match((await refused(['api:key:edit', '--id', '999999', '--name', 'x'])).errors, /status 404/)
})

test('events shows what happened as JSON lines, and goes on from the last one', async () => {
  const lines = async (args) => (await tenants(['events', ...args])).output.split('\n').filter(Boolean).map((line) => JSON.parse(line))
  const body = api.fresh()
  assert.deepEqual(await lines(['--after', 'now']), [])
  await tenants(['create', '--id', body.id, '--hostname', body.hostname, '--is_enabled', '1'])
  const created = (await lines(['--type', 'tenant.created'])).at(-1)
  assert.deepEqual([created.type, created.data.id], ['tenant.created', body.id.toLowerCase()])
  await tenants(['edit', '--id', body.id, '--env', '{"A": "1"}'])
  assert.deepEqual((await lines(['--after', created.id])).map(({ type, data }) => [type, data.changed]), [['tenant.updated', ['env']]])
  await refused(['events', '--type', 'nothing'])
  assert.match((await refused(['events', '--follow', '--after', '0000000000000000.1'])).errors, /status 410/)
})

test('a webhook is made, tried, changed and deleted', async () => {
  const got = []
  const receiver = createServer((request, response) => request.on('data', (part) => got.push(JSON.parse(part).type)).on('end', () => response.writeHead(got.length > 1 ? 500 : 200).end())).listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  try {
    const { id, secret } = await json(['webhook:create', '--receiver', `http://127.0.0.1:${receiver.address().port}/`, '--type', 'plan.*', '--description', 'e2e'])
    assert.match(secret, /^whsec_/)
    assert.deepEqual((await json(['webhook:list'])).map((one) => [one.id, one.types, one.secret]), [[id, ['plan.*'], undefined]])
    assert.equal((await json(['webhook:test', '--id', id])).outcome, 'accepted')
    assert.match((await refused(['webhook:test', '--id', id])).output, /outcome +refused/)
    assert.deepEqual(got, ['webhook.test', 'webhook.test'])
    assert.match((await json(['webhook:rotate', '--id', id, '--overlap', '60'])).secret, /^whsec_/)
    await tenants(['webhook:edit', '--id', id, '--type', '', '--is_enabled', '0'])
    assert.deepEqual(await json(['webhook:get', '--id', id]).then(({ types, is_enabled, description }) => [types, is_enabled, description]), [[], false, 'e2e'])
    await refused(['webhook:edit', '--id', id, '--is_enabled', '1'])
    await tenants(['webhook:edit', '--id', id, '--is_enabled', '1', '--from', 'now'])
    assert.deepEqual(await json(['webhook:deliveries', '--id', id]), [])
    await refused(['webhook:retry', '--id', id, '--event', '0123456789abcdef.1'])
    await tenants(['webhook:delete', '--id', id])
    await refused(['webhook:get', '--id', id])
  } finally {
    receiver.closeAllConnections()
    receiver.close()
  }
})

test('events --follow shows an event soon after its write', async () => {
  const body = api.fresh()
  await api.expect(201, 'POST', '/tenants', { body })
  // The command may ask for the first time after a write, so there are several.
  let last
  const writes = setInterval(() => { last = api.expect(204, 'PATCH', `/tenants/${body.id}`, { body: { env: { A: '1' } } }) }, 1000)
  const run = await runTenants(['events', '--after', 'now', '--follow', '--type', 'tenant.updated'], { vars, onOutput: (text, kill) => text.split('\n').length > 2 && kill() })
  clearInterval(writes)
  await last
  const [first, second] = run.output.split('\n').map((line) => line && JSON.parse(line))
  assert.deepEqual([first.data.id, second.data.id], [body.id.toLowerCase(), body.id.toLowerCase()])
  assert.notEqual(first.id, second.id)
})
