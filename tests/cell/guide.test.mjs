// docs/CELLS.md: its own commands, from a running installation to its first tenant, and the cut-over from the installation's own registry.
// Programs of the system that need root (useradd, systemctl, sudo to another user) are stood in for; all others are real.
import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { built } from '../e2e/cli.mjs'
import { ROOT, missing, run } from '../e2e/harness.mjs'
import { INSTALLATION, KEY, agentProgram, noCell, start, startMariaDb, startPhp, startRedis, temporary, until } from './parts.mjs'
import { startRig } from './rig.mjs'

const skip = noCell({ database: true }) || missing('bash', '--version')
if (!skip) [agentProgram(), built()]
const guide = readFileSync(path.join(ROOT, 'docs/CELLS.md'), 'utf8')

/** The blocks of a language below a heading. */
function blocks(heading, language = 'sh') {
  const from = guide.indexOf(`\n${heading}\n`)
  assert.ok(from >= 0, `docs/CELLS.md has ${heading}`)
  const level = heading.split(' ')[0]
  const section = guide.slice(from + heading.length + 2).split(new RegExp(`^#{2,${level.length}} `, 'm'))[0]
  const found = [...section.matchAll(new RegExp(`^ *\`\`\`${language}\\n([^]*?)^ *\`\`\``, 'gm'))].map(([, block]) => block.replace(/^ {3}/gm, ''))
  assert.ok(found.length > 0, `${heading} has commands`)
  return found
}

/** A machine with an installation: a folder that stands for its root, and a shell in which the guide's commands run. */
function machine({ redis, database, rig, registry }) {
  const root = temporary('machine')
  const at = (...names) => path.join(root, ...names)
  for (const name of ['bin', 'etc/sudoers.d', 'etc/systemd', 'usr/local/sbin', 'project']) mkdirSync(at(name), { recursive: true })
  cpSync(INSTALLATION, at('html'), { recursive: true })
  const variables = { CHEVERETO_ENCRYPTION_KEY: KEY, CHEVERETO_CACHE_HOST: '127.0.0.1', CHEVERETO_CACHE_PORT: redis.port, STANDIN_CONTROL: root, ...database.env }
  writeFileSync(at('html/.env'), Object.entries(variables).map(([name, value]) => `${name}=${value}\n`).join(''))
  writeFileSync(at('project/.caller.local'), `TENANTS_URL=${rig.front.url}\nTENANTS_API_KEY=${rig.api.key}\nCHEVERETO_TENANTS_API_REQUEST_SECRET=${rig.api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET}\n`, { mode: 0o600 })
  writeFileSync(at('project/wrangler.toml'), '')
  const program = (name, text) => {
    writeFileSync(at('bin', name), `#!/bin/bash\nset -eu\n${text}`)
    chmodSync(at('bin', name), 0o755)
  }
  for (const name of ['useradd', 'systemctl']) program(name, `echo "${name} $*" >> '${at('system')}'\n`)
  // The owner is the machine's, and there is no such user here.
  program('install', `all=(); while [ $# -gt 0 ]; do if [ "$1" = -o ]; then shift 2; else all+=("$1"); shift; fi; done; exec /usr/bin/install "\${all[@]}"\n`)
  // As sudo does, it hands on no variable of the caller.
  program('sudo', `[ "$1" = -n ] && shift; [ "$1" = -u ] || exit 9; echo "sudo $2" >> '${at('system')}'; shift 2; exec env -i PATH="$PATH" "$@"\n`)
  program('tenants-agent', `exec '${agentProgram()}' "$@"\n`)
  // The key is made through the API: the registry's database is not wrangler's.
  program('npm', `case "$*" in
    'run agent') echo agent;;
    'run -s tenants -- api:key:create --remote --vars-file .production.local --name agent of main --scopes cell:main --bound') printf 'TENANTS_API_KEY=%s\\nTENANTS_SIGNING_SECRET=%s\\n' '${registry.key}' '${registry.secret}';;
    'run -s tenants -- '*) shift 4; TENANTS_PROJECT='${at('project')}' exec '${built()}' "$@";;
    *) exit 9;;
  esac\n`)
  const placed = (text) => text
    .replaceAll('/usr/local/sbin', at('usr/local/sbin')).replaceAll('/usr/local/bin/', '').replaceAll('/etc/', `${at('etc')}/`).replaceAll('/var/lib/', `${at('var/lib')}/`).replaceAll('/var/www/html', at('html'))
    .replaceAll('https://tenants.example.workers.dev', rig.front.url)
    .replaceAll('TENANTS_CELL=main\n', `TENANTS_CELL=main\nTENANTS_AGENT_STATE=${at('var/lib/tenants-agent/state.db')}\nTENANTS_AGENT_INTERVAL=0.2\n`)
  const env = { PATH: `${at('bin')}:${process.env.PATH}`, PASSWORD: 'correct horse', HOME: root }
  return {
    at, env,
    system: () => readFileSync(at('system'), 'utf8'),
    /** Types commands of the guide. */
    type: (...scripts) => run('env', ['-i', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), 'bash', '-ec', `umask 022\ncd '${at('project')}'\n${placed(scripts.join('\n'))}`]),
    /** Starts the guide's service, as systemd does. */
    service() {
      const [unit] = blocks('### 5. Look, do one round, and start the service', 'ini')
      const [, line] = /^ExecStart=(.*)$/m.exec(unit)
      const [name, ...args] = placed(line).split(' ')
      return start(at('bin', name), args, { log: at('log'), env })
    },
  }
}

