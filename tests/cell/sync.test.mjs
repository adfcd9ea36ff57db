// The agent keeps Redis equal to the registry: real Redis, real PHP with php-redis and phpseclib 3, and a stand-in for the registry.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { skipUnlessCi } from '../../scripts/lib/ci.mjs'
import { programPath } from '../../scripts/lib/system.mjs'
import { freePorts } from '../ports.mjs'
import { KEY, OTHER_KEY, agentProgram, makeAgent, noCell, startPhp, startRedis, temporary, until } from './parts.mjs'
import { startRegistry } from './registry.mjs'

const skip = noCell()
const noOpenssl = programPath('openssl') ? false : skipUnlessCi('openssl is not installed')
if (!skip) agentProgram()

/** A registry, a Redis and an agent. */
async function cell(options = {}) {
  const [registry, redis] = await Promise.all([startRegistry(), startRedis()])
  return { registry, redis, agent: makeAgent({ registry, redis, ...options }) }
}

const tenantsIn = async (redis) => (await redis.keys()).filter((key) => key.startsWith('chv:_:tenant:')).map((key) => key.slice('chv:_:tenant:'.length))

test('a site runs under its settings, and follows each change', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  const php = await startPhp({ redis, env: { CHEVERETO_TENANT_ENFORCED: '{"CHEVERETO_FORCED": "root"}' } })
  registry.put({ id: 'a', limits: { CHEVERETO_MAX_USERS: '5', CHEVERETO_BOTH: 'limit' }, env: { CHEVERETO_BOTH: 'env', CHEVERETO_FORCED: 'mine', CHEVERETO_NAME: 'Señor 日本' } }, { id: '1' })
  agent.start()
  const { body } = await php.until(200, 'a.example')
  assert.deepEqual(body, {
    id: 'a', hostname: 'a.example',
    settings: { CHEVERETO_MAX_USERS: '5', CHEVERETO_BOTH: 'env', CHEVERETO_FORCED: 'root', CHEVERETO_NAME: 'Señor 日本' },
  })
  // An id of digits is a string to PHP.
  assert.equal((await php.until(200, '1.example')).body.id, '1')
  assert.equal(statSync(agent.settings.TENANTS_AGENT_STATE).mode & 0o777, 0o600)

  registry.put({ id: 'a', limits: { CHEVERETO_MAX_USERS: '9' } })
  await php.until(200, 'a.example', (body) => body.settings.CHEVERETO_MAX_USERS === '9')
  registry.put({ id: 'a', is_enabled: false })
  await php.until(403, 'a.example')
  registry.put({ id: 'a', is_enabled: true, hostname: 'new.example', hostnames: ['new.example', 'www.new.example'] })
  await php.until(200, 'new.example')
  await php.until(200, 'www.new.example')
  await php.until(404, 'a.example')
  registry.put({ id: 'a', env: null, limits: null })
  await php.until(200, 'new.example', (body) => !('CHEVERETO_NAME' in body.settings))
  registry.remove('a')
  await php.until(404, 'new.example')
  await until(async () => (await redis.keys()).join() === 'chv:_:agent:main,chv:_:hostname:1.example,chv:_:tenant:1', 'the keys of `a` are gone')
})

test('all keys of a tenant are written in one transaction, and a hostname is deleted by one script', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a', hostname: 'a.example', hostnames: ['a.example', 'www.a.example'] }, { id: 'b' })
  assert.equal((await agent.run('once')).status, 0)
  registry.put({ id: 'a', hostname: 'new.example', hostnames: ['new.example', 'www.a.example'] })
  const stop = await redis.record()
  assert.equal((await agent.run('once')).status, 0)
  const commands = await stop()
  const writes = commands.slice(commands.indexOf('"MULTI"'), commands.indexOf('"EXEC"') + 1).map((line) => line.split(' ').slice(0, 2).join(' '))
  assert.deepEqual(writes, ['"MULTI"', '"SET" "chv:_:tenant:a"', '"SET" "chv:_:hostname:new.example"', '"SET" "chv:_:hostname:www.a.example"', '"EXEC"'])
  // Nothing writes a tenant's keys outside of it, and only the script deletes one.
  const others = commands.filter((line) => /^"(SET|DEL|UNLINK|MSET)"/i.test(line) && !line.includes('chv:_:agent:'))
  assert.equal(others.length, 3, commands.join('\n'))
  assert.equal(commands.filter((line) => /^"EVAL(SHA)?"/.test(line) && line.includes('"chv:_:hostname:a.example"')).length >= 1, true)
  assert.deepEqual((await redis.keys()).filter((key) => key.includes('hostname')), ['chv:_:hostname:b.example', 'chv:_:hostname:new.example', 'chv:_:hostname:www.a.example'])
})

