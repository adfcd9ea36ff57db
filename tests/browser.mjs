// Opens a page of ours in a headless Chromium and waits until the page posts its result.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { skipUnlessCi } from '../scripts/lib/ci.mjs'
import { programPath } from '../scripts/lib/system.mjs'

const ROOT = fileURLToPath(new URL('../', import.meta.url))
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm', '.json': 'application/json' }

/** Returns why a test that needs a browser is skipped. In CI throws it instead. */
export function noBrowser() {
  return programPath('chromium') ? false : skipUnlessCi('chromium is not installed')
}

/** Arguments for a headless Chromium that does not call home. By default it does so at every start, and without a network it waits for a timeout. */
export const QUIET = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

/**
 * Serves the given pages, and the project's files that a page may need, and opens `start` in Chromium. Resolves with the value that the page posts to `/result`.
 * @param {Record<string, [type: string, text: string, isFree?: boolean]>} pages a free page has no Content-Security-Policy
 */
export async function browse(pages, { start = '/', timeoutMs = 60_000 } = {}) {
  const profile = mkdtempSync(path.join(os.tmpdir(), 'tenants-browser-'))
  let child
  let server
  let timer
  try {
    return await new Promise((resolve, reject) => {
      timer = setTimeout(() => reject(new Error('the page has not posted a result')), timeoutMs)
      server = serve(pages, resolve)
      server.listen(0, '127.0.0.1', () => {
        const url = `http://127.0.0.1:${server.address().port}${start}`
        child = spawn(programPath('chromium'), [...QUIET, `--user-data-dir=${profile}`, url], { stdio: 'ignore', detached: true })
        child.on('error', reject)
        child.on('exit', (code) => reject(new Error(`Chromium ended with exit code ${code}`)))
      })
    })
  } finally {
    clearTimeout(timer)
    child?.removeAllListeners('exit')
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.on('exit', resolve))
      // Kill the whole process group: Chromium's helper processes would keep writing to the profile for a while.
      process.kill(-child.pid, 'SIGKILL')
      await gone
    }
    server?.closeAllConnections()
    server?.close()
    await remove(profile)
  }
}

/** Removes a folder. Retries, because processes that were just killed may still write to it for a moment. */
async function remove(folder) {
  for (let tries = 1; ; tries++) {
    try {
      return rmSync(folder, { recursive: true, force: true })
    } catch (error) {
      if (tries === 50) throw error
      await sleep(100)
    }
  }
}

/** Serves pages and files. The Content-Security-Policy forbids `eval`: the package needs only `wasm-unsafe-eval`. */
export function serve(pages, onResult) {
  return http.createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://x')
    if (pathname === '/result') {
      const chunks = []
      for await (const chunk of request) chunks.push(chunk)
      response.end()
      return onResult(JSON.parse(Buffer.concat(chunks).toString()))
    }
    const headers = (type) => ({ 'Content-Type': type, 'Content-Security-Policy': "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'" })
    const [type, text, isFree] = pages[pathname] ?? []
    if (text !== undefined) return response.writeHead(200, isFree ? { 'Content-Type': type } : headers(type)).end(text)
    const file = path.join(ROOT, path.normalize(pathname))
    const allowed = ['node_modules', 'tests', 'examples'].some((folder) => file.startsWith(path.join(ROOT, folder) + path.sep))
    try {
      if (!allowed) throw new Error('not ours to serve')
      response.writeHead(200, headers(TYPES[path.extname(file)] ?? 'application/octet-stream')).end(readFileSync(file))
    } catch {
      response.writeHead(404).end()
    }
  })
}
