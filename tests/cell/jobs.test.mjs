// Jobs, cron, statistics, updates and drops on a real MariaDB, with a stand-in for the registry.
import assert from 'node:assert/strict'
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { NO_STATS } from '../e2e/harness.mjs'
import { INSTALLATION, OTHER_KEY, agentProgram, makeAgent, noCell, startMariaDb, startPhp, startRedis, temporary, until } from './parts.mjs'
import { startRegistry } from './registry.mjs'

const skip = noCell({ database: true })
if (!skip) agentProgram()
const database = skip ? undefined : await startMariaDb()

/** A registry, a Redis and an agent, on the file's MariaDB. Each test has tenants of its own. */
async function cell(options = {}) {
  const [registry, redis] = await Promise.all([startRegistry(), startRedis()])
  return { registry, redis, agent: makeAgent({ registry, redis, database, ...options }) }
}

const users = (id) => database.rowsSoFar(`SELECT name, email, password FROM \`chv_${id}_users\``)

test('an installation, a password and their refusals', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  const php = await startPhp({ redis, env: database.env })
  registry.put({ id: 'i1' })
  agent.start()
  await php.until(503, 'i1.example')
  const started = Date.now()
  const install = await registry.ended(registry.install('i1'))
  assert.deepEqual([install.state, install.attempt, install.error], ['done', 1, null])
  assert.ok(Date.now() - started < 3000)
  await php.until(200, 'i1.example')
  const [[name, email, hash]] = users('i1')
  assert.deepEqual([name, email], ['admin', 'admin@example.com'])

  // A tenant that arrives together with its job.
  registry.put({ id: 'i2' })
  assert.equal((await registry.ended(registry.install('i2'))).state, 'done')

  assert.equal((await registry.ended(registry.install('i1'))).state, 'refused')
  assert.equal(users('i1').length, 1)
  const reset = (id, username) => registry.ended(registry.job('password_reset', id, { username, password: 'another one' }))
  assert.equal((await reset('i1', 'admin')).state, 'done')
  assert.notEqual(users('i1')[0][2], hash)
  const nobody = await reset('i1', 'nobody')
  // The command's own reason, since it may be another one than the user.
  assert.deepEqual([nobody.state, nobody.error], ['refused', 'exit code 1: No such user'])
  registry.put({ id: 'i3' })
  assert.equal((await reset('i3', 'admin')).state, 'refused')

  const unknown = await registry.ended(registry.job('dance', 'i1'))
  assert.match(unknown.error, /does not know the job `dance`/)
  const text = JSON.stringify(agent.events())
  for (const secret of ['correct horse', 'another one', registry.secret, registry.key]) assert.ok(!text.includes(secret), secret)
})

/** Installs with an agent that is killed at a point of it, and starts another one. */
async function killed({ slow: [before, behind], kill, lose, id }) {
  const { registry, redis, agent } = await cell()
  registry.put({ id })
  registry.leaseSeconds = 1
  agent.slow('install', before, behind)
  if (lose) registry.lose = lose
  agent.start()
  await agent.event('redis_written')
  const job = registry.install(id)
  await kill(registry, agent, job)
  agent.child.kill('SIGKILL')
  await agent.ended
  Object.assign(registry, { lose: undefined, leaseSeconds: undefined })
  agent.start()
  await registry.ended(job)
  assert.equal(job.state, 'done', job.error)
  assert.equal(users(id).length, 1)
  assert.equal(agent.calls().filter((line) => line === `installed ${id}`).length, 1)
  await agent.stop()
  return { job, agent, redis }
}

test('an agent that is killed before the command', { skip }, async () => {
  // The lease is taken, but its answer is lost.
  const { job } = await killed({ id: 'k1', slow: [0, 0], lose: (_, where) => where.endsWith('/lease'), kill: (_, __, job) => until(() => job.attempt === 1, 'the lease') })
  assert.ok(job.attempt >= 2)
})