test('a Redis that was restored from an older copy is put right in the next round', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a', limits: { A: '1' } }, { id: 'b' })
  assert.equal((await agent.run('once')).status, 0)
  const copy = await Promise.all((await redis.keys()).map(async (key) => [key, await redis.command('GET', key)]))
  registry.put({ id: 'a', limits: { A: '2' } })
  agent.start()
  await until(async () => (await redis.command('GET', 'chv:_:tenant:a'))?.includes('"A";s:1:"2"'), 'the change')
  await until(() => registry.polls().some((p) => p.status === 304), 'a 304')
  registry.down(true)
  for (const [key, value] of copy) await redis.command('SET', key, value)
  await agent.event('redis_rewritten')
  await until(async () => (await redis.command('GET', 'chv:_:tenant:a')).includes('"A";s:1:"2"'), 'the later value is back')
})

test('a site that was deleted does not come back with an older copy of Redis, and what a person wrote stays', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' }, { id: 'b', hostnames: ['b.example', 'www.b.example'] }, { id: 'c' })
  assert.equal((await agent.run('once')).status, 0)
  const copy = await Promise.all((await redis.keys()).map(async (key) => [key, await redis.command('GET', key)]))
  registry.remove('a')
  registry.put({ id: 'b', hostnames: ['b.example'] })
  registry.put({ id: 'c', hostname: 'a.example' })
  assert.equal((await agent.run('once')).status, 0)
  const now = await redis.keys()
  await redis.command('SET', 'chv:_:tenant:a', 'N;')
  assert.match((await agent.run('once')).stderr, /"event":"unknown_keys"/)
  assert.deepEqual(await redis.keys(), [...now, 'chv:_:tenant:a'].sort())
  for (const [key, value] of copy) await redis.command('SET', key, value)
  assert.match((await agent.run('once')).stderr, /"event":"revived_keys_removed"/)
  assert.deepEqual(await redis.keys(), now)
  assert.equal(await redis.command('GET', 'chv:_:hostname:a.example'), 's:1:"c";')
})

test('all keys are compared from time to time, the marker aside', { skip }, async () => {
  const { registry, redis, agent } = await cell({ env: { TENANTS_AGENT_COMPARE_SECONDS: '1' } })
  registry.put({ id: 'a' }, { id: 'b' })
  agent.start()
  await until(async () => (await tenantsIn(redis)).length === 2, 'two tenants')
  for (const round of [1, 2]) {
    await redis.command('DEL', 'chv:_:hostname:a.example')
    await redis.command('SET', 'chv:_:tenant:b', 'broken')
    await until(() => agent.events('keys_differ').length === round, 'the comparison')
    await until(async () => (await redis.command('GET', 'chv:_:hostname:a.example')) === 's:1:"a";' && (await redis.command('GET', 'chv:_:tenant:b')).startsWith('a:10:'), 'both keys are mended')
  }
  assert.deepEqual(agent.events('redis_rewritten'), [])
})

test('a comparison that failed is made up for in the next round', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' })
  assert.equal((await agent.run('once')).status, 0)
  await redis.command('DEL', 'chv:_:tenant:a')
  await redis.command('ACL', 'SETUSER', 'default', '-scan')
  agent.start()
  await agent.event('redis_down', (line) => line.detail.includes('scan'))
  await redis.command('ACL', 'SETUSER', 'default', '+scan')
  await agent.event('keys_differ')
  await until(async () => (await tenantsIn(redis)).join() === 'a', 'the tenant')
  await agent.stop()
})

