// A real Traefik that reads its routes from one file, in front of PHP.
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { traefikProgram } from '../e2e/traefik.mjs'
import { freePorts } from '../ports.mjs'
import { start, temporary, until } from './parts.mjs'

/** Starts a Traefik whose file provider watches the folder of a file. `entryPoint` is the name of the entry point that the routes have. */
export async function startTraefik(file, { entryPoint = 'web' } = {}) {
  const [port, admin] = await freePorts(2)
  const folder = temporary('traefik')
  writeFileSync(path.join(folder, 'traefik.yml'), JSON.stringify({
    entryPoints: { [entryPoint]: { address: `127.0.0.1:${port}` }, traefik: { address: `127.0.0.1:${admin}` } },
    providers: { providersThrottleDuration: '50ms', file: { directory: path.dirname(file), watch: true } },
    global: { checkNewVersion: false, sendAnonymousUsage: false }, ping: {},
  }))
  const running = start(traefikProgram, [`--configFile=${path.join(folder, 'traefik.yml')}`], { log: path.join(folder, 'log'), cwd: folder })
  const ask = (hostname) => new Promise((resolve, reject) => {
    const request = http.get({ host: '127.0.0.1', port, headers: { Host: hostname }, agent: false, timeout: 5_000 }, (response) => {
      const chunks = []
      response.on('data', (c) => chunks.push(c)).on('error', reject).on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode, body: response.headers['x-stand-in'] === 'yes' ? JSON.parse(text) : text.trim() })
      })
    })
    request.on('timeout', () => request.destroy(new Error('no answer'))).on('error', reject)
  })
  return {
    ...running, port, ask,
    until: (status, hostname, check = () => true) => {
      let last
      return until(async () => {
        last = await ask(hostname).catch((error) => ({ status: error.message }))
        return last.status === status && check(last.body) && last
      }, () => `${hostname}: expected ${status}, got ${JSON.stringify(last)}\n${running.log().slice(-2000)}`)
    },
  }
}