test('an agent that is killed in the command, which goes on', { skip }, async () => {
  const { job, agent } = await killed({ id: 'k2', slow: [2.5, 0], kill: (_, agent) => until(() => agent.calls().includes('install k2'), 'the command') })
  assert.ok(job.attempt >= 2)
  // The second attempt waited for the first one's command, and then proved that the site is whole.
  const calls = agent.calls()
  assert.deepEqual(calls.filter((c) => c !== 'cron k2'), ['install k2', 'installed k2', 'install k2', 'password-reset k2'])
})

test('an agent that is killed after the command, before its report', { skip }, async () => {
  const { job } = await killed({ id: 'k3', slow: [0, 0], kill: async (registry, agent) => {
    agent.slow('install', 0, 1)
    await until(() => users('k3').length === 1, 'the administrator')
  } })
  assert.ok(job.attempt >= 2)
})

test('a report that arrived, but whose answer is lost', { skip }, async () => {
  let lost = 0
  const { job } = await killed({ id: 'k4', slow: [0, 0], lose: (_, where) => where.endsWith('/finish') && ++lost > 0, kill: (_, __, job) => until(() => job.state === 'done', 'the report') })
  assert.ok(lost >= 1)
  assert.equal(job.attempt, 1)
})

/** Installs for nine seconds under a lease of five, while the registry answers no renewal as long as this says so. */
async function withoutRenewals(id, hangs) {
  const { registry, agent } = await cell({ env: { TENANTS_AGENT_LEASE_SECONDS: '5' } })
  registry.put({ id })
  agent.slow('install', 9)
  let renewals = 0
  registry.hangs = (_, where) => where.endsWith('/renew') && hangs(job, ++renewals)
  const job = registry.install(id)
  agent.start()
  assert.equal((await registry.ended(job)).state, 'done', job.error)
  await agent.stop()
  assert.deepEqual(agent.calls(), [`install ${id}`, `installed ${id}`])
  return { job, agent }
}

test('a renewal that hangs does not cost the lease', { skip }, async () => {
  const { job, agent } = await withoutRenewals('h1', (_, renewal) => renewal === 1)
  assert.equal(job.attempt, 1)
  assert.equal(agent.events('lease_not_renewed').length, 1)
})

test('a job that is leased again while it runs goes on, and is not done twice', { skip }, async () => {
  const { job, agent } = await withoutRenewals('h2', ({ attempt }) => attempt === 1)
  assert.equal(job.attempt, 2)
  assert.equal(agent.events('lease_taken_again').length, 1)
})

test('half an installation is a failed job, and says so', { skip }, async () => {
  const { registry, agent } = await cell({ env: { TENANTS_AGENT_JOB_SECONDS: '1' } })
  registry.put({ id: 'half' })
  agent.slow('install', 10)
  agent.start()
  const killed = await registry.ended(registry.install('half'))
  assert.deepEqual([killed.state, killed.error], ['failed', 'killed after its time limit'])
  database.rows('CREATE TABLE chv_half_users (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(191), email VARCHAR(191), password VARCHAR(191))')
  const job = await registry.ended(registry.install('half'))
  assert.equal(job.state, 'failed')
  assert.match(job.error, /installed already, and the administrator's password cannot be set: exit code 1: No such user/)
  await agent.stop()
})

test('a later attempt at a site that somebody else installed leaves its password alone', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'p1' })
  agent.start()
  assert.equal((await registry.ended(registry.install('p1'))).state, 'done')
  await agent.stop()
  const before = users('p1')
  // As after an import: neither the registry nor the agent knows of the installation. The first lease's answer was lost.
  const other = makeAgent({ registry, redis, database })
  const job = registry.install('p1', 'another one')
  Object.assign(job, { attempt: 1 })
  other.start()
  assert.deepEqual([(await registry.ended(job)).state, job.attempt], ['refused', 2])
  assert.deepEqual(users('p1'), before)
  // The same, where the agent itself installed it, and the registry knows.
  const again = registry.install('p1', 'another one')
  Object.assign(again, { attempt: 1 })
  await other.stop()
  agent.start()
  assert.equal((await registry.ended(again)).state, 'refused')
  assert.deepEqual(users('p1'), before)
  await agent.stop()
})

