// Starts the real parts of a cell on loopback: Redis, MariaDB, PHP with a stand-in for Chevereto, and the agent. Each ends with the test
// file or program that started it.
import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { beforeEach } from 'node:test'
import { fileURLToPath } from 'node:url'
import { agentBuild } from '../../scripts/agent.mjs'
import { skipUnlessCi } from '../../scripts/lib/ci.mjs'
import { programPath } from '../../scripts/lib/system.mjs'
import { atEnd, isUnlimited } from '../lifetime.mjs'
import { freePorts } from '../ports.mjs'
import { until } from '../until.mjs'

export { until }

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))
export const INSTALLATION = path.join(ROOT, 'tests/cell/installation')
export const KEY = Buffer.from(Array.from({ length: 32 }, (_, n) => n)).toString('base64')
export const OTHER_KEY = Buffer.alloc(32, 7).toString('base64')
/** Ends every process of a test file after this many milliseconds, even if the test hangs. */
const LIFETIME = 300_000

/**
 * Checks that the programs of a cell are installed. In CI throws if one is missing.
 * @returns {string | false} for `{ skip }`
 */
export function noCell({ database = false } = {}) {
  const missing = []
  if (!programPath('redis-server')) missing.push('redis-server')
  if (database && !programPath('mariadbd')) missing.push('mariadbd')
  const php = spawnSync('php', ['-r', "exit(extension_loaded('redis') && extension_loaded('pdo_mysql') && stream_resolve_include_path('phpseclib3/autoload.php') ? 0 : 1);"])
  if (php.status !== 0) missing.push('php with redis, pdo_mysql and phpseclib3')
  return missing.length ? skipUnlessCi(`a cell needs ${missing.join(', ')}; npm test installs them with apt-get, as root`) : false
}

/** Makes a folder that is removed with the test file. */
export function temporary(name) {
  const folder = mkdtempSync(path.join(os.tmpdir(), `tenants-cell-${name}-`))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** What ends the programs that run. */
const kills = new Set()
const killAll = () => kills.forEach((kill) => kill())
process.once('exit', killAll)
// If a test file fails before its first test, the runner ends the process without that event and without the hooks.
process.once('uncaughtExceptionMonitor', killAll)
beforeEach(() => process.off('uncaughtExceptionMonitor', killAll))

/** Starts a program that ends with the test file. Its output goes to a log file. */
export function start(program, args, { log, env = {}, cwd, argv0 } = {}) {
  const output = openSync(log, 'a', 0o600)
  const child = spawn(program, args, { argv0, cwd, env: { PATH: process.env.PATH, HOME: os.tmpdir(), ...env }, stdio: ['ignore', output, output] })
  closeSync(output)
  const ended = new Promise((resolve) => child.once('error', resolve).once('exit', resolve))
  const kill = () => child.kill('SIGKILL')
  const last = isUnlimited() ? undefined : setTimeout(kill, LIFETIME).unref()
  kills.add(kill)
  const stop = async (signal = 'SIGTERM') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    const hard = setTimeout(kill, 40_000)
    await ended
    clearTimeout(hard)
    clearTimeout(last)
    kills.delete(kill)
  }
  atEnd(() => stop('SIGKILL'))
  return { child, ended, stop, log: () => readFileSync(log, 'utf8') }
}

