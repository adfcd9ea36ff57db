// A tenant's own site (API.md §8): install it, reset a user's password, and drop its tables, in a real D1.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missing, run, startApi, vectors } from './harness.mjs'

const api = await startApi()
const admin = { username: 'Admin_1', email: 'admin@example.com', password: 'päss 🐘 "word"' }
const tables = async (id) => (await api.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, ?1) = ?2 ORDER BY name", `chv_${id}_`.length, `chv_${id}_`)).map((r) => r.name)
const entries = async (action, subject) => (await api.sql('SELECT count(*) AS n FROM audit_log WHERE action = ? AND subject = ?', action, subject))[0].n
const users = (id) => api.sql(`SELECT * FROM "chv_${id}_users" ORDER BY id`)
const TABLES = ['albums', 'categories', 'connections', 'files', 'jobs', 'likes', 'login_providers', 'pages', 'settings', 'storages', 'tagged', 'tags', 'users']

async function installed(fields = {}) {
  const tenant = await api.tenant(fields)
  await api.expect(201, 'POST', `/tenants/${tenant.id}/install`, { body: admin })
  return tenant.id
}

/** Asks PHP whether a password matches a hash. Passes the password on standard input, so no shell interprets it. */
const php = async (password, hash) =>
  (await run('php', ['-r', 'echo password_verify(file_get_contents("php://stdin"), $argv[1]) ? "yes" : "no";', '--', hash], password)).trim()

test('install creates the tables and one administrator', async () => {
  const { id } = await api.tenant({ id: 'Ab-c_1', hostname: 'ab-c-1.example.com' })
  const { headers, json } = await api.expect(201, 'POST', '/tenants/aB-C_1/install', { body: admin })
  assert.deepEqual(json, { id, username: 'Admin_1', email: 'admin@example.com' })
  assert.equal(headers.location, '/_/api/4/tenants/Ab-c_1')
  assert.deepEqual(await tables('ab-c_1'), TABLES.map((t) => `chv_ab-c_1_${t}`))
  const [user, ...others] = await users('ab-c_1')
  assert.deepEqual(others, [])
  assert.deepEqual([user.username, user.email, user.is_admin, user.is_manager], ['Admin_1', 'admin@example.com', 1, 0])
  assert.match(user.password_hash, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  assert.equal(await entries('tenant.install', 'ab-c_1'), 1)
  await api.refuse(409, 'conflict', 'POST', '/tenants/AB-C_1/install', { body: { ...admin, username: 'other' } })
  assert.deepEqual(await users('ab-c_1'), [user])
})

test('of two concurrent installs one gets a 201 and the other a 409, and there is one administrator', async () => {
  for (let n = 0; n < 5; n++) {
    const { id } = await api.tenant()
    const answers = await Promise.all(['one', 'two'].map((username, i) =>
      api.call('POST', `/tenants/${i ? id.toUpperCase() : id}/install`, { body: { ...admin, username } })))
    assert.deepEqual(answers.map((a) => a.status).sort(), [201, 409])
    assert.deepEqual((await users(id)).map((u) => u.username), [answers.find((a) => a.status === 201).json.username])
    assert.equal(await entries('tenant.install', id), 1)
  }
})

test('of twenty concurrent installs of one tenant exactly one succeeds', async () => {
  const { id } = await api.tenant()
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => api.call('POST', `/tenants/${id}/install`, { body: { ...admin, username: `user${i}` } })))
  assert.deepEqual(answers.map((a) => a.status).sort(), [201, ...Array(19).fill(409)])
  assert.equal((await users(id)).length, 1)
})