test('a full Redis still loses what is gone', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' }, { id: 'b' })
  agent.start()
  await agent.event('redis_written')
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  // The new tenant, which cannot be written, has the hostname of the other one.
  registry.put({ id: 'b', hostname: 'moved.example' }, { id: 'c', hostname: 'b.example' })
  registry.remove('a')
  await agent.event('redis_down')
  await until(async () => !(await redis.keys()).some((key) => /:a(\.example)?$/.test(key)), 'the keys of `a` are gone')
  assert.equal(await redis.command('GET', 'chv:_:hostname:b.example'), 's:1:"b";')
  await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  await agent.event('redis_up')
  assert.deepEqual(await redis.keys(), ['chv:_:agent:main', 'chv:_:hostname:b.example', 'chv:_:hostname:moved.example', 'chv:_:tenant:b', 'chv:_:tenant:c'])
  assert.equal(await redis.command('GET', 'chv:_:hostname:b.example'), 's:1:"c";')
  await agent.stop()
})

test('two tenants that swap their hostnames between two rounds keep one each', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a', hostname: 'x.example' }, { id: 'b', hostname: 'y.example' })
  assert.equal((await agent.run('once')).status, 0)
  registry.put({ id: 'a', hostname: 'y.example' })
  registry.put({ id: 'b', hostname: 'x.example' })
  assert.equal((await agent.run('once')).status, 0)
  assert.equal(await redis.command('GET', 'chv:_:hostname:x.example'), 's:1:"b";')
  assert.equal(await redis.command('GET', 'chv:_:hostname:y.example'), 's:1:"a";')
  // A hostname that went from one tenant to another before the first is deleted stays with the other.
  registry.put({ id: 'b', hostname: 'z.example' })
  registry.put({ id: 'a', hostname: 'x.example' })
  registry.remove('b')
  assert.equal((await agent.run('once')).status, 0)
  assert.deepEqual(await redis.keys(), ['chv:_:agent:main', 'chv:_:hostname:x.example', 'chv:_:tenant:a'])
})

test('an idle round is one request, answered 304', { skip }, async () => {
  const { registry, agent } = await cell()
  registry.put({ id: 'a' })
  agent.start()
  await until(() => registry.polls().some((p) => p.status === 304), 'a 304')
  const before = registry.requests.length
  await sleep(1500)
  const idle = registry.requests.slice(before)
  assert.ok(idle.length >= 3, `${idle.length} rounds`)
  assert.deepEqual([...new Set(idle.map((r) => `${r.method} ${r.path} ${r.status}`))], ['GET /cells/main/tenants 304'])
  assert.match(idle[0].query.get('agent'), /^[0-9a-f]{32}$/)
  assert.match(idle[0].query.get('agent_version'), /^\d+\.\d+\.\d+$/)
})

test('a Redis that was flushed or that was away is put right from the state file, with the registry down', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a', env: { A: '1' } }, { id: 'b' })
  agent.start()
  await until(async () => (await tenantsIn(redis)).length === 2, 'two tenants')
  const before = await redis.command('GET', 'chv:_:tenant:a')
  registry.down(true)
  await agent.event('registry_down')
  await redis.command('FLUSHALL')
  await until(async () => (await tenantsIn(redis)).length === 2, 'the tenants are back')
  // The state file has the encrypted form, so even its nonce is the same.
  assert.equal(await redis.command('GET', 'chv:_:tenant:a'), before)

  await redis.stop()
  await agent.event('redis_down')
  await redis.start()
  await agent.event('redis_up')
  await until(async () => (await tenantsIn(redis)).length === 2, 'the tenants are back')
  // Each pause is twice the one before.
  const down = await until(() => agent.events('registry_down').length >= 3 && agent.events('registry_down'), 'more tries')
  assert.deepEqual(down.slice(0, 3).map((line) => line.again_in_seconds), [0.2, 0.4, 0.8])
  registry.put({ id: 'c' })
  registry.down(false)
  await agent.event('registry_up')
  await until(async () => (await tenantsIn(redis)).length === 3, 'the third tenant')
})

