// A client that calls every route with the types that openapi-typescript makes of the description. types.test.mjs compiles it and runs it.
import createClient from 'openapi-fetch'
import type { components, paths } from '../../build/openapi/description.d.ts'

export interface Options {
  baseUrl: string
  /** Signs a body. It gets the path, since the dialects have different signatures. */
  headersOf: (path: string, body: string, method: string) => Record<string, string>
  /** Is told of each call, by its method and the path of the description. */
  called: (method: string, path: string) => void
}

type NewTenant = paths['/_/api/4/tenants']['post']['requestBody']['content']['application/json']
type Tenant = components['schemas']['Tenant']

export async function callEveryRoute({ baseUrl, headersOf, called }: Options): Promise<Tenant> {
  const client = createClient<paths>({ baseUrl })
  client.use({
    async onRequest({ request, schemaPath }) {
      called(request.method, schemaPath)
      for (const [name, value] of Object.entries(headersOf(schemaPath, await request.clone().text(), request.method))) request.headers.set(name, value)
      return request
    },
  })
  const tenant = { params: { path: { id: 'typed' } } }
  const plan = { params: { path: { id: 'typed_plan' } } }

  const health = ok(await client.GET('/_/health'))
  const page = await client.GET('/_/held/{id}', { params: { path: { id: 'nobody' } }, parseAs: 'text' })
  expect(page.response.status === 404 && typeof page.error === 'string', 'the page of a tenant without a hold')
  const document = ok(await client.GET('/_/api/4/openapi.json'))
  expect(document.openapi === '3.1.1' && health.version.length > 0, 'health and description')
  const check = ok(await client.POST('/_/api/4/auth/verify'))
  expect(check.valid && check.key.expires_at === null, 'a valid key')

  const newPlan = ok(await client.POST('/_/api/4/tenants-plans', { body: { id: 'typed_plan', limits: { CHEVERETO_MAX_USERS: 2 }, env: [] } }))
  expect(newPlan.limits?.CHEVERETO_MAX_USERS === '2', 'a limit is a text')
  const body = { id: 'typed', hostname: 'typed.example.com', is_enabled: true, plan_id: newPlan.id, labels: { region: 'eu' } }
  const made = ok(await client.POST('/_/api/4/tenants', { body }))
  const { error, response } = await client.POST('/_/api/4/tenants', { body })
  if (response.status !== 409 || error === undefined || error.code !== 'conflict') throw new Error(`a taken id: ${response.status}`)
  for (const { detail } of error.errors ?? []) expect(detail.endsWith('is taken'), detail)
  expect(made.site.state === 'none', 'a new tenant has no site')

  const { id: _, ...rest } = body
  const tried = await client.PUT('/_/api/4/tenants/{id}', { params: { ...tenant.params, query: { validate_only: true } }, body: { ...rest, is_enabled: false } })
  expect(tried.data !== undefined && 'valid' in tried.data, 'a trial')
  expect(ok(await client.PUT('/_/api/4/tenants/{id}', { ...tenant, body: rest })).updated_at === made.updated_at, 'the tenant is so already')
  const { data: so } = await client.PUT('/_/api/4/tenants-plans/{id}', { ...plan, headers: { 'If-None-Match': '*' }, body: {} })
  expect(so === undefined, 'the plan is there')

  const one = ok(await client.GET('/_/api/4/tenants/{id}', tenant))
  const visitors: number = one.stats.file_views
  expect(visitors === 0 && one.labels.region === 'eu', 'the tenant')
  const list = ok(await client.GET('/_/api/4/tenants', {
    params: { query: { sort: '-updated_at', is_enabled: true, fields: ['id', 'hostname'], limit: 10 } },
    querySerializer: { array: { style: 'form', explode: false } },
  }))
  expect(list.some(({ id }) => id === 'typed') && list.every(({ env }) => env === undefined), 'the list')
  expect(ok(await client.GET('/_/api/4/tenants-plans', { params: { query: { limit: 10 } } })).length > 0, 'the plans')
  expect(ok(await client.GET('/_/api/4/tenants-plans/{id}', plan)).external_id === null, 'the plan')
  expect(ok(await client.GET('/_/api/4/tenants/{id}/settings', tenant)).CHEVERETO_MAX_USERS?.source === 'plan_limits', 'the settings')
  expect('*' in ok(await client.GET('/_/api/4/config/traefik')).http.routers, 'the routing')

  const admin = { username: 'admin', email: 'admin@example.com', password: 'correct horse' }
  expect(ok(await client.POST('/_/api/4/tenants/{id}/install', { ...tenant, body: admin })).id === 'typed', 'the site')
  const reset = ok(await client.PATCH('/_/api/4/tenants/{id}/user-password-reset', { ...tenant, body: { username: 'admin' } }))
  // Only the site of a tenant with a cell answers with a job.
  expect('password' in reset && reset.password.length >= 16, 'a password')

  const held = { params: { path: { ...tenant.params.path, kind: 'maintenance' } } } as const
  done(await client.PUT('/_/api/4/tenants/{id}/holds/{kind}', { ...held, body: { reason: 'a move' } }))
  expect(ok(await client.GET('/_/api/4/tenants/{id}', tenant)).holds['maintenance']?.reason === 'a move', 'the hold')
  done(await client.DELETE('/_/api/4/tenants/{id}/holds/{kind}', held))

  const alias = { params: { path: { ...tenant.params.path, hostname: 'alias.example.com' } } } as const
  expect(ok(await client.PUT('/_/api/4/tenants/{id}/hostnames/{hostname}', { ...alias, body: { kind: 'alias' } })).kind === 'alias', 'the alias')
  expect(ok(await client.GET('/_/api/4/tenants/{id}/hostnames', tenant))[0]?.hostname === 'alias.example.com', 'the list of hostnames')
  expect(ok(await client.POST('/_/api/4/tenants/{id}/hostnames/{hostname}/verify', alias)).proof === null, 'no proof was asked for')
  done(await client.DELETE('/_/api/4/tenants/{id}/hostnames/{hostname}', alias))

  done(await client.PATCH('/_/api/4/tenants/{id}', { ...tenant, body: { plan_id: null, labels: { region: null } } }))
  done(await client.PATCH('/_/api/4/tenants-plans/{id}', { ...plan, body: { limits: null } }))
  done(await client.DELETE('/_/api/4/tenants/{id}', tenant))
  expect(ok(await client.GET('/_/api/4/tenants', { params: { query: { deleted: true } } })).some((one) => one.id === tenant.params.path.id && one.deleted_at !== undefined), 'the deleted tenant')
  const back = await client.POST('/_/api/4/tenants/{id}/restore', tenant)
  expect(back.response.status === 200, 'the tenant is back')
  expect((await client.POST('/_/api/4/tenants/{id}/erase', { params: { path: { id: 'never' } } })).response.status === 404, 'nothing to erase')
  const last = ok(await client.GET('/_/api/4/tenants/{id}', tenant))
  done(await client.DELETE('/_/api/4/tenants/{id}', { ...tenant, body: { drop_tables: true } }))
  done(await client.DELETE('/_/api/4/tenants-plans/{id}', plan))

  const key = ok(await client.POST('/_/api/4/keys', { body: { name: 'typed', scopes: ['tenants:read'] } }))
  const ofKey = { params: { path: { id: key.id } } }
  expect(ok(await client.GET('/_/api/4/keys')).some(({ id }) => id === key.id) && key.api_key.startsWith('chv_'), 'the keys')
  done(await client.PATCH('/_/api/4/keys/{id}', { ...ofKey, body: { name: null } }))
  expect(ok(await client.GET('/_/api/4/keys/{id}', ofKey)).name === null, 'the key')
  expect(ok(await client.POST('/_/api/4/keys/{id}/rotate', { ...ofKey, body: { overlap_seconds: 60 } })).api_key !== key.api_key, 'another secret')
  done(await client.DELETE('/_/api/4/keys/{id}', ofKey))

  const [entry] = ok(await client.GET('/_/api/4/audit', { params: { query: { subject_type: 'api_key', subject: String(key.id), action: 'api_key.update', limit: 1 } } }))
  expect(entry?.changed?.join() === 'name' && entry.subject_type === 'api_key', 'the audit log')
  const [event] = ok(await client.GET('/_/api/4/events', { params: { query: { type: 'key.updated', limit: 1 } } }))
  expect(event?.data.changed?.join() === 'name' && event.type === 'key.updated' && event.data.revision === event.id, 'the events')

  const cell = { params: { path: { id: 'typed_cell' } } }
  expect(ok(await client.PUT('/_/api/4/cells/{id}', { ...cell, body: { name: 'Typed' } })).accepting, 'the new cell')
  expect(ok(await client.GET('/_/api/4/cells')).length > 0 && ok(await client.GET('/_/api/4/cells/{id}', cell)).jobs_waiting === 0, 'the cells')
  const celled = { params: { path: { id: 'celled' } } }
  ok(await client.POST('/_/api/4/tenants', { body: { id: 'celled', hostname: 'celled.example.com', is_enabled: true, cell_id: 'typed_cell' } }))
  expect(ok(await client.GET('/_/api/4/cells/{id}/tenants', cell)).tenants.length === 1, "the cell's tenants")
  const job = ok(await client.POST('/_/api/4/tenants/{id}/install', { ...celled, body: admin }))
  if (!('state' in job)) throw new Error('the tenant of a cell is installed by a job')
  const ofJob = { params: { path: { id: job.id } } }
  const { jobs: [leased] } = ok(await client.POST('/_/api/4/cells/{id}/jobs/lease', { ...cell, body: { max: 1, seconds: 60 } }))
  if (leased === undefined) throw new Error('the job can be leased')
  done(await client.POST('/_/api/4/jobs/{id}/renew', { ...ofJob, body: { lease: leased.lease, seconds: 60 } }))
  expect(ok(await client.GET('/_/api/4/jobs')).some(({ id }) => id === job.id) && ok(await client.GET('/_/api/4/jobs/{id}', ofJob)).state === 'running', 'the jobs')
  await client.POST('/_/api/4/jobs/{id}/finish', { ...ofJob, body: { lease: leased.lease, state: 'done' } })
  expect((await client.POST('/_/api/4/jobs/{id}/cancel', ofJob)).response.status === 409, 'a finished job')
  const stored = await client.POST('/_/api/4/cells/{id}/stats', { ...cell, body: { tenants: [{ id: 'celled', stats: one.stats, counted_at: new Date().toISOString().slice(0, 19).replace('T', ' ') }] } })
  expect(ok(stored).stored === 1, 'the statistics')
  expect((await client.POST('/_/api/4/tenants/{id}/move', { ...celled, body: { cell_id: 'typed_cell' } })).response.status === 409, 'an enabled tenant')
  done(await client.DELETE('/_/api/4/tenants/{id}', celled))
  expect([204, 409].includes((await client.DELETE('/_/api/4/cells/{id}', cell)).response.status), 'the end of the cell')

  const session = ok(await client.POST('/_/console/session', { body: { scopes: ['keys'] } }))
  expect(session.csrf_token.length === 64 && session.scopes.length === 1, 'a session')
  expect(ok(await client.GET('/_/console/sessions')).some(({ id, current }) => id === session.id && !current), 'the sessions')
  expect(ok(await client.GET('/_/console/session')).key.name === 'console', 'the own session')
  done(await client.DELETE('/_/console/sessions/{id}', { params: { path: { id: session.id } } }))
  done(await client.DELETE('/_/console/session'))

  const hook = ok(await client.POST('/_/api/4/webhooks', { body: { url: 'https://hooks.example.com/', types: ['tenant.*'] } }))
  const ofHook = { params: { path: { id: hook.id } } }
  expect(hook.secret.startsWith('whsec_') && ok(await client.GET('/_/api/4/webhooks')).some(({ id }) => id === hook.id), 'the webhook')
  expect(ok(await client.GET('/_/api/4/webhooks/{id}', ofHook)).behind === 0, 'nothing is behind')
  done(await client.PATCH('/_/api/4/webhooks/{id}', { ...ofHook, body: { is_enabled: false } }))
  expect(ok(await client.POST('/_/api/4/webhooks/{id}/rotate', ofHook)).previous_until === null, 'another secret')
  expect(ok(await client.GET('/_/api/4/webhooks/{id}/deliveries', ofHook)).length === 0, 'no deliveries')
  const absent = { params: { path: { id: hook.id, event: '0000000000000000.1' } } }
  expect((await client.POST('/_/api/4/webhooks/{id}/deliveries/{event}/retry', absent)).response.status === 404, 'no such event')
  done(await client.DELETE('/_/api/4/webhooks/{id}', ofHook))
  expect((await client.POST('/_/api/4/webhooks/{id}/test', ofHook)).response.status === 404, 'the webhook is gone')

  const older = { params: { path: { id: 'typed_older' } } }
  ok(await client.POST('/api/4/_/tenants-plans', { body: { plan_id: 'typed_older', name: 'Older' } }))
  expect(ok(await client.GET('/api/4/_/tenants-plans')).some(({ plan_id }) => plan_id === 'typed_older'), 'the legacy plans')
  expect(ok(await client.GET('/api/4/_/tenants-plans/{id}', older)).description === null, 'the legacy plan')
  done(await client.PATCH('/api/4/_/tenants-plans/{id}', { ...older, body: { name: 'Old' } }))
  ok(await client.POST('/api/4/_/tenants', { body: { tenant_id: 'typed_older', hostname: 'older.example.com', is_enabled: 1 } }))
  done(await client.PATCH('/api/4/_/tenants/{id}', { ...older, body: { is_enabled: 0 } }))
  expect(ok(await client.GET('/api/4/_/tenants/{id}', older)).is_enabled === 0, 'the legacy tenant')
  done(await client.DELETE('/api/4/_/tenants/{id}', older))
  done(await client.DELETE('/api/4/_/tenants-plans/{id}', older))
  return last
}