test('a refused install creates no tables, and its log line is not an error', async () => {
  for (const [status, where, body] of [[404, '/tenants/nobody/install', admin], [404, '/tenants/a%20b/install', admin], [422, '/tenants/nobody/install', {}]]) {
    await api.expect(status, 'POST', where, { body })
  }
  await api.refuse(422, 'invalid', 'POST', '/tenants/nobody/install', { body: { username: 'a b', email: 'a', password: 'short', name: 'x' } }, ['/username', '/email', '/password', '/name'])
  const dead = await api.makeKey({ deleted_at: '2026-01-01 00:00:00' })
  const { id } = await api.tenant()
  await api.expect(401, 'POST', `/tenants/${id}/install`, { body: admin, key: dead.key })
  assert.deepEqual([await tables('nobody'), await tables(id)], [[], []])
  await installed({ id: 'logged', hostname: 'logged.example.com' })
  const { headers } = await api.expect(409, 'POST', '/tenants/logged/install', { body: admin })
  const [line] = await api.linesOf(headers['x-request-id'])
  // The first batch, which only reads, has found the site.
  assert.deepEqual([line.level, line.status, line.route, line.cause], ['info', 409, '/tenants/{id}/install', undefined])
})

test("PHP's password_verify accepts the stored hash", { skip: missing('php', '--version') }, async () => {
  const id = await installed()
  const hash = async () => (await users(id))[0].password_hash
  assert.equal(await php(admin.password, await hash()), 'yes')
  assert.equal(await php('another', await hash()), 'no')
  for (const password of ['mypassword', ' spaces ', 'x'.repeat(128), '🐘'.repeat(128), "quote ' and \\ and $"]) {
    const { json } = await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'ADMIN_1', password } })
    assert.deepEqual(json, { username: 'Admin_1', password })
    assert.equal(await php(password, await hash()), 'yes', password)
    assert.equal(await php(`${password}x`, await hash()), 'no', password)
  }
  const { json: { password } } = await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin_1' } })
  assert.match(password, /^[A-Za-z0-9_-]{20}$/)
  assert.equal(await php(password, await hash()), 'yes')
  assert.equal(await entries('tenant.user_password_reset', id), 6)
})

test("PHP's password_verify accepts the hashes of the vectors, which every host produces", { skip: missing('php', '--version') }, async () => {
  for (const { password, hash } of vectors('passwords')) assert.deepEqual([await php(password, hash), await php(`${password}x`, hash)], ['yes', 'no'], hash)
})

test('the hash contains the configured cost, and PHP verifies it', { skip: missing('php', '--version') }, async () => {
  const other = await startApi({ vars: { TENANTS_PASSWORD_MEMORY_KIB: '65536', TENANTS_PASSWORD_PASSES: '3', CHEVERETO_DB_TABLE_PREFIX: 'my_' } })
  const { id } = await other.tenant()
  await other.expect(201, 'POST', `/tenants/${id}/install`, { body: admin })
  const [{ password_hash: hash }] = await other.sql(`SELECT password_hash FROM "my_${id}_users"`)
  assert.match(hash, /^\$argon2id\$v=19\$m=65536,t=3,p=1\$/)
  assert.equal(await php(admin.password, hash), 'yes')
  // Each hash needs 64 MiB, and all run in one isolate, one after another.
  const answers = await Promise.all(Array.from({ length: 8 }, () => other.call('PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin_1' } })))
  assert.deepEqual(answers.map((a) => a.status), Array(8).fill(200))
})

test('a password reset is a 404 if the tenant, its site or the user does not exist', async () => {
  const body = { username: 'admin_1', password: 'long enough' }
  const { id } = await api.tenant()
  for (const [where, detail] of [['nobody', 'tenant'], ['a%20b', 'tenant'], [id, 'user: nothing is installed for this tenant']]) {
    const { json } = await api.refuse(404, 'not_found', 'PATCH', `/tenants/${where}/user-password-reset`, { body })
    assert.equal(json.detail, `there is no such ${detail}`)
  }
  await api.expect(201, 'POST', `/tenants/${id}/install`, { body: admin })
  await api.refuse(404, 'not_found', 'PATCH', `/tenants/${id}/user-password-reset`, { body: { ...body, username: 'somebody' } })
  assert.equal(await entries('tenant.user_password_reset', id), 0)
})