/** Starts a Redis, which can be stopped and started again on its port. It keeps nothing on disk. */
export async function startRedis({ policy = 'noeviction', more = [] } = {}) {
  const [port] = await freePorts(1)
  const folder = temporary('redis')
  const found = programPath('redis-server')
  let running
  const redis = {
    port,
    async start() {
      const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder, '--maxmemory-policy', policy, ...more]
      // Debian's redis-tools has the server, under the name of one of its tools: it goes by the name with which it is called.
      running = start(found, args.map(String), { log: path.join(folder, 'log'), argv0: 'redis-server' })
      // Another one may have taken the port.
      const isThis = (info) => info.includes(`process_id:${running.child.pid}\r\n`)
      await until(() => redis.command('INFO', 'server').then(isThis, () => false), () => `Redis does not answer:\n${running.log()}`)
    },
    stop: () => running.stop(),
    /** Sends a command, and returns its answer: a string (latin1), a number, null or an array. */
    command: (...words) => resp(port, words),
    /** Records the commands that the server carries out. Returns a function that ends the record and returns it, a text for each command. */
    async record() {
      const socket = net.connect(port, '127.0.0.1').setEncoding('latin1')
      let text = ''
      socket.on('error', () => {}).on('data', (data) => { text += data })
      socket.write('MONITOR\r\n')
      await until(() => text.startsWith('+OK'), 'MONITOR')
      return async () => {
        await redis.command('ECHO', 'the end')
        await until(() => text.includes('"the end"'), 'the end of the record')
        socket.destroy()
        // A line is: +<time> [<database> <client>] "<command>" "<argument>" … Those of scripts are left out.
        return text.split('\r\n').slice(1, -1).filter((line) => !/^\S+ \[\d+ lua\]/.test(line)).map((line) => line.replace(/^\+[\d.]+ \[[^\]]*\] /, '')).filter((line) => !/^"(ECHO|PING)"/.test(line))
      }
    },
    /** The names of all keys, sorted. */
    keys: async () => (await redis.command('KEYS', '*')).sort(),
  }
  await redis.start()
  return redis
}

/** A client of Redis's protocol, for one command. */
function resp(port, words) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    let text = ''
    const parse = (at) => {
      const end = text.indexOf('\r\n', at)
      if (end < 0) return
      const line = text.slice(at + 1, end)
      switch (text[at]) {
        case '+': return [line, end + 2]
        case ':': return [Number(line), end + 2]
        case '-': throw new Error(line)
        case '$': {
          const length = Number(line)
          if (length < 0) return [null, end + 2]
          return text.length < end + 4 + length ? undefined : [text.slice(end + 2, end + 2 + length), end + 4 + length]
        }
        case '*': {
          const items = []
          let next = end + 2
          for (let n = Number(line); n > 0; n--) {
            const item = parse(next)
            if (!item) return
            items.push(item[0])
            next = item[1]
          }
          return [items, next]
        }
      }
      throw new Error(`not Redis: ${text.slice(at, at + 20)}`)
    }
    socket.setEncoding('latin1').setTimeout(5_000, () => socket.destroy(new Error('Redis: timeout')))
    socket.on('error', reject).on('close', () => reject(new Error('Redis closed the connection'))).on('data', (data) => {
      text += data
      try {
        const answer = parse(0)
        if (!answer) return
        resolve(answer[0])
      } catch (error) {
        reject(error)
      }
      socket.destroy()
    })
    const bytes = words.map((word) => Buffer.from(String(word)))
    socket.write(Buffer.concat([Buffer.from(`*${bytes.length}\r\n`), ...bytes.flatMap((b) => [Buffer.from(`$${b.length}\r\n`), b, Buffer.from('\r\n')])]))
  })
}

