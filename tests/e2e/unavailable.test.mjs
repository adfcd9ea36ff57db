// A database that is overloaded or out of reach for a while: the caller is told to come again. A stand-in for D1 throws D1's own messages.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi } from './harness.mjs'

const front = `
    import worker from './shim.mjs'
    const failing = (message) => {
      const fail = () => Promise.reject(new Error(message))
      return { prepare: () => ({ bind: () => ({ raw: fail }) }), batch: fail }
    }
    export default {
      fetch(request, env, ctx) {
        const message = request.headers.get('x-test-error')
        return worker.fetch(request, message ? { ...env, DB: failing(message) } : env, ctx)
      },
    }`
const api = await startApi({ front, vars: { TENANTS_LOGLEVEL: 'error' } })

test('an error of D1 that passes by itself is a 503 with Retry-After, and the log has its message', async () => {
  for (const message of [
    'D1_ERROR: D1 DB is overloaded. Requests queued for too long.',
    'D1_ERROR: Network connection lost.',
    'D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.',
    'D1_ERROR: D1 DB reset because its code was updated.',
    'D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.',
  ]) {
    for (const [method, path, options] of [
      ['GET', '/tenants'],
      ['POST', '/tenants', { body: { id: 'a', hostname: 'a.example.com', is_enabled: true } }],
      ['POST', '/tenants/a/install', { body: { username: 'admin', email: 'a@b.example', password: 'secret-1' } }],
    ]) {
      const { headers } = await api.refuse(503, 'unavailable', method, path, { ...options, headers: { 'X-Test-Error': message } })
      assert.match(headers['retry-after'], /^[1-9][0-9]*$/)
      const [line] = await api.linesOf(headers['x-request-id'])
      assert.equal(line.level, 'error')
      assert.ok(line.cause.includes(message), line.cause)
    }
  }
})

test('any other error of D1 is a 500', async () => {
  const { headers } = await api.refuse(500, 'internal', 'GET', '/tenants', { headers: { 'X-Test-Error': 'D1_ERROR: no such table: tenants' } })
  assert.equal(headers['retry-after'], undefined)
})

test('a variable with a misspelt name is a warning in the log', async () => {
  await api.logged('"variable":"TENANTS_LOGLEVEL","cause":"TENANTS_LOGLEVEL is not a variable of this service, and has no effect; the closest name is TENANTS_LOG_LEVEL"')
})