test('a drop deletes only the tenant’s own tables: dropping `a` leaves `a_b` intact', async () => {
  const others = ['a_b', 'a-b', 'ab', 'b_a', 'a_users', 'users', 'tenants', 'api']
  for (const id of ['a', ...others]) await installed({ id, hostname: `${id.replaceAll('_', '--')}.example.com` })
  await api.sql("INSERT INTO chv_a_b_files (name, media_type, size_bytes, created_at) VALUES ('f', 'image/png', 1, '')")
  const everything = await Promise.all(others.map(users))
  await api.expect(204, 'DELETE', '/tenants/A', { body: { drop_tables: true } })
  assert.deepEqual((await tables('a')).filter((name) => !others.some((other) => name.startsWith(`chv_${other}_`))), [])
  for (const [i, id] of others.entries()) {
    assert.deepEqual(await users(id), everything[i])
    for (const table of TABLES) assert.ok((await tables(id)).includes(`chv_${id}_${table}`))
  }
  assert.equal((await api.sql('SELECT count(*) AS n FROM chv_a_b_files'))[0].n, 1)
  await api.expect(404, 'GET', '/tenants/a')
  await api.expect(404, 'DELETE', '/tenants/a', { body: { drop_tables: true } })
  assert.equal(await entries('tenant.delete', 'a'), 1)
  // The service's own tables still exist.
  for (const table of ['api_keys', 'audit_log', 'tenants', 'tenants_plans']) await api.sql(`SELECT count(*) FROM ${table}`)
})

test('a tenant that is deleted without drop_tables keeps its tables, and a later install is a 409', async () => {
  const id = await installed()
  const before = await users(id)
  await api.expect(204, 'DELETE', `/tenants/${id}`)
  await api.expect(404, 'POST', `/tenants/${id}/install`, { body: admin })
  assert.deepEqual(await users(id), before)
  await api.tenant({ id: id.toUpperCase(), hostname: `${id}.example.com` })
  await api.refuse(409, 'conflict', 'POST', `/tenants/${id}/install`, { body: { ...admin, username: 'other' } })
  assert.deepEqual(await users(id), before)
  await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin_1' } })
  await api.expect(204, 'DELETE', `/tenants/${id}`, { body: { drop_tables: true } })
  assert.deepEqual(await tables(id), [])
  // This tenant was never installed, so there is nothing to drop.
  await api.tenant({ id, hostname: `${id}.example.com` })
  await api.expect(204, 'DELETE', `/tenants/${id}`, { body: { drop_tables: true } })
})

test('if the audit entry cannot be written, an install, a drop and a password reset change nothing', async () => {
  const { id } = await api.tenant()
  const there = await installed()
  await api.sql("CREATE TRIGGER broken BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
  try {
    await api.refuse(503, 'unavailable', 'POST', `/tenants/${id}/install`, { body: admin })
    await api.refuse(503, 'unavailable', 'DELETE', `/tenants/${there}`, { body: { drop_tables: true } })
    await api.refuse(503, 'unavailable', 'PATCH', `/tenants/${there}/user-password-reset`, { body: { username: 'admin_1' } })
  } finally {
    await api.sql('DROP TRIGGER broken')
  }
  assert.deepEqual([(await tables(id)).length, (await tables(there)).length], [0, TABLES.length])
  await api.expect(200, 'GET', `/tenants/${there}`)
  await api.logged('the disk is full')
})

test('no console line, row or problem contains a password', async () => {
  const password = 'a-very-secret-one'
  const { id } = await api.tenant()
  await api.expect(201, 'POST', `/tenants/${id}/install`, { body: { ...admin, password } })
  await api.expect(409, 'POST', `/tenants/${id}/install`, { body: { ...admin, password } })
  await api.expect(200, 'PATCH', `/tenants/${id}/user-password-reset`, { body: { username: 'admin_1', password } })
  const { text } = await api.expect(422, 'POST', `/tenants/${id}/install`, { body: { password: password.repeat(10), username: 1 } })
  const rows = JSON.stringify([await users(id), await api.sql('SELECT * FROM audit_log')])
  assert.ok(!text.includes(password) && !rows.includes(password))
  await api.expect(200, 'GET', '/tenants')
  api.assertNothingSecretLogged(password)
})