/** A registry with a bound key for the agent of the cell `main`. */
async function registryFor(database) {
  const rig = await startRig({ database })
  const { json } = await rig.api.expect(201, 'POST', '/keys', { body: { name: 'agent of main', scopes: ['cell:main'], bound: true } })
  return { rig, registry: { key: json.api_key, secret: json.signing_secret } }
}

test('from a running installation to its first tenant, by the commands of the guide', { skip }, async () => {
  const [database, redis] = await Promise.all([startMariaDb(), startRedis()])
  const { rig, registry } = await registryFor(database)
  const own = machine({ redis, database, rig, registry })
  const php = await startPhp({ redis, env: database.env })
  await own.type(...blocks('### 1. Make the cell and its key'))
  assert.equal(statSync(own.at('project/cell-main.local')).mode & 0o777, 0o600)
  await own.type(...['2. Install the agent', '3. Let it run the installation\'s commands', '4. Configure it'].flatMap((step) => blocks(`### ${step}`)))
  assert.match(own.system(), /^useradd --system .* tenants-agent$/m)
  assert.ok(!existsSync(own.at('project/cell-main.local')))
  assert.equal(statSync(own.at('var/lib/tenants-agent')).mode & 0o777, 0o700)
  assert.equal(statSync(own.at('etc/tenants-agent.env')).mode & 0o777, 0o600)
  assert.equal(statSync(own.at('etc/sudoers.d/tenants-agent')).mode & 0o777, 0o440)
  assert.doesNotMatch(readFileSync(own.at('etc/tenants-agent.env'), 'utf8'), /REQUEST_SECRET/)
  const looked = await own.type(...blocks('### 5. Look, do one round, and start the service'))
  assert.equal(looked, 'nothing to do\nRedis has what the registry has\n')
  assert.match(own.system(), /^systemctl enable --now tenants-agent$/m)
  const service = own.service()
  const shown = await own.type(...blocks('### 6. The first tenant'))
  assert.match(shown, /acme/)
  assert.match(shown, /main/)
  assert.equal((await php.until(200, 'acme.example.com')).body.id, 'acme')
  assert.equal(database.rows('SELECT name FROM chv_acme_users').join(), 'admin')
  // The program of step 3 ran it, as the web server's user.
  assert.match(own.system(), /^sudo www-data$/m)
  assert.match(await own.type(...blocks('## Updating')), /acme: updated\nall 1 sites are up to date/)
  await service.stop()
})

/** `env` as an installation seals it: ChaCha20, block counter 0, over PHP's serialized array. */
function sealed(env) {
  const entries = Object.entries(env)
  const text = `a:${entries.length}:{${entries.flat().map((s) => `s:${Buffer.byteLength(s)}:"${s}";`).join('')}}`
  const nonce = randomBytes(12)
  const cipher = createCipheriv('chacha20', Buffer.from(KEY, 'base64'), Buffer.concat([Buffer.alloc(4), nonce]))
  return Buffer.concat([nonce, cipher.update(text), cipher.final()])
}