/** Starts a MariaDB with a database and a user, which can be stopped and started again. */
export async function startMariaDb() {
  const [port] = await freePorts(1)
  const folder = temporary('mariadb')
  const data = path.join(folder, 'data')
  // As root, the server wants to be told that it may run as root.
  const user = process.getuid() === 0 ? ['--user=root'] : []
  // A server that starts removes temporary tables from its folder, which would be those of another one, too.
  const tmp = path.join(folder, 'tmp')
  mkdirSync(tmp)
  const common = ['--no-defaults', `--datadir=${data}`, `--tmpdir=${tmp}`, ...user]
  const made = spawnSync('mariadb-install-db', [...common, '--auth-root-authentication-method=normal', '--skip-test-db', '--innodb-log-file-size=8M'], { encoding: 'utf8', timeout: 180_000 })
  assert.equal(made.status, 0, made.stderr + made.stdout)
  const init = path.join(folder, 'init.sql')
  // The server reads one statement from each line.
  writeFileSync(init, [
    'CREATE DATABASE IF NOT EXISTS chevereto;', "CREATE USER IF NOT EXISTS chevereto@'127.0.0.1' IDENTIFIED BY 'chevereto';", "GRANT ALL ON chevereto.* TO chevereto@'127.0.0.1';", '',
  ].join('\n'))
  let running
  const env = {
    CHEVERETO_DB_HOST: '127.0.0.1', CHEVERETO_DB_PORT: String(port), CHEVERETO_DB_NAME: 'chevereto', CHEVERETO_DB_USER: 'chevereto', CHEVERETO_DB_PASS: 'chevereto',
  }
  /** Runs a query as the installation's user. Returns its rows, or why it failed. */
  const query = (text) => {
    const code = `try { $d = new PDO('mysql:host=127.0.0.1;port=${port};dbname=chevereto', 'chevereto', 'chevereto', [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
      $s = $d->query($argv[1]); echo json_encode($s->columnCount() ? $s->fetchAll(PDO::FETCH_NUM) : []); } catch (Throwable $e) { fwrite(STDERR, $e->getMessage()); exit(1); }`
    const { status, stdout, stderr } = spawnSync('php', ['-r', code, '--', text], { encoding: 'utf8', timeout: 20_000 })
    return status === 0 ? { rows: JSON.parse(stdout) } : { failure: stderr }
  }
  const database = {
    env,
    async start() {
      running = start(programPath('mariadbd'), [...common, `--port=${port}`, '--bind-address=127.0.0.1', `--socket=${folder}/s`, `--pid-file=${folder}/pid`, `--init-file=${init}`, '--innodb-flush-log-at-trx-commit=0', '--innodb-log-file-size=8M', '--skip-name-resolve'], { log: path.join(folder, 'log') })
      // Another one may have taken the port.
      await until(() => query('SELECT @@pid_file').rows?.[0][0] === `${folder}/pid`, () => `MariaDB does not answer:\n${running.log().slice(-2000)}`, { within: 60_000, every: 100 })
    },
    stop: () => running.stop(),
    /** Runs a query as the installation's user, and returns its rows. */
    rows(text) {
      const { rows, failure } = query(text)
      return rows ?? assert.fail(`${text}: ${failure}`)
    },
    /** The same, and none as long as there is no such table. */
    rowsSoFar(text) {
      const { rows, failure } = query(text)
      return rows ?? (failure.includes('42S02') ? [] : assert.fail(`${text}: ${failure}`))
    },
    tables: () => database.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'chevereto' ORDER BY 1").flat(),
  }
  await database.start()
  return database
}

/** Starts PHP's own server with the stand-in for Chevereto. */
export async function startPhp({ redis, env = {} }) {
  const [port] = await freePorts(1)
  const folder = temporary('php')
  const running = start('php', ['-S', `127.0.0.1:${port}`, '-t', INSTALLATION, path.join(INSTALLATION, 'index.php')], {
    log: path.join(folder, 'log'),
    env: { CHEVERETO_CACHE_HOST: '127.0.0.1', CHEVERETO_CACHE_PORT: String(redis.port), CHEVERETO_ENCRYPTION_KEY: KEY, ...env },
  })
  const php = {
    port,
    /** Opens a hostname's page. */
    ask: (hostname) => new Promise((resolve, reject) => {
      const request = http.get({ host: '127.0.0.1', port, headers: { Host: hostname }, agent: false, timeout: 10_000 }, (response) => {
        const chunks = []
        response.on('data', (c) => chunks.push(c)).on('error', reject).on('end', () => {
          const text = Buffer.concat(chunks).toString()
          try {
            resolve({ status: response.statusCode, body: JSON.parse(text) })
          } catch {
            reject(new Error(`${hostname}: ${text}\n${running.log()}`))
          }
        })
      })
      request.on('timeout', () => request.destroy(new Error(`${hostname}: no answer`))).on('error', reject)
    }),
    /** Waits until a hostname answers with this status. */
    until: async (status, hostname, check = () => true) => {
      let last
      return until(async () => {
        last = await php.ask(hostname).catch((error) => ({ status: error.message }))
        return last.status === status && check(last.body) && last
      }, () => `${hostname}: expected ${status}, got ${JSON.stringify(last)}`)
    },
  }
  await until(() => php.ask('nobody.example').then((a) => a.status === 404, () => false), () => `PHP does not answer:\n${running.log()}`)
  return php
}