test('dropping `a` leaves `a_b` whole, and everything else', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'a' }, { id: 'a_b' }, { id: 'A' })
  agent.start()
  for (const id of ['a', 'a_b', 'A']) assert.equal((await registry.ended(registry.install(id))).state, 'done')
  await redis.command('SET', 'chv:a:session:1', 'x')
  await redis.command('SET', 'chv:a_b:session:1', 'x')
  const early = await registry.ended(registry.job('drop', 'a'))
  assert.match(early.error, /still the cell's/)
  registry.remove('a')
  assert.equal((await registry.ended(registry.job('drop', 'a'))).state, 'done')
  const tables = database.tables().filter((table) => /^chv_(a|A)_/.test(table)).sort()
  assert.deepEqual(tables, ['chv_A_albums', 'chv_A_settings', 'chv_A_users', 'chv_a_b_albums', 'chv_a_b_settings', 'chv_a_b_users'])
  const keys = (await redis.keys()).filter((key) => /^chv:(a|A|a_b):/.test(key))
  assert.deepEqual(keys, ['chv:A:settings', 'chv:a_b:session:1', 'chv:a_b:settings'])
  // The same again, as after a lost report, finds nothing, and is done. So is that of a tenant that was never installed.
  for (const id of ['a', 'never']) assert.equal((await registry.ended(registry.job('drop', id))).state, 'done')
  // A site whose tables are not where they should be is not dropped.
  registry.remove('A')
  database.rows('RENAME TABLE chv_A_albums TO A1, chv_A_settings TO A2, chv_A_users TO A3')
  const lost = await registry.ended(registry.job('drop', 'A'))
  assert.equal(lost.state, 'failed')
  assert.match(lost.error, /has none of the tables of A, though it was installed/)
  database.rows('DROP TABLE A1, A2, A3')
})

test('a drop that waited for MySQL takes nothing once its lease is lost and the tenant is back', { skip }, async () => {
  // Of its own, since a server that is started in a test ends with it.
  const database = await startMariaDb()
  const { registry, redis, agent } = await cell({ database, env: { TENANTS_AGENT_LEASE_SECONDS: '5' } })
  registry.put({ id: 'b1' })
  agent.start()
  assert.equal((await registry.ended(registry.install('b1'))).state, 'done')
  registry.remove('b1')
  await agent.event('redis_written', (line) => line.removed === 1)
  await database.stop()
  const drop = registry.job('drop', 'b1')
  await agent.event('database_down')
  // As after the registry's database was restored: the job has ended, and the tenant is the cell's again.
  Object.assign(drop, { state: 'failed', lease: null })
  registry.put({ id: 'b1' })
  await agent.event('lease_lost')
  await until(async () => (await redis.keys()).includes('chv:_:tenant:b1'), 'the tenant')
  await database.start()
  await agent.event('job_given_back', (line) => line.detail === 'its lease is lost')
  assert.equal(database.rows('SELECT name FROM chv_b1_users').length, 1)
  await agent.stop()
})

test('a site whose tables could be those of another is neither installed nor dropped', { skip }, async () => {
  const schema = temporary('schema')
  for (const name of ['images', 'tags_users', 'users']) writeFileSync(path.join(schema, `${name}.sql`), '')
  const { registry, agent } = await cell({ env: { TENANTS_AGENT_SCHEMA: schema } })
  registry.put({ id: 'tags' }, { id: 's' })
  agent.start()
  const error = async (job) => {
    const { state, error } = await registry.ended(job)
    assert.equal(state, 'failed')
    return error
  }
  assert.match(await error(registry.install('tags')), /chv_tags_users of tags has the same name as one of the root site/)
  // Tables that were kept of `s_tags`, which was deleted long ago.
  for (const name of ['images', 'users']) database.rows(`CREATE TABLE chv_s_tags_${name} (id INT)`)
  assert.match(await error(registry.install('s')), /chv_s_tags_users of s has the same name as one of s_tags/)
  registry.remove('s')
  assert.match(await error(registry.job('drop', 's')), /chv_s_tags_users of s .*the table chv_s_tags_images is there/)
  assert.ok(database.tables().includes('chv_s_tags_users'))
  assert.ok(!agent.calls().some((call) => call.startsWith('install')))
  database.rows('DROP TABLE chv_s_tags_users, chv_s_tags_images')
  await agent.stop()
})

