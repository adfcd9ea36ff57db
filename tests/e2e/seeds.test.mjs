// Runs the curl lines of Chevereto's documentation unchanged, except that the test fills in the address, the key and the signature.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { missing, ROOT, run, startApi } from './harness.mjs'

const blocks = readFileSync(path.join(ROOT, 'tests/vectors/seed_requests.txt'), 'utf8').trim().split('\n\n')
const skip = missing('curl', '--version') || missing('openssl', 'version') || missing('bash', '--version')
const isolated = (mode) => startApi({ vars: { CHEVERETO_TENANTS_DB_ISOLATION_MODE: mode } })

/** Signs the block's body with openssl, runs the block in a shell, and returns the response that curl printed. */
async function typed(api, start) {
  const block = blocks.find((b) => b.startsWith(`curl -X ${start}" \\\n`))
  assert.ok(block, `${start} is in the documentation`)
  const body = /-d '([^']*)'/.exec(block)?.[1] ?? ''
  const signature = (await run('openssl', ['dgst', '-sha256', '-hmac', api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET], body)).trim().split(' ').pop()
  const line = block.replace('"/_/', `"${api.url}/_/`).replace('your_api_key', api.key).replace('request_signature', signature)
  const printed = await run('bash', ['-c', `${line} -sS -w '\\n%{http_code}'`])
  const [, text, status] = /^([^]*)\n(\d{3})$/.exec(printed)
  return { status: Number(status), json: text ? JSON.parse(text) : undefined }
}

test('the tests below cover every request of the documentation', { skip }, () => {
  assert.deepEqual(blocks.map((b) => /^curl -X (\w+ "[^"]+)"/.exec(b)[1]), [
    'POST "/_/api/4/auth/verify', 'GET "/_/api/4/tenants', 'POST "/_/api/4/tenants', 'GET "/_/api/4/tenants/tenant123', 'PATCH "/_/api/4/tenants/tenant123', 'DELETE "/_/api/4/tenants/tenant123',
    'POST "/_/api/4/tenants/tenant123/install', 'PATCH "/_/api/4/tenants/tenant123/user-password-reset',
    'GET "/_/api/4/tenants-plans', 'POST "/_/api/4/tenants-plans', 'GET "/_/api/4/tenants-plans/basic_plan', 'PATCH "/_/api/4/tenants-plans/basic_plan', 'DELETE "/_/api/4/tenants-plans/basic_plan',
  ])
})

for (const mode of ['table', 'database']) test(`all requests of the documentation work in order, with the isolation mode ${mode}`, { skip }, async () => {
  const api = await isolated(mode)
  const type = (start) => typed(api, start)
  const verified = await type('POST "/_/api/4/auth/verify')
  assert.deepEqual([verified.status, verified.json.valid], [200, true])

  const plan = await type('POST "/_/api/4/tenants-plans')
  assert.deepEqual([plan.status, plan.json.id, plan.json.limits, plan.json.env], [201, 'basic_plan', { CHEVERETO_MAX_USERS: '2' }, null])
  await api.plan({ id: 'premium_plan' })

  const made = await type('POST "/_/api/4/tenants')
  assert.equal(made.status, 201)
  assert.deepEqual(
    [made.json.id, made.json.hostname, made.json.is_enabled, made.json.plan_id, made.json.limits, made.json.env],
    ['tenant123', 'tenant123.example.com', true, 'basic_plan', { CHEVERETO_MAX_USERS: '2' }, { CUSTOM_VAR: 'value' }])
  assert.deepEqual(await type('GET "/_/api/4/tenants/tenant123'), { status: 200, json: made.json })
  assert.deepEqual(await type('GET "/_/api/4/tenants'), { status: 200, json: [made.json] })

  assert.deepEqual(await type('PATCH "/_/api/4/tenants/tenant123'), { status: 204, json: undefined })
  const { json: edited } = await type('GET "/_/api/4/tenants/tenant123')
  assert.deepEqual(edited, {
    ...made.json, hostname: 'new-tenant123.example.com', plan_id: 'premium_plan', limits: { CHEVERETO_MAX_USERS: '5' }, env: { CUSTOM_VAR: 'new_value' }, updated_at: edited.updated_at,
  })

  assert.equal((await type('PATCH "/_/api/4/tenants/tenant123/user-password-reset')).status, 404)
  assert.deepEqual(await type('POST "/_/api/4/tenants/tenant123/install'), { status: 201, json: { id: 'tenant123', username: 'admin', email: 'admin@example.com' } })
  assert.equal((await type('POST "/_/api/4/tenants/tenant123/install')).status, 409)
  assert.equal((await type('PATCH "/_/api/4/tenants/tenant123/user-password-reset')).status, 404)
  if (mode === 'table') {
    await api.sql("INSERT INTO chv_tenant123_users (username, email, password_hash, is_admin, is_manager, created_at) VALUES ('rodolfo', 'rodolfo@example.com', '', 0, 0, '')")
    assert.deepEqual(await type('PATCH "/_/api/4/tenants/tenant123/user-password-reset'), { status: 200, json: { username: 'rodolfo', password: 'mypassword' } })
  }

  assert.deepEqual(await type('PATCH "/_/api/4/tenants-plans/basic_plan'), { status: 204, json: undefined })
  const changed = await type('GET "/_/api/4/tenants-plans/basic_plan')
  assert.deepEqual([changed.status, changed.json.limits], [200, { CHEVERETO_MAX_USERS: '3' }])
  assert.deepEqual((await type('GET "/_/api/4/tenants-plans')).json.map((p) => p.id), ['basic_plan', 'premium_plan'])
  assert.deepEqual(await type('DELETE "/_/api/4/tenants-plans/basic_plan'), { status: 204, json: undefined })
  assert.equal((await type('GET "/_/api/4/tenants-plans/basic_plan')).status, 404)

  assert.deepEqual(await type('DELETE "/_/api/4/tenants/tenant123'), { status: 204, json: undefined })
  assert.equal((await type('GET "/_/api/4/tenants/tenant123')).status, 404)
  assert.equal((await type('PATCH "/_/api/4/tenants/tenant123')).status, 404)
  assert.equal((await type('DELETE "/_/api/4/tenants/tenant123')).status, 404)
  assert.equal((await type('POST "/_/api/4/tenants/tenant123/install')).status, 404)
  assert.deepEqual(await api.sql("SELECT name FROM sqlite_master WHERE name GLOB 'chv_*'"), [])
})