test('a registry that hangs holds up the repair of Redis for ten seconds at the most', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' })
  agent.start()
  await agent.event('redis_written')
  registry.hangs = true
  const before = registry.seen()
  await until(() => registry.seen() > before, 'a request')
  await redis.command('FLUSHALL')
  await until(async () => (await tenantsIn(redis)).join() === 'a', 'the tenant is back', { within: 14_000 })
  // Leases and statistics are writes, which are sent again within the same time.
  registry.hangs = (_, where) => where.endsWith('/lease')
  await agent.event('registry_up')
  registry.install('a')
  const line = await agent.event('registry_down', ({ detail }) => detail.includes('may have carried out the request'))
  assert.match(line.detail, /did not respond within 10 s/)
  await agent.stop()
})

test('while Redis is down, the agent tells the registry nothing new', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' })
  agent.start()
  await until(() => registry.polls().some((p) => p.status === 304), 'a 304')
  await redis.stop()
  await agent.event('redis_down')
  const before = registry.requests.length
  registry.put({ id: 'b' })
  registry.install('b')
  await sleep(800)
  assert.equal(registry.requests.length, before)
  await redis.start()
  await until(async () => (await tenantsIn(redis)).length === 2, 'both tenants')
})

test('a lost state file, a restored database and a cut-off list end in what the registry has', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' }, { id: 'b' }, { id: 'c' })
  const copy = registry.copy()
  registry.put({ id: 'd' })
  registry.put({ id: 'a', hostname: 'later.example' })
  registry.remove('b')
  registry.pages(1)
  assert.equal((await agent.run('once')).status, 0)
  assert.deepEqual(await tenantsIn(redis), ['a', 'c', 'd'])
  registry.restore(copy)
  assert.equal((await agent.run('once')).status, 0)
  assert.deepEqual(await tenantsIn(redis), ['a', 'b', 'c'])
  assert.equal(await redis.command('GET', 'chv:_:hostname:later.example'), null)
  assert.equal(await redis.command('GET', 'chv:_:hostname:a.example'), 's:1:"a";')
  assert.ok(registry.polls().some((p) => p.status === 410))

  const fresh = makeAgent({ registry, redis })
  assert.equal((await fresh.run('once')).status, 0)
  assert.deepEqual(await tenantsIn(redis), ['a', 'b', 'c'])
})

test('an empty registry removes nothing until a person accepts it', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' }, { id: 'b' })
  assert.equal((await agent.run('once')).status, 0)
  const copy = registry.copy()
  registry.restore({ rows: new Map(), revision: 0 })
  assert.match((await agent.run('once', '--dry-run')).stdout, /^would wait for `tenants-agent accept`: the registry has none of the sites any more\nwould remove a\n/)
  const once = await agent.run('once')
  assert.equal(once.status, 1, once.stderr)
  assert.deepEqual(await tenantsIn(redis), ['a', 'b'])
  registry.restore(copy)
  assert.equal((await agent.run('once')).status, 0)
  assert.match((await agent.run('accept')).stdout, /nothing waits/)
})

test('a change of many sites waits for `accept`, which covers that change alone', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  const ids = Array.from({ length: 100 }, (_, n) => `t${n}`)
  registry.put(...ids.map((id) => ({ id })))
  agent.start()
  await until(async () => (await tenantsIn(redis)).length === 100, 'all tenants')
  registry.put(...ids.slice(0, 10).map((id) => ({ id, is_enabled: false })))
  registry.remove(...ids.slice(10, 25))
  const held = await agent.event('held')
  assert.deepEqual([held.sites, held.removed, held.disabled], [100, 15, 10])
  await sleep(700)
  assert.equal((await tenantsIn(redis)).length, 100)
  assert.match(await redis.command('GET', 'chv:_:tenant:t0'), /"is_enabled";i:1;/)
  // It goes on to keep Redis as it was.
  await redis.command('FLUSHALL')
  await until(async () => (await tenantsIn(redis)).length === 100, 'all tenants are back')

  assert.match((await agent.run('accept')).stdout, /of 100 sites, 15 are removed and 10 are disabled/)
  await until(async () => (await tenantsIn(redis)).length === 85, 'the tenants are removed')
  assert.match(await redis.command('GET', 'chv:_:tenant:t0'), /"is_enabled";i:0;/)
  await agent.stop()
  assert.match((await agent.run('accept')).stdout, /nothing waits/)
})

