// `npm run demo`: its commands, typed as they are printed, make a site that opens, and Ctrl-C leaves nothing behind.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs'
import { after, test } from 'node:test'
import { missing, ROOT } from '../e2e/harness.mjs'
import { noTraefik } from '../e2e/traefik.mjs'
import { agentProgram, noCell, temporary, until } from './parts.mjs'

const skip = noCell({ database: true }) || noTraefik() || missing('curl', '--version') || (process.platform !== 'linux' && 'it reads /proc')
if (!skip) agentProgram()

/** Starts the demo in a process group of its own, as a terminal does, with its temporary files in a folder of their own. */
function startDemo(env = {}) {
  const folder = temporary('demo')
  const child = spawn('npm', ['run', '-s', 'demo'], { cwd: ROOT, env: { ...process.env, TMPDIR: folder, NODE_DISABLE_COMPILE_CACHE: '1', ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (data) => { text += data })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const left = () => processesWith(folder)
  after(() => left().forEach(({ pid }) => process.kill(pid, 'SIGKILL')))
  return { child, folder, ended, left, text: () => text }
}

/**
 * The processes that have not ended and whose environment names a folder, which all parts inherit, with their command lines. Redis writes its
 * title over its environment, but it works in the folder.
 */
const processesWith = (folder) => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
  try {
    const read = (file) => readFileSync(`/proc/${pid}/${file}`, 'utf8')
    // The state follows the name, which is in parentheses. What has ended has no environment any more.
    const isRunning = !/^.*\) Z/s.test(read('stat')) && (read('environ').includes(folder) || readlinkSync(`/proc/${pid}/cwd`).startsWith(folder))
    return isRunning ? [{ pid: Number(pid), command: read('cmdline').replaceAll('\0', ' ') }] : []
  } catch {
    return []
  }
})

const shell = (command) => new Promise((resolve, reject) => execFile('sh', ['-c', command], { timeout: 60_000 }, (error, stdout, stderr) => (error ? reject(new Error(`${command}: ${stderr}`)) : resolve(stdout))))

test('the printed commands make a site that opens, and Ctrl-C leaves nothing behind', { skip }, async () => {
  const demo = startDemo()
  await until(() => demo.text().includes('Ctrl-C takes everything down') || demo.child.exitCode !== null, 'the greeting', { within: 240_000 })
  const commands = demo.text().split('\n').filter((line) => line.startsWith('  curl '))
  assert.equal(commands.length, 3, demo.text())
  const parts = demo.left().map(({ command }) => command)
  for (const part of ['redis-server', 'mariadbd', 'php', 'traefik', 'workerd', 'tenants-agent']) assert.ok(parts.some((c) => c.includes(part)), `${part}: ${parts.join('\n')}`)
  // Neither a key nor a signature is printed, and their files are their owner's alone.
  assert.doesNotMatch(demo.text(), /chv_\d|[0-9a-f]{64}/)
  for (const [, file] of demo.text().matchAll(/-H @(\S+)/g)) assert.equal(statSync(file).mode & 0o777, 0o600)

  const [create, install, look] = commands
  assert.match(await shell(create), /"id":"shop".*\n201\n$/s)
  assert.match(await shell(install), /"username":"admin".*\n201\n$/s)
  // Traefik's file follows within a round.
  const page = await until(async () => JSON.parse(await shell(look).then((text) => (text.startsWith('{') ? text : 'null'))), 'the page')
  assert.deepEqual(page, {
    id: 'shop', hostname: 'shop.localhost', settings: { CHEVERETO_MAX_USERS: '5', CHEVERETO_ROUTE_ALBUM: 'env', CHEVERETO_ROUTE_IMAGE: 'provider' },
  })

  // A terminal's Ctrl-C reaches the foreground group.
  process.kill(-demo.child.pid, 'SIGINT')
  await demo.ended
  assert.deepEqual(demo.left(), [])
  assert.deepEqual(readdirSync(demo.folder), [], 'its temporary files')
})

test('a part that fails half-way takes everything down', { skip }, async () => {
  const demo = startDemo({ TENANTS_AGENT_PROGRAM: '/bin/false' })
  await until(() => demo.child.exitCode !== null, () => demo.text(), { within: 120_000 })
  assert.equal(await demo.ended, 1)
  assert.match(demo.text(), /error: tenants-agent ended/)
  assert.deepEqual(demo.left(), [])
  assert.deepEqual(readdirSync(demo.folder), [])
})

test('a demo that is killed takes its parts with it', { skip }, async () => {
  const demo = startDemo()
  await until(() => demo.left().some(({ command }) => command.includes('mariadbd')), () => demo.text(), { within: 240_000 })
  for (const { pid, command } of demo.left()) if (command.includes('scripts/demo.mjs')) process.kill(pid, 'SIGKILL')
  await until(() => demo.left().length === 0, () => JSON.stringify(demo.left()), { within: 60_000 })
  assert.deepEqual(readdirSync(demo.folder), [])
})