/** The types refuse these calls. If one compiles, `@ts-expect-error` is an error itself. */
export const refused = (client: ReturnType<typeof createClient<paths>>, one: Tenant) => [
  // @ts-expect-error: a misspelt field
  (): NewTenant => ({ id: 'a', hostname: 'a.example.com', is_enabled: true, labls: {} }),
  // @ts-expect-error: a field that is missing
  () => client.POST('/_/api/4/tenants', { body: { id: 'a', hostname: 'a.example.com' } }),
  // @ts-expect-error: a parameter with a value that it does not have
  () => client.GET('/_/api/4/tenants', { params: { query: { sort: 'env' } } }),
  // @ts-expect-error: a route that does not exist
  () => client.GET('/_/api/4/nothing'),
  // @ts-expect-error: a member that may be null
  () => one.plan_id.length,
]

/** The response to a trial. (A valid key has more members.) */
type Trial<T> = T extends { valid: true } ? (T extends { key: unknown } ? never : T) : never

/** The body of a success. No call but those of `validate_only` is a trial. */
function ok<T>({ data, error, response }: { data?: T; error?: unknown; response: Response }): Exclude<T, Trial<T>> {
  if (data === undefined) throw new Error(`${response.url}: ${response.status} ${JSON.stringify(error)}`)
  return data as Exclude<T, Trial<T>>
}

function done({ error, response }: { error?: unknown; response: Response }) {
  if (response.status !== 204) throw new Error(`${response.url}: ${response.status} ${JSON.stringify(error)}`)
}

function expect(holds: boolean, what: string) {
  if (!holds) throw new Error(`not as expected: ${what}`)
}