test('another registry on the same state file waits for `accept`', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' })
  assert.equal((await agent.run('once')).status, 0)
  const other = await startRegistry()
  other.put({ id: 'b' })
  Object.assign(agent.settings, { TENANTS_URL: other.url, TENANTS_API_KEY: other.key, TENANTS_SIGNING_SECRET: other.secret })
  assert.equal((await agent.run('once')).status, 1)
  assert.deepEqual(await tenantsIn(redis), ['a'])
  assert.equal((await agent.run('accept')).status, 0)
  assert.equal((await agent.run('once')).status, 0)
  assert.deepEqual(await tenantsIn(redis), ['b'])
})

test('a tenant that the registry cannot decrypt keeps what it had, and all others follow', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' }, { id: 'b' })
  assert.equal((await agent.run('once')).status, 0)
  const before = await redis.command('GET', 'chv:_:tenant:a')
  registry.put({ id: 'a', error: 'its env cannot be decrypted' }, { id: 'b', limits: { A: '1' } })
  assert.match((await agent.run('once')).stderr, /"event":"tenant_unreadable"/)
  assert.equal(await redis.command('GET', 'chv:_:tenant:a'), before)
  assert.match(await redis.command('GET', 'chv:_:tenant:b'), /s:1:"A";s:1:"1";/)
})

test('a tenant that the registry cannot read is no stranger to a new state file, and is read again', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' }, { id: 'b' })
  assert.equal((await agent.run('once')).status, 0)
  const before = await redis.keys()
  registry.put({ id: 'a', error: 'its env cannot be decrypted', limits: { A: '1' } })
  const fresh = makeAgent({ registry, redis })
  assert.equal((await fresh.run('once', '--prune')).status, 0)
  assert.deepEqual(await redis.keys(), before)
  const check = await fresh.run('check')
  assert.equal(check.status, 1)
  assert.equal(check.stdout, 'tenant:a: the registry cannot read it; its keys stay as they are\n')
  // The registry got its key back. The tenant has no new revision.
  registry.mend('a')
  assert.equal((await fresh.run('once')).status, 0)
  assert.match(await redis.command('GET', 'chv:_:tenant:a'), /s:1:"A";s:1:"1";/)
  assert.equal((await fresh.run('check')).status, 0)
})

test('a key that a stranger changed or removed is mended, and strange keys are removed with --prune alone', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' }, { id: 'b' })
  agent.start()
  await until(async () => (await tenantsIn(redis)).length === 2, 'two tenants')
  await agent.stop()
  await redis.command('SET', 'chv:_:tenant:a', 'broken')
  await redis.command('DEL', 'chv:_:hostname:b.example')
  await redis.command('SET', 'chv:_:tenant:stranger', 'N;')
  await redis.command('SET', 'chv:_:hostname:stranger.example', 's:8:"stranger";')
  await redis.command('SET', 'chv:_:other', 'not ours')
  await redis.command('SET', 'chv:a:cache', 'the site has its own')
  const check = await agent.run('check')
  assert.equal(check.status, 1, check.stderr)
  assert.deepEqual(check.stdout.trim().split('\n'), [
    'tenant:a: different: not a value of PHP', 'hostname:b.example: missing', 'tenant:stranger: not in the registry', 'hostname:stranger.example: not in the registry',
  ])
  agent.start()
  const unknown = await agent.event('unknown_keys')
  assert.equal(unknown.keys, 2)
  await until(async () => await redis.command('GET', 'chv:_:hostname:b.example') === 's:1:"b";' && (await redis.command('GET', 'chv:_:tenant:a')).startsWith('a:10:'), 'both keys are mended')
  await agent.stop()
  agent.start('--prune')
  await agent.event('unknown_keys_removed')
  await until(async () => (await tenantsIn(redis)).length === 2, 'the strange tenant is gone')
  assert.equal(await redis.command('GET', 'chv:_:other'), 'not ours')
  assert.equal(await redis.command('GET', 'chv:a:cache'), 'the site has its own')
  await agent.stop()
  const good = await agent.run('check')
  assert.equal(good.status, 0, good.stdout + good.stderr)
  assert.match(good.stderr, /"event":"database_unknown"/)
})

