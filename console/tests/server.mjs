// The built console before the built Worker, with tenants, plans, cells and jobs to look at.

import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { buildConsole } from '../../scripts/console.mjs'
import { ROOT, startApi, utc } from '../../tests/e2e/harness.mjs'

const DAY = 86_400_000

/** Starts a Worker with the console, and makes a bound key for it. */
export async function startConsole({ vars = {} } = {}) {
  const assets = path.join(ROOT, 'build', 'console')
  if (!existsSync(path.join(assets, 'assets'))) await buildConsole()
  const api = await startApi({ assets, vars: { TENANTS_CONSOLE: 'true', TENANTS_DEVELOPMENT: 'true', TENANTS_JOB_WAIT_SECONDS: '0', CHEVERETO_TENANT_ENFORCED: '{"CHEVERETO_ENABLE_EXTERNAL_STORAGE":"0"}', ...vars } })
  /** Makes a bound key with scopes. */
  const boundKey = async (scopes = ['*'], name = 'support desk') => (await api.expect(201, 'POST', '/keys', { body: { name, scopes, bound: true } })).json
  const key = await boundKey()
  const { url } = api
  return { api, url, page: `${url}/console/`, boundKey, key }
}

/** Fills the registry: three plans, two cells, jobs, and some tenants in every state. */
export async function furnish({ api }) {
  for (const [id, limits, env] of [
    ['basic', { CHEVERETO_MAX_USERS: '5', CHEVERETO_MAX_FILES: '5000' }, null],
    ['business', { CHEVERETO_MAX_USERS: '50', CHEVERETO_MAX_FILES: '100000' }, { CHEVERETO_ENABLE_USERS: '1' }],
    ['agency', { CHEVERETO_MAX_USERS: '0' }, { CHEVERETO_ENABLE_USERS: '1', CHEVERETO_ENABLE_BULK_IMPORTER: '1' }],
  ]) await api.plan({ id, limits, env, labels: { currency: 'eur' }, external_id: `product-${id}` })
  for (const [id, name, service] of [['fra1', 'Frankfurt', { name: 'php-fra1', port: 8080 }], ['ams1', 'Amsterdam', null]]) await api.expect(201, 'PUT', `/cells/${id}`, { body: { name, service, accepting: true } })
  await seedRows(api, 64)
  await api.expect(204, 'PATCH', '/tenants/atelier-nord', { body: { plan_id: 'business', limits: { CHEVERETO_MAX_USERS: '80' }, env: { CHEVERETO_DEFAULT_LANGUAGE: 'de' }, labels: { customer: '20417', region: 'eu' }, external_id: 'sub_20417' } })
  await api.expect(204, 'PUT', '/tenants/bluebird/holds/non_payment', { body: { reason: 'invoice 2026-1001 is 14 days late', message: 'This site is paused.' } })
  await api.expect(204, 'PUT', '/tenants/cedar/holds/abuse', { body: { reason: 'ticket 8841' } })
  await api.expect(204, 'PATCH', '/tenants/dune', { body: { is_enabled: false } })
  await api.expect(201, 'POST', '/tenants', { body: { id: 'lumen', hostname: 'lumen.example.com', is_enabled: true, cell_id: 'fra1', plan_id: 'agency' } })
  await api.expect(202, 'POST', '/tenants/lumen/install', { body: { username: 'admin', email: 'admin@lumen.example.com', password: 'correct horse' }, headers: { Prefer: 'respond-async' } })
}

const NAMES = ['atelier-nord', 'bluebird', 'cedar', 'dune', 'elm-studio', 'fjord', 'grove', 'harbour', 'iris', 'juniper', 'kestrel', 'larch', 'meadow', 'north-light', 'orchard', 'pinecone']

/** Writes tenants with SQL, since times and statistics cannot be set through the API. */
export async function seedRows(api, count, { from = 0, plans = ['basic', 'business', 'agency', null], id = (at) => (at < NAMES.length ? NAMES[at] : `${NAMES[at % NAMES.length].slice(0, 10)}-${at}`) } = {}) {
  const rows = []
  for (let at = from; at < from + count; at += 1) {
    const created = utc(new Date(Date.now() - (count - at + from) * (500 * DAY) / count))
    const size = Math.round(2 ** (20 + (at * 7919) % 17) * (1 + (at % 9) / 3))
    rows.push([id(at), `${id(at)}.example.com`, plans[at % plans.length], created, JSON.stringify({ tags: at % 40, files: (at * 613) % 90_000, pages: 3, users: at % 60, admins: 1, albums: at % 300, managers: 0, storages: 1, cron_time: 0, categories: 4, file_likes: at * 11, file_views: at * 977, album_likes: 0, album_views: at * 3, storage_used: size, login_providers: 0 })])
  }
  for (let part = 0; part < rows.length; part += 2000) {
    await api.sql(
      `INSERT INTO tenants (id, hostname, is_enabled, plan_id, created_at, updated_at, last_job_at, stats, has_site) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), 1, json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[3]'), json_extract(value, '$[3]'), json_extract(value, '$[4]'), 0 FROM json_each(?)`,
      JSON.stringify(rows.slice(part, part + 2000)))
  }
}

export const random = () => randomBytes(12).toString('hex')