test('a drop that the database refuses fails at once', { skip }, async () => {
  const { registry, agent } = await cell({ env: { CHEVERETO_DB_PASS: 'wrong' } })
  registry.put({ id: 'r1' })
  agent.start()
  const started = Date.now()
  const job = await registry.ended(registry.job('drop', 'gone'))
  assert.equal(job.state, 'failed')
  assert.match(job.error, /MySQL: .*Access denied/)
  assert.ok(Date.now() - started < 5000)
  await agent.stop()
})

test('an installation that isolates by database refuses to drop', { skip }, async () => {
  const { registry, agent } = await cell({ env: { CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'database' } })
  registry.put({ id: 'x' })
  agent.start()
  const job = await registry.ended(registry.job('drop', 'gone'))
  assert.match(job.error, /CHEVERETO_TENANTS_DB_ISOLATION_MODE is not `table`/)
  assert.equal(agent.events('isolation').length, 1)
})

test('cron runs for served, installed sites, never twice at once, and counts them', { skip }, async () => {
  const { registry, agent } = await cell({ env: { TENANTS_AGENT_CRON_WORKERS: '3' } })
  const env = { CHEVERETO_SCHEDULER_INTERVAL: '5' }
  registry.put({ id: 'c1', env }, { id: 'c2', env }, { id: 'c3', env }, { id: 'c4', env })
  await Promise.all([agent.start(), ...['c1', 'c2', 'c3'].map((id) => registry.ended(registry.install(id)))])
  registry.put({ id: 'c3', is_enabled: false })
  await agent.stop()
  const before = agent.calls().length
  agent.slow('cron', 6)
  agent.start()
  await until(() => registry.stats.has('c1') && registry.stats.has('c2'), 'statistics', { within: 45_000 })
  assert.deepEqual(registry.stats.get('c1').stats, { ...NO_STATS, users: 1, admins: 1 })
  assert.match(registry.stats.get('c1').counted_at, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
  const calls = agent.calls().slice(before)
  assert.ok(!calls.some((call) => /c3|c4/.test(call)), calls.join())
  for (const id of ['c1', 'c2']) {
    const own = calls.filter((call) => call.endsWith(` ${id}`) && !call.startsWith('stats'))
    own.forEach((call, n) => assert.equal(call, n % 2 ? `ended ${id}` : `cron ${id}`, own.join()))
  }
  await agent.stop('SIGKILL')
})

test('an outage of MySQL is logged once, and so is its end, after which cron runs', { skip }, async () => {
  const database = await startMariaDb()
  const { registry, agent } = await cell({ database, env: { TENANTS_AGENT_CRON_WORKERS: '1' } })
  registry.put({ id: 'q1', env: { CHEVERETO_SCHEDULER_INTERVAL: '5' } })
  agent.start()
  assert.equal((await registry.ended(registry.install('q1'))).state, 'done')
  await agent.stop()
  await database.stop()
  const [lines, calls] = [agent.events().length, agent.calls().length]
  agent.start()
  await agent.event('database_down')
  // The list of sites is read every ten seconds.
  await sleep(12_000)
  await database.start()
  await agent.event('database_up')
  await until(() => agent.calls().slice(calls).includes('cron q1'), 'cron')
  await agent.stop()
  const events = agent.events().slice(lines).filter(({ event }) => event.startsWith('database') || event === 'cron_waits')
  assert.deepEqual(events.map(({ event }) => event), ['database_down', 'database_up'])
  assert.match(events[0].detail, /^MySQL: .*; sites get no cron until it is back$/)
})

test('an update goes on where it was cut off, and runs for disabled sites too', { skip }, async () => {
  const { registry, agent } = await cell()
  registry.put({ id: 'u1' }, { id: 'u2' }, { id: 'u3' }, { id: 'u4' })
  agent.start()
  for (const id of ['u1', 'u2', 'u3']) assert.equal((await registry.ended(registry.install(id))).state, 'done')
  registry.put({ id: 'u3', is_enabled: false })
  await sleep(600)
  writeFileSync(path.join(agent.control, 'broken-u2'), '')
  assert.equal((await agent.run('update', '--dry-run')).stdout, '1/3 u1: would be updated\n2/3 u2: would be updated\n3/3 u3: would be updated\n')
  // The agent runs meanwhile.
  const first = await agent.run('update')
  assert.equal(first.status, 1)
  assert.equal(first.stdout, '1/3 u1: updated\n2/3 u2: failed: exit code 1: A migration failed\n3/3 u3: updated\n')
  // Another release: all sites, those that are done for the last one as well.
  const installation = path.join(temporary('release'), 'html')
  cpSync(INSTALLATION, installation, { recursive: true })
  writeFileSync(path.join(installation, 'app/version.php'), '')
  const old = agent.settings.TENANTS_AGENT_INSTALLATION
  agent.settings.TENANTS_AGENT_INSTALLATION = installation
  assert.match((await agent.run('update')).stdout, /^1\/3 u1: updated\n2\/3 u2: failed: .*\n3\/3 u3: updated\n$/)
  agent.settings.TENANTS_AGENT_INSTALLATION = old
  assert.equal((await agent.run('update')).status, 1)
  rmSync(path.join(agent.control, 'broken-u2'))
  const second = await agent.run('update')
  assert.equal(second.stdout, 'going on: 2 of 3 sites are done\n3/3 u2: updated\nall 3 sites are up to date\n')
  assert.deepEqual(agent.calls().filter((c) => c.startsWith('update')), [...['update u1', 'update u2', 'update u3', 'update u1', 'update u2', 'update u3'], ...['update u1', 'update u2', 'update u3', 'update u2']])
  agent.settings.TENANTS_AGENT_SCHEMA = temporary('schema')
  writeFileSync(path.join(agent.settings.TENANTS_AGENT_SCHEMA, 'other.sql'), '')
  const other = await agent.run('update')
  assert.equal(other.status, 1)
  assert.match(other.stderr, /of 4 tenants none is installed/)
})

test('an update without a state file, or of a site that the registry cannot read, is not complete', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'n1' }, { id: 'n2' })
  agent.start()
  for (const id of ['n1', 'n2']) assert.equal((await registry.ended(registry.install(id))).state, 'done')
  await agent.stop()
  registry.put({ id: 'n2', error: 'env cannot be decrypted' }, { id: 'n3', error: 'env cannot be decrypted' })
  const fresh = makeAgent({ registry, redis, database })
  const lost = await fresh.run('update')
  assert.deepEqual([lost.status, lost.stdout], [1, ''])
  assert.match(lost.stderr, /knows no tenant, since it is new/)
  assert.equal((await fresh.run('once')).status, 0)
  const update = await fresh.run('update')
  assert.deepEqual([update.status, update.stdout], [1, '1/1 n1: updated\nn2: left out, since the registry cannot read it\n'])
  assert.match(update.stderr, /sites that were left out: n2\. /)
  // The registry can read it again.
  registry.mend('n2')
  registry.put({ id: 'n2' })
  assert.equal((await fresh.run('once')).status, 0)
  const second = await fresh.run('update')
  assert.deepEqual([second.status, second.stdout], [0, 'going on: 1 of 2 sites are done\n2/2 n2: updated\nall 2 sites are up to date\n'])
})