test('--dry-run prints what would be done, and does nothing', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' })
  assert.equal((await agent.run('once', '--dry-run')).stdout, 'would write a\n')
  assert.deepEqual(await redis.keys(), [])
  assert.equal((await agent.run('once')).status, 0)
  registry.put({ id: 'b' })
  registry.put({ id: 'a', is_enabled: false })
  const { stdout } = await agent.run('once', '--dry-run')
  assert.equal(stdout, 'would disable a\nwould write a\nwould write b\n')
  assert.deepEqual(await tenantsIn(redis), ['a'])
  // Nor does the registry take the look as a sign of how far the agent is.
  assert.ok(registry.polls().at(-1).query.get('agent') === null)
})

test('a wrong encryption key is found before anything is written', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a', env: { A: '1' } })
  assert.equal((await agent.run('once')).status, 0)
  const before = await redis.command('GET', 'chv:_:tenant:a')
  registry.put({ id: 'b', env: { A: '1' } })
  const wrong = makeAgent({ registry, redis, env: { CHEVERETO_ENCRYPTION_KEY: OTHER_KEY } })
  const once = await wrong.run('once')
  assert.equal(once.status, 1)
  assert.match(once.stderr, /decrypts no value that is in Redis already/)
  assert.equal(await redis.command('GET', 'chv:_:tenant:a'), before)
  assert.deepEqual(await tenantsIn(redis), ['a'])
  // With the right one, an agent that is new here goes on.
  const right = makeAgent({ registry, redis, env: { CHEVERETO_ENCRYPTION_KEY: KEY } })
  assert.equal((await right.run('once')).status, 0)
  assert.deepEqual(await tenantsIn(redis), ['a', 'b'])
  // A key that was changed on purpose passes with `accept`, and everything is encrypted anew.
  assert.match((await wrong.run('accept')).stdout, /taken as the installation's/)
  assert.equal((await wrong.run('once')).status, 0)
  assert.notEqual(await redis.command('GET', 'chv:_:tenant:a'), before)
  assert.equal((await wrong.run('check')).status, 0)
})

test('an encryption key that cannot be checked is an error in the log, once', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' })
  assert.doesNotMatch((await agent.run('once')).stderr, /encryption_key_unchecked/)
  // A Redis that is full for a while has the sites written several times.
  await redis.command('CONFIG', 'SET', 'maxmemory', '1')
  registry.put({ id: 'b', env: { A: '1' } })
  agent.start()
  await agent.event('redis_down')
  await sleep(600)
  await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  await agent.event('redis_up')
  await agent.stop()
  const [{ level, detail }, ...more] = agent.events('encryption_key_unchecked')
  assert.deepEqual([level, more], ['error', []])
  assert.match(detail, /CHEVERETO_DB_NAME is not set$/)
})

test('a Redis that would throw sites away is refused', { skip }, async () => {
  const registry = await startRegistry()
  const redis = await startRedis({ policy: 'allkeys-lru' })
  const agent = makeAgent({ registry, redis })
  registry.put({ id: 'a' })
  const once = await agent.run('once')
  assert.equal(once.status, 3)
  assert.match(once.stderr, /maxmemory-policy is allkeys-lru/)
  assert.deepEqual(await redis.keys(), [])
})

test('a Redis Cluster is refused', { skip }, async () => {
  const registry = await startRegistry()
  registry.put({ id: 'a' })
  const redis = await startRedis({ more: ['--cluster-enabled', 'yes', '--cluster-port', String((await freePorts(1))[0])] })
  const once = await makeAgent({ registry, redis }).run('once')
  assert.equal(once.status, 3)
  assert.match(once.stderr, /runs as a cluster, where one transaction cannot hold both keys of a tenant/)
})

