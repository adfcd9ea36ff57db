// The parts of `npm run demo` (scripts/demo.mjs). They end when standard input ends.
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { noTraefik } from '../e2e/traefik.mjs'
import { hmac } from '../e2e/harness.mjs'
import { endAll, endByProgram } from '../lifetime.mjs'
import { makeAgent, noCell, startMariaDb, startPhp, startRedis, temporary, until } from './parts.mjs'
import { startRig } from './rig.mjs'
import { startTraefik } from './traefik.mjs'

endByProgram()
const over = new Promise((resolve) => process.stdin.once('end', resolve).once('error', resolve).resume())

/** Starts everything, and returns what a person may paste. */
async function start() {
  const database = await startMariaDb()
  const redis = await startRedis()
  const php = await startPhp({ redis, env: { ...database.env, CHEVERETO_TENANT_ENFORCED: '{"CHEVERETO_ROUTE_IMAGE": "provider"}' } })
  const rig = await startRig({
    database,
    vars: {
      CHEVERETO_TENANTS_TRAEFIK_IP_ALLOW_LIST: '127.0.0.1, ::1', CHEVERETO_PROXY_IP_ALLOW_LIST: '127.0.0.1, ::1', CHEVERETO_PROXY_ENTRYPOINT: 'web',
      CHEVERETO_SERVICE_NAME: '127.0.0.1', CHEVERETO_SERVICE_PORT: String(php.port), TENANTS_DEFAULT_CELL: 'demo',
    },
  })
  const file = path.join(temporary('dynamic'), 'tenants.yml')
  const { agent } = await rig.cell('demo', { redis, interval: '2', env: { TENANTS_AGENT_TRAEFIK_FILE: file, TENANTS_AGENT_CRON_WORKERS: '1' } })
  const running = agent.start()
  await Promise.race([
    agent.event('traefik_written'),
    running.ended.then(() => Promise.reject(new Error(`tenants-agent ended: ${JSON.stringify(agent.events().at(-1) ?? 'without a word')}`))),
  ])
  const traefik = await startTraefik(file)
  await until(() => traefik.ask('nobody.localhost').then((a) => a.status === 404, () => false), () => `Traefik does not answer:\n${traefik.log()}`)
  return { rig, agent, traefik }
}

/** The commands to paste. A key and a signature are in a file that its owner alone can read, since others can read a command's arguments. */
function commands({ api }, site) {
  const folder = temporary('headers')
  const post = (name, where, body) => {
    const text = JSON.stringify(body)
    const signature = hmac(api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET, text)
    const headers = path.join(folder, name)
    writeFileSync(headers, `Content-Type: application/json\nX-API-Key: ${api.key}\nX-Signature: ${signature}\n`, { mode: 0o600 })
    return `curl -sS -w '\\n%{http_code}\\n' ${api.url}/_/api/4${where} -H @${headers} -d '${text}'`
  }
  return [
    post('create', '/tenants', {
      id: 'shop', hostname: 'shop.localhost', is_enabled: true,
      limits: { CHEVERETO_MAX_USERS: '5', CHEVERETO_ROUTE_ALBUM: 'limits' }, env: { CHEVERETO_ROUTE_ALBUM: 'env', CHEVERETO_ROUTE_IMAGE: 'env' },
    }),
    post('install', '/tenants/shop/install', { username: 'admin', email: 'admin@example.com', password: 'correct horse' }),
    `curl -sS ${site}`,
  ]
}

function greet({ rig, traefik }) {
  const site = `http://shop.localhost:${traefik.port}/`
  const [create, install, look] = commands(rig, site)
  console.log(`
A registry and one cell run on this machine: the Worker with its database, tenants-agent, Redis, MariaDB, PHP with a stand-in for Chevereto,
and Traefik. Paste these into another terminal. Create a tenant, and install its site on the cell:

  ${create}

  ${install}

Open the site in a browser, or with curl. It shows the settings that it runs under, enforced over env over limits:

  ${look}

The signatures are for these bodies. Ctrl-C takes everything down, and nothing stays.
`)
}

const fail = (error) => {
  console.error(`\nerror: ${error.message}`)
  process.exitCode = 1
}

const missing = noCell({ database: true }) || noTraefik()
const starting = missing ? Promise.reject(new Error(missing)) : start()
try {
  const parts = await Promise.race([starting, over])
  if (parts) {
    greet(parts)
    const by_itself = (name, ended) => ended.then(() => Promise.reject(new Error(`${name} ended by itself`)))
    await Promise.race([over, by_itself('tenants-agent', parts.agent.ended), by_itself('Traefik', parts.traefik.ended)])
    await parts.agent.stop()
  }
} catch (error) {
  fail(error)
}
// What is being started is there to be ended, too.
await starting.catch(() => {})
await endAll().catch(fail)
process.exit()