test('check fails while the installation has a registry of its own', { skip }, async () => {
  const { registry, agent } = await cell()
  registry.put({ id: 'own' })
  assert.equal((await agent.run('once')).status, 0)
  assert.equal((await agent.run('check')).status, 0)
  database.rows('CREATE TABLE chv__tenants (id VARCHAR(16) PRIMARY KEY)')
  assert.equal((await agent.run('check')).status, 0)
  database.rows("INSERT INTO chv__tenants VALUES ('own')")
  const check = await agent.run('check')
  assert.equal(check.status, 1)
  assert.match(check.stdout, /chv__tenants, has 1 rows/)
  database.rows('DROP TABLE chv__tenants')
})

test('a first start with nothing to decrypt has an installed site read before all others are written', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'f1', env: { A: '1' } }, { id: 'f2', env: { A: '1' } })
  agent.start()
  assert.equal((await registry.ended(registry.install('f1'))).state, 'done')
  await agent.stop()
  await redis.command('FLUSHALL')
  // The installation has its own key, another one than the agent.
  const cli = JSON.stringify(['env', `CHEVERETO_ENCRYPTION_KEY=${OTHER_KEY}`, 'php', path.join(INSTALLATION, 'app/bin/cli')])
  const hostname = 'chv:_:hostname:f1.example'
  await redis.command('SET', hostname, 's:5:"other";')
  const wrong = makeAgent({ registry, redis, database, env: { TENANTS_AGENT_CLI: cli } })
  const once = await wrong.run('once')
  assert.equal(once.status, 1, once.stderr)
  assert.match(once.stderr, /`cli -C stats` of f1 fails with it/)
  // What the keys held before is put back.
  assert.deepEqual(await redis.keys(), [hostname])
  assert.equal(await redis.command('GET', hostname), 's:5:"other";')
  const [refusal] = (await wrong.run('accept')).stdout.split('\n')
  assert.equal(refusal, "the encryption key is taken as the installation's")
  // A command that cannot run says nothing about the key.
  for (const words of [['/nowhere/cli'], ['env', '/nowhere/cli'], ['sh', '-c', 'echo "sudo: a password is required" >&2; exit 1']]) {
    const silent = makeAgent({ registry, redis, database, env: { TENANTS_AGENT_CLI: JSON.stringify(words) } })
    const unchecked = await silent.run('once')
    assert.equal(unchecked.status, 3)
    assert.match(unchecked.stderr, /the encryption key cannot be checked yet/)
    assert.match((await silent.run('accept')).stdout, /nothing waits/)
  }
  const right = makeAgent({ registry, redis, database })
  assert.equal((await right.run('once')).status, 0)
  assert.equal(right.calls().join(), 'stats f1')
  assert.equal((await redis.keys()).filter((key) => key.includes(':tenant:')).length, 2)
})