test('a Redis with a user of its own is reached, on a socket too', { skip }, async () => {
  const registry = await startRegistry()
  registry.put({ id: 'a' })
  const socket = `${temporary('socket')}/redis`
  const redis = await startRedis({ more: ['--unixsocket', socket] })
  await redis.command('ACL', 'SETUSER', 'agent', 'on', '>secret', '~chv:*', '+info', '+ping', '+get', '+set', '+mget', '+del', '+unlink', '+scan', '+multi', '+exec', '+eval', '+evalsha', '+script|load', '+select')
  const env = { CHEVERETO_CACHE_USER: 'agent', CHEVERETO_CACHE_PASSWORD: 'secret' }
  assert.equal((await makeAgent({ registry, redis, env: { ...env, CHEVERETO_CACHE_PASSWORD: 'wrong' } }).run('once')).status, 3)
  assert.equal((await makeAgent({ registry, redis, env }).run('once')).status, 0)
  assert.deepEqual(await tenantsIn(redis), ['a'])
  await redis.command('FLUSHALL')
  const agent = makeAgent({ registry, redis, env: { ...env, CHEVERETO_CACHE_HOST: socket } })
  assert.equal((await agent.run('once')).status, 0)
  registry.remove('a')
  registry.put({ id: 'b' })
  assert.equal((await agent.run('once')).status, 0)
  assert.deepEqual(await tenantsIn(redis), ['b'])
})

test('one state file has one agent', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' })
  agent.start()
  await until(async () => (await tenantsIn(redis)).length === 1, 'the tenant')
  const second = await agent.run('once')
  assert.equal(second.status, 3)
  assert.match(second.stderr, /another agent runs on/)
  const started = Date.now()
  await agent.stop('SIGTERM')
  assert.ok(Date.now() - started < 5000)
  assert.equal(agent.child.exitCode, 0)
  assert.equal(agent.events('stopped').length, 1)
})

test('a thousand tenants are in Redis in under five seconds', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put(...Array.from({ length: 1000 }, (_, n) => ({ id: `t${n}`, limits: { CHEVERETO_MAX_USERS: String(n) }, env: { CHEVERETO_NAME: `site ${n}` } })))
  const started = Date.now()
  const once = await agent.run('once')
  const took = Date.now() - started
  assert.equal(once.status, 0, once.stderr)
  assert.equal((await tenantsIn(redis)).length, 1000)
  assert.ok(took < 5000, `${took} ms`)
  assert.ok(registry.polls().length <= 3)
})

test('a Redis behind TLS is reached with its own certificate authority, and with no other', { skip: skip || noOpenssl }, async () => {
  const folder = temporary('tls')
  const openssl = (...args) => assert.equal(spawnSync('openssl', args, { cwd: folder }).status, 0, args.join(' '))
  openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=A test CA')
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key.pem', '-out', 'csr.pem', '-subj', '/CN=localhost')
  writeFileSync(path.join(folder, 'ext'), 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n')
  openssl('x509', '-req', '-in', 'csr.pem', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'cert.pem', '-days', '2', '-extfile', 'ext')
  const [port] = await freePorts(1)
  const redis = await startRedis({ more: ['--tls-port', port, '--tls-cert-file', `${folder}/cert.pem`, '--tls-key-file', `${folder}/key.pem`, '--tls-ca-cert-file', `${folder}/ca.pem`, '--tls-auth-clients', 'no'] })
  const registry = await startRegistry()
  registry.put({ id: 'a' })
  const env = { CHEVERETO_CACHE_HOST: 'tls://localhost', CHEVERETO_CACHE_PORT: String(port) }
  const stranger = await makeAgent({ registry, redis, env }).run('once')
  assert.equal(stranger.status, 3)
  assert.match(stranger.stderr, /"event":"redis_down"/)
  const known = await makeAgent({ registry, redis, env: { ...env, TENANTS_AGENT_REDIS_CA: `${folder}/ca.pem` } }).run('once')
  assert.equal(known.status, 0, known.stderr)
  assert.deepEqual(await tenantsIn(redis), ['a'])
})