test('moving the tenants of an installation, the cut-over, and the way back', { skip }, async () => {
  const [database, redis] = await Promise.all([startMariaDb(), startRedis()])
  const { rig, registry } = await registryFor(database)
  const own = machine({ redis, database, rig, registry })
  const php = await startPhp({ redis })
  const cacheAll = () => run('env', ['-i', `PATH=${process.env.PATH}`, 'php', own.at('html/app/bin/tenants'), '-C', 'cache'])
  // An installation with two tenants of its own, and a key that nobody knows.
  database.rows('CREATE TABLE chv__tenants (id VARCHAR(16) PRIMARY KEY, hostname VARCHAR(255), is_enabled INT, plan_id VARCHAR(64), limits TEXT, env BLOB, created_at VARCHAR(19), updated_at VARCHAR(19), last_job_at VARCHAR(19))')
  const tenants = { old1: { CHEVERETO_A: 'one', CHEVERETO_B: 'Señor', CHEVERETO_SCHEDULER_INTERVAL: '5' }, old2: { CHEVERETO_A: 'two' } }
  for (const [id, env] of Object.entries(tenants)) {
    database.rows(`INSERT INTO chv__tenants VALUES ('${id}', '${id}.example.com', 1, NULL, '{"CHEVERETO_MAX_USERS": "5"}', X'${sealed(env).toString('hex')}', '2026-01-01 00:00:00', NULL, NULL)`)
  }
  await cacheAll()
  await redis.command('SET', 'chv:_:tenant:stranger', 'N;')
  await run('env', ['-i', `PATH=${process.env.PATH}`, 'CHEVERETO_TENANT=old1', 'php', own.at('html/app/bin/cli'), '-C', 'install', '-u', 'admin', '-e', 'admin@example.com', '-x', 'correct horse'])
  const pages = () => Promise.all(Object.keys(tenants).map((id) => php.ask(`${id}.example.com`)))
  const before = await pages()
  assert.deepEqual(before.map(({ status, body }) => [status, body.settings.CHEVERETO_A]), [[200, 'one'], [200, 'two']])

  // Step 1: into the registry, by the command line's import.
  await own.type(blocks('### 1. Make the cell and its key')[0])
  const lines = Object.entries(tenants).map(([id, env]) => JSON.stringify({ type: 'tenant', id, hostname: `${id}.example.com`, is_enabled: true, limits: { CHEVERETO_MAX_USERS: '5' }, env, cell_id: 'main' }))
  writeFileSync(own.at('project/tenants.jsonl'), lines.join('\n'))
  await own.type('npm run -s tenants -- import --vars-file .caller.local tenants.jsonl')

  // Steps 2 and 3: nothing differs but the installation's own registry and the stranger.
  await own.type(...['3. Let it run the installation\'s commands', '4. Configure it'].flatMap((step) => blocks(`### ${step}`)))
  const [rounds] = blocks('## Moving the tenants that an installation has')
  const [once, check] = rounds.trim().split('\n')
  await own.type(once)
  assert.deepEqual(await pages(), before)
  const found = await own.type(`${check} || echo "exit $?"`)
  assert.equal(found, "tenant:stranger: not in the registry\nMySQL: the installation's own registry, chv__tenants, has 2 rows; `tenants -C cache` would write them to Redis. Rename the table\nexit 1\n")

  // Steps 4 and 5.
  const [rename, back] = blocks('## Moving the tenants that an installation has', 'sql')
  database.rows(rename)
  await redis.command('DEL', 'chv:_:tenant:stranger')
  assert.equal(await own.type(check), 'Redis has what the registry has\n')
  const service = own.service()
  await rig.api.expect(204, 'PATCH', '/tenants/old1', { body: { limits: { CHEVERETO_MAX_USERS: '9' } } })
  await php.until(200, 'old1.example.com', (body) => body.settings.CHEVERETO_MAX_USERS === '9')
  // An accidental `tenants -C cache` finds no table, and changes nothing.
  await cacheAll().catch(() => {})
  await php.until(200, 'old1.example.com', (body) => body.settings.CHEVERETO_MAX_USERS === '9')

  // The registry learns from a site's statistics that it is installed, and its cell is then changed by a move alone.
  const site = async (id) => (await rig.api.expect(200, 'GET', `/tenants/${id}`)).json.site
  await until(async () => (await site('old1')).state === 'installed', () => `the site of old1: ${service.log()}`, { within: 25_000 })
  assert.deepEqual(await site('old2'), { state: 'none', job_id: null })
  await rig.api.refuse(409, 'cell_conflict', 'PATCH', '/tenants/old1', { body: { cell_id: null } })

  // The way back.
  await service.stop()
  database.rows(back)
  await cacheAll()
  assert.deepEqual(await pages(), before)
})