test('once the sites are written, a command that fails takes none of them from Redis', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  const tenants = async () => (await redis.keys()).filter((key) => key.includes(':tenant:')).length
  registry.put({ id: 'g1', env: { A: '1' } })
  assert.equal((await agent.run('once')).status, 0)
  database.rows('CREATE TABLE chv_g1_users (id INT)')
  agent.settings.TENANTS_AGENT_CLI = '["false"]'
  registry.put({ id: 'g2', env: { A: '1' } })
  assert.equal((await agent.run('once')).status, 0)
  assert.equal(await tenants(), 2)
  await redis.command('FLUSHALL')
  assert.equal((await agent.run('once')).status, 0)
  assert.equal(await tenants(), 2)
})

test('no more jobs run at a time than there are workers, and never two for one tenant', { skip }, async () => {
  const { registry, agent } = await cell({ env: { TENANTS_AGENT_WORKERS: '2' } })
  const ids = ['w1', 'w2', 'w3', 'w4']
  registry.put(...ids.map((id) => ({ id })))
  agent.slow('install', 0.4)
  agent.start()
  const jobs = ids.map((id) => registry.install(id))
  // A second job for the first tenant waits for its command.
  jobs.splice(1, 0, registry.job('password_reset', 'w1', { username: 'admin', password: 'another one' }))
  registry.jobs.splice(1, 0, registry.jobs.pop())
  for (const job of jobs) assert.equal((await registry.ended(job)).state, 'done', job.error)
  const calls = agent.calls()
  let running = 0
  const most = Math.max(...calls.filter((call) => call.includes('install')).map((call) => (running += call.startsWith('installed') ? -1 : 1)))
  assert.ok(most <= 2, calls.join())
  assert.ok(calls.indexOf('password-reset w1') > calls.indexOf('installed w1'), calls.join())
  await agent.stop()
})