let built
/** Builds the agent once, as it is shipped. Returns the program's path. */
export function agentProgram() {
  if (process.env.TENANTS_AGENT_PROGRAM) return process.env.TENANTS_AGENT_PROGRAM
  if (!built) {
    const { words, file } = agentBuild('dev')
    const { status } = spawnSync('cargo', ['-q', ...words], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
    assert.equal(status, 0, 'the agent cannot be built')
    assert.ok(existsSync(file))
    built = file
  }
  return built
}

/** Makes an agent for a cell, with a state file and a folder of its own. */
export function makeAgent({ registry, redis, database, php, cell = 'main', folder = temporary('agent'), env = {}, interval = '0.2' }) {
  const control = path.join(folder, 'control')
  mkdirSync(control, { recursive: true })
  const log = path.join(folder, 'log')
  writeFileSync(log, '', { mode: 0o600 })
  const settings = {
    TENANTS_URL: registry.url, TENANTS_API_KEY: registry.key, TENANTS_SIGNING_SECRET: registry.secret, TENANTS_CELL: cell,
    TENANTS_AGENT_STATE: path.join(folder, 'state', 'state.db'), TENANTS_AGENT_INTERVAL: interval, TENANTS_AGENT_CRON_WORKERS: '0',
    TENANTS_AGENT_INSTALLATION: INSTALLATION, TENANTS_AGENT_CLI: JSON.stringify(['php', path.join(INSTALLATION, 'app/bin/cli')]),
    CHEVERETO_CACHE_HOST: '127.0.0.1', CHEVERETO_CACHE_PORT: String(redis.port), CHEVERETO_ENCRYPTION_KEY: KEY, STANDIN_CONTROL: control,
    ...database?.env, ...env,
  }
  let running
  const agent = {
    folder, control, settings, php,
    start(...args) {
      running = start(agentProgram(), args, { log, env: { ...settings, RUST_BACKTRACE: '1' } })
      return running
    },
    stop: (signal) => running.stop(signal),
    get child() { return running.child },
    get ended() { return running.ended },
    /** Runs a command of the agent to its end. */
    run: (...args) => new Promise((resolve) => {
      const options = { env: { PATH: process.env.PATH, ...settings }, timeout: 60_000, killSignal: 'SIGKILL' }
      execFile(agentProgram(), args, options, (error, stdout, stderr) => resolve({ status: error ? error.code : 0, stdout, stderr }))
    }),
    /** The events of the log, or those of one name. */
    events: (name) => readFileSync(log, 'utf8').split('\n').filter(Boolean).map((line) => {
      try {
        return JSON.parse(line)
      } catch {
        throw new Error(`not a line of the log: ${line}`)
      }
    }).filter((line) => !name || line.event === name),
    /** Waits for an event that is in the log, or comes. */
    async event(name, check = () => true) {
      return until(() => agent.events(name).find(check), () => `no ${name} in the log:\n${readFileSync(log, 'utf8').slice(-3000)}`)
    },
    /** The commands that the installation was told to run, in order. */
    calls: () => (existsSync(path.join(control, 'calls')) ? readFileSync(path.join(control, 'calls'), 'utf8').trim().split('\n') : []),
    /** Makes a command of the installation wait before its work and after it. */
    slow: (command, before, behind = 0) => writeFileSync(path.join(control, `slow-${command}`), `${before} ${behind}`),
  }
  return agent
}
