// X-Signature is the HMAC-SHA256 of the raw body in hex (docs/API.md §1). Signs with the programs that callers use.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { missing, run, startApi, vectors } from './harness.mjs'

const golden = vectors('signatures')
const secret = golden[0].secret
const api = await startApi({ vars: { CHEVERETO_TENANTS_API_REQUEST_SECRET: secret } })
const bodies = [...golden.map((v) => v.body), '{"id":"a"}', JSON.stringify({ env: { A: 'x'.repeat(60_000) } }), '\ufeff{}', 'no JSON at all']

const openssl = async (body) => (await run('openssl', ['dgst', '-sha256', '-hmac', secret], body)).trim().split(' ').pop()
const php = (body) => run('php', ['-r', "echo hash_hmac('sha256', file_get_contents('php://stdin'), $argv[1]);", '--', secret], body)

// A GET takes any body. Miniflare's own entry refuses one with a body, but workerd accepts it.
const accepted = (body, signature) => api.expect(200, 'GET', '/tenants', { body: body || undefined, signature, origin: api.direct })

test('a missing, malformed or wrong signature is a 401', async () => {
  const body = '{"id":"a"}'
  const good = api.sign(body)
  const bad = {
    missing: null, empty: '', 'not hex': 'x'.repeat(64), zeros: '0'.repeat(64), short: good.slice(0, -1), 'short by a byte': good.slice(0, -2), long: `${good}0`, 'long by a byte': `${good}00`,
    'of another body': api.sign('{"id":"b"}'), 'of the body with a line end': api.sign(`${body}\n`), 'of no body': api.sign(''), 'in base64': Buffer.from(good, 'hex').toString('base64'),
    'a flipped bit': (good[0] === '0' ? '1' : '0') + good.slice(1), 'a prefix': `sha256=${good}`, 'given twice': `${good}, ${good}`, 'hex of 0x': `0x${good.slice(2)}`,
  }
  for (const [what, signature] of Object.entries(bad)) {
    for (const [method, where] of [['POST', '/auth/verify'], ['POST', '/tenants'], ['PATCH', '/tenants/a'], ['DELETE', '/tenants/a'], ['POST', '/tenants-plans'], ['DELETE', '/tenants-plans/a']]) {
      const answer = await api.call(method, where, { body, signature })
      assert.equal(answer.status, 401, `${what}: ${method} ${where}: ${answer.text}`)
    }
  }
  await api.expect(401, 'GET', '/tenants', { signature: api.sign('x') })
  await api.expect(401, 'GET', '/tenants', { signature: null })
})

test('a signature is accepted in lower-case, upper-case and mixed hex', async () => {
  for (const body of bodies) {
    const good = api.sign(body)
    for (const signature of [good, good.toUpperCase(), good.slice(0, 32) + good.slice(32).toUpperCase()]) await accepted(body, signature)
  }
})

test('the golden signatures of openssl and PHP are accepted', async () => {
  for (const { body, signature } of golden) await accepted(body, signature)
})

test('a signature by openssl dgst -sha256 -hmac is accepted', { skip: missing('openssl', 'version') }, async () => {
  for (const body of bodies) await accepted(body, await openssl(body))
})

test("a signature by PHP's hash_hmac is accepted", { skip: missing('php', '--version') }, async () => {
  for (const body of bodies) await accepted(body, await php(body))
})

test('the signature of a request without a body covers the empty string', async () => {
  await api.expect(200, 'POST', '/auth/verify', { signature: golden.find((v) => v.body === '').signature })
})

test('the signature covers the bytes sent, not the JSON value they encode', async () => {
  const { id, hostname } = api.fresh()
  const body = `{ "is_enabled":true,\r\n\t"hostname":"${hostname}", "id":"${id}" }\n`
  await api.expect(401, 'POST', '/tenants', { body, signature: api.sign(JSON.stringify(JSON.parse(body))) })
  await api.expect(201, 'POST', '/tenants', { body })
})