test('`once` does all jobs that wait, and fails if one of them does', { skip }, async () => {
  const { registry, agent } = await cell({ env: { TENANTS_AGENT_WORKERS: '1' } })
  const ids = ['o1', 'o2', 'o3']
  registry.put(...ids.map((id) => ({ id })))
  const jobs = ids.map((id) => registry.install(id))
  assert.equal((await agent.run('once')).status, 0)
  assert.deepEqual(jobs.map((job) => job.state), ['done', 'done', 'done'])
  registry.job('dance', 'o1')
  const failed = await agent.run('once')
  assert.equal(failed.status, 1)
  assert.match(failed.stderr, /jobs that failed or were given back: 1/)
})

test('SIGTERM lets the running job of `once` end and report, and `once` fails', { skip }, async () => {
  const { registry, agent } = await cell({ env: { TENANTS_AGENT_WORKERS: '1' } })
  registry.put({ id: 's1' }, { id: 's2' })
  agent.slow('install', 1)
  const [job, next] = ['s1', 's2'].map((id) => registry.install(id))
  agent.start('once')
  await until(() => agent.calls().includes('install s1'), 'the command')
  await agent.stop('SIGTERM')
  assert.deepEqual([agent.child.exitCode, job.state, next.state], [1, 'done', 'waiting'])
  await agent.event('ended', (line) => line.detail === 'stopped, and jobs wait or run')
})

test('SIGTERM lets a running job end and report', { skip }, async () => {
  const { registry, agent } = await cell()
  registry.put({ id: 't1' })
  agent.slow('install', 1)
  agent.start()
  const job = registry.install('t1')
  await until(() => agent.calls().includes('install t1'), 'the command')
  await agent.stop('SIGTERM')
  assert.equal(agent.child.exitCode, 0)
  assert.deepEqual([job.state, job.attempt], ['done', 1])
})

test('the registry, Redis and MariaDB may be away for a while, and nothing is lost', { skip }, async () => {
  const { registry, redis, agent } = await cell()
  registry.put({ id: 'd1' }, { id: 'd2' })
  agent.start()
  assert.equal((await registry.ended(registry.install('d1'))).state, 'done')
  // The registry, while a job runs: the report is made up for.
  agent.slow('install', 1)
  const install = registry.install('d2')
  await until(() => agent.calls().includes('install d2'), 'the command')
  registry.down(true)
  await agent.event('job_not_reported')
  registry.down(false)
  assert.equal((await registry.ended(install)).state, 'done')
  // Redis: no job is taken.
  await redis.stop()
  await agent.event('redis_down')
  const reset = registry.job('password_reset', 'd1', { username: 'admin', password: 'x' })
  await sleep(500)
  assert.equal(reset.state, 'waiting')
  await redis.start()
  assert.equal((await registry.ended(reset)).state, 'done')
  // MariaDB: a drop waits for it, an installation says what is wrong.
  registry.remove('d1')
  await agent.event('redis_written', (line) => line.removed === 1)
  await database.stop()
  const drop = registry.job('drop', 'd1')
  registry.put({ id: 'd3' })
  agent.slow('install', 0)
  const failed = await registry.ended(registry.install('d3'))
  assert.equal(failed.state, 'failed')
  assert.match(failed.error, /^MySQL: /)
  await agent.event('database_down')
  await database.start()
  assert.equal((await registry.ended(drop)).state, 'done')
  assert.ok(!database.tables().some((table) => table.startsWith('chv_d1_')))
  assert.ok(database.tables().includes('chv_d2_users'))
})
