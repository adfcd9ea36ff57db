// The legacy dialect (docs/API.md §1). Runs the curl and PHP lines of Chevereto's earlier documentation unchanged, and the programs
// with which callers sign.
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { LEGACY, missing, NO_STATS, ROOT, run, startApi, TIME, vectors } from './harness.mjs'

const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-legacy-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const file = (name, text) => {
  const at = path.join(folder, name)
  if (text !== undefined) writeFileSync(at, text, { mode: 0o600 })
  return at
}

/** The documentation's two lines, which sign and encode, inside a program that reads a key and a body and prints the signature. */
const PHP = `require 'phpseclib3/autoload.php';
$privateKey = phpseclib3\\Crypt\\PublicKeyLoader::loadPrivateKey(file_get_contents($argv[1]));
$body = file_get_contents('php://stdin');
$signed = $privateKey->sign($body);
$signature = base64_encode($signed);
echo $signature;`
const php = (keyFile, body) => run('php', ['-r', PHP, '--', keyFile], body)
const openssl = (keyFile, body) => run('openssl', ['pkeyutl', '-sign', '-rawin', '-inkey', keyFile, '-in', file('body', body)], '', 'base64')

const noPhp = missing('php', '-r', "require 'phpseclib3/autoload.php';")
const noOpenssl = missing('openssl', 'version')
const noKeygen = missing('sh', '-c', 'command -v ssh-keygen')

const pair = generateKeyPairSync('ed25519')
const spki = (key) => key.export({ type: 'spki', format: 'pem' })
const signed = (body, key = pair.privateKey) => sign(null, Buffer.from(body), key).toString('base64')
const api = await startApi({ vars: { CHEVERETO_TENANTS_PUBLIC_KEY: spki(pair.publicKey) } })

/** Sends a legacy request with a legacy signature, and asserts the response's status. */
function legacy(status, method, where, { body, ...options } = {}) {
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  return api.expect(status, method, where, { base: LEGACY, body: text, signature: signed(text ?? ''), ...options })
}

/** Asserts the headers of every legacy response. */
function assertDeprecated({ headers }, successor) {
  assert.equal(headers.deprecation, '@1765238400')
  assert.ok(headers.link.endsWith(`</_/api/4${successor}>; rel="successor-version"`), headers.link)
}

const blocks = readFileSync(path.join(ROOT, 'tests/vectors/legacy_seed_requests.txt'), 'utf8').trim().split('\n\n')
const noShell = missing('curl', '--version') || missing('bash', '--version')

/** Signs the block's body, runs the block in a shell, and returns the response that curl printed. */
async function type(start) {
  const block = blocks.find((b) => b.startsWith(`curl -X ${start}" \\\n`))
  assert.ok(block, `${start} is in the documentation`)
  const body = /-d '([^']*)'/.exec(block)?.[1] ?? ''
  const line = block.replace('"/api/', `"${api.url}/api/`).replace('your_api_key', api.key).replace('request_signature', await signer(body))
  // Some blocks end in a backslash, as if another line followed.
  const printed = await run('bash', ['-c', `${line}${line.endsWith('\\') ? '\n' : ''} -sS -D - -w '\\n%{http_code}'`])
  const [, head, text, status] = /^([^]*?)\r\n\r\n([^]*)\n(\d{3})$/.exec(printed)
  assert.match(head, /^deprecation: @1765238400\r?$/im)
  assert.match(head, /^link: .*<\/_\/api\/4\/tenants[^>]*>; rel="successor-version"\r?$/im)
  return { status: Number(status), json: text ? JSON.parse(text) : undefined }
}
/** Signs with phpseclib if it is installed, otherwise with Node. */
const signer = noPhp ? signed : (body) => php(file('seed.pem', pair.privateKey.export({ type: 'pkcs8', format: 'pem' })), body)

test('the tests below cover every request of the documentation', { skip: noShell }, () => {
  assert.deepEqual(blocks.map((b) => /^curl -X (\w+ "[^"]+)"/.exec(b)[1]), [
    'POST "/api/4/_/tenants', 'GET "/api/4/_/tenants/tenant123', 'PATCH "/api/4/_/tenants/tenant123', 'DELETE "/api/4/_/tenants/tenant123',
    'GET "/api/4/_/tenants-plans', 'POST "/api/4/_/tenants-plans', 'GET "/api/4/_/tenants-plans/basic_plan', 'PATCH "/api/4/_/tenants-plans/basic_plan', 'DELETE "/api/4/_/tenants-plans/basic_plan',
  ])
})

test('all requests of the legacy documentation work in order, and both dialects see the same data', { skip: noShell }, async () => {
  const plan = await type('POST "/api/4/_/tenants-plans')
  assert.equal(plan.status, 201)
  const { created_at } = plan.json
  assert.match(created_at, TIME)
  assert.deepEqual(plan.json, { plan_id: 'basic_plan', name: 'Basic Plan', description: null, limits: { CHEVERETO_MAX_USERS: '2' }, env: null, created_at, updated_at: created_at })
  await api.plan({ id: 'premium_plan' })

  const made = await type('POST "/api/4/_/tenants')
  assert.equal(made.status, 201)
  assert.deepEqual(made.json, {
    tenant_id: 'tenant123', hostname: 'tenant123.example.com', is_enabled: 1, created_at: made.json.created_at, updated_at: made.json.created_at,
    plan_id: 'basic_plan', limits: { CHEVERETO_MAX_USERS: '2' }, env: { CUSTOM_VAR: 'value' }, stats: NO_STATS, last_job_at: null,
  })
  assert.deepEqual(await type('GET "/api/4/_/tenants/tenant123'), { status: 200, json: made.json })
  const { tenant_id: id, is_enabled, ...rest } = made.json
  assert.deepEqual((await api.expect(200, 'GET', '/tenants/tenant123')).json, { id, ...rest, is_enabled: is_enabled === 1, external_id: null, labels: {}, cell_id: null, site: { state: 'none', job_id: null }, served: is_enabled === 1, holds: {}, suspend_at: null, delete_at: null, deletion_protection: false })

  assert.deepEqual(await type('PATCH "/api/4/_/tenants/tenant123'), { status: 204, json: undefined })
  const { json: edited } = await type('GET "/api/4/_/tenants/tenant123')
  assert.deepEqual(edited, {
    ...made.json, hostname: 'new-tenant123.example.com', plan_id: 'premium_plan', limits: { CHEVERETO_MAX_USERS: '5' }, env: { CUSTOM_VAR: 'new_value' }, updated_at: edited.updated_at,
  })

  assert.deepEqual(await type('PATCH "/api/4/_/tenants-plans/basic_plan'), { status: 204, json: undefined })
  const changed = await type('GET "/api/4/_/tenants-plans/basic_plan')
  assert.deepEqual([changed.status, changed.json.name, changed.json.description, changed.json.limits], [200, 'Basic Plan (Updated)', 'An updated basic tenant plan', { CHEVERETO_MAX_USERS: '3' }])
  // The current dialect has no name and description, and leaves them unchanged.
  await api.expect(204, 'PATCH', '/tenants-plans/basic_plan', { body: { limits: {} } })
  const { json: list } = await type('GET "/api/4/_/tenants-plans')
  assert.deepEqual(list.map((p) => [p.plan_id, p.name, p.description]), [['basic_plan', 'Basic Plan (Updated)', 'An updated basic tenant plan'], ['premium_plan', 'premium_plan', null]])
  assert.deepEqual(Object.keys((await api.expect(200, 'GET', '/tenants-plans/basic_plan')).json), ['id', 'external_id', 'labels', 'limits', 'env', 'created_at', 'updated_at'])
  assert.deepEqual(await type('DELETE "/api/4/_/tenants-plans/basic_plan'), { status: 204, json: undefined })
  assert.equal((await type('GET "/api/4/_/tenants-plans/basic_plan')).status, 404)

  assert.deepEqual(await type('DELETE "/api/4/_/tenants/tenant123'), { status: 204, json: undefined })
  assert.equal((await type('GET "/api/4/_/tenants/tenant123')).status, 404)
  assert.equal((await type('PATCH "/api/4/_/tenants/tenant123')).status, 404)
  await api.expect(404, 'GET', '/tenants/tenant123')
})

test('every legacy response has the Deprecation and Link headers, and names fields as the caller sent them', async () => {
  const { id, hostname } = api.fresh()
  const made = await legacy(201, 'POST', '/tenants', { body: { tenant_id: id, hostname, is_enabled: true, unknown: {} } })
  assertDeprecated(made, '/tenants')
  assert.equal(made.headers.location, `/api/4/_/tenants/${id}`)
  const taken = await legacy(409, 'POST', '/tenants', { body: { tenant_id: id, hostname, is_enabled: 0 } })
  assertDeprecated(taken, '/tenants')
  assert.deepEqual(taken.json.errors.map((e) => e.pointer), ['/tenant_id', '/hostname'])
  const wrong = await legacy(422, 'POST', '/tenants-plans', { body: { limits: [] } })
  assertDeprecated(wrong, '/tenants-plans')
  assert.deepEqual(wrong.json.errors.map((e) => e.pointer), ['/plan_id', '/name'])
  assertDeprecated(await legacy(200, 'HEAD', `/tenants/${id}`), `/tenants/${id}`)
  assertDeprecated(await legacy(405, 'GET', '/tenants'), '/tenants')
  assertDeprecated(await legacy(401, 'GET', `/tenants/${id}`, { key: null }), `/tenants/${id}`)
  assertDeprecated(await legacy(413, 'POST', '/tenants', { body: 'x'.repeat(65_537) }), '/tenants')
  assertDeprecated(await legacy(415, 'POST', '/tenants', { body: '{}', headers: { 'Content-Type': 'text/plain' } }), '/tenants')
  assertDeprecated(await legacy(400, 'DELETE', `/tenants/${id}`, { body: '{"drop_tables":true}' }), `/tenants/${id}`)
  assertDeprecated(await legacy(204, 'DELETE', `/tenants/${id}`), `/tenants/${id}`)
  const current = await api.expect(404, 'GET', `/tenants/${id}`)
  assert.equal(current.headers.deprecation ?? current.headers.link, undefined)
  await legacy(404, 'POST', '/auth/verify')
  await legacy(404, 'GET', '/config/traefik')
  const [line] = await api.linesOf(taken.headers['x-request-id'])
  assert.deepEqual([line.legacy, line.route, line.status], [true, '/tenants', 409])
})

test("the Link header of a page has both the next page and the successor", async () => {
  for (const id of ['page-a', 'page-b', 'page-c']) await api.plan({ id })
  const { headers } = await legacy(200, 'GET', '/tenants-plans?limit=2&after=page-')
  assert.equal(headers.link, '</api/4/_/tenants-plans?limit=2&after=page-b>; rel="next", </_/api/4/tenants-plans>; rel="successor-version"')
})

test('a missing, malformed or wrong signature is a 401, and neither dialect accepts the other’s signature', async () => {
  const body = '{"plan_id":"never","name":"Never"}'
  const good = signed(body)
  const bad = {
    missing: null, empty: '', hex: Buffer.from(good, 'base64').toString('hex'), 'without padding': good.replace(/=+$/, ''), 'URL-safe': good.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, ''),
    short: good.slice(0, -4), 'of another body': signed('{}'), 'of the body with a line end': signed(`${body}\n`), 'of another key': signed(body, generateKeyPairSync('ed25519').privateKey),
    'of the request secret': api.sign(body), twice: `${good}, ${good}`,
  }
  for (const [what, signature] of Object.entries(bad)) {
    const answer = await api.refuse(401, 'unauthorized', 'POST', '/tenants-plans', { base: LEGACY, body, signature })
    assertDeprecated(answer, '/tenants-plans')
    assert.ok(answer.text, what)
  }
  await api.refuse(401, 'unauthorized', 'GET', '/tenants', { signature: signed('') })
  await legacy(201, 'POST', '/tenants-plans', { body })
})

test('without a verifying key every legacy route is a 404', async () => {
  const without = await startApi()
  for (const [method, where] of [['GET', '/tenants-plans'], ['POST', '/tenants'], ['PUT', '/tenants'], ['GET', '/tenants/a']]) {
    const { headers } = await without.refuse(404, 'not_found', method, where, { base: LEGACY, signature: signed('') })
    assert.equal(headers.deprecation ?? headers.link, undefined)
  }
})

test('a verifying key that does not parse makes every request a 503, and the log has its line number but none of its text', async () => {
  const private_ = file('mistaken', pair.privateKey.export({ type: 'pkcs8', format: 'pem' }))
  for (const value of ['ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==', readFileSync(private_, 'utf8'), '00'.repeat(32), `01${'00'.repeat(31)}`, Buffer.alloc(33, 1).toString('base64')]) {
    const broken = await startApi({ vars: { CHEVERETO_TENANTS_PUBLIC_KEY: value } })
    await broken.refuse(503, 'not_configured', 'GET', '/tenants')
    await broken.refuse(503, 'not_configured', 'GET', '/tenants-plans', { base: LEGACY, signature: signed('') })
    assert.match(await broken.logged('CHEVERETO_TENANTS_PUBLIC_KEY'), /CHEVERETO_TENANTS_PUBLIC_KEY: line 1: expected/)
    broken.assertNothingSecretLogged(value, ...value.split('\n'))
    await broken.stop()
  }
})

const bodies = ['{"plan_id":"x"}', '{"env":{"GREETING":"grüße, 世界 🐘"}}', 'a\n\tb\r\n', 'x'.repeat(60_000)]

/** Configures several keys, and asserts that the Worker accepts signatures of one of them. */
async function accepts(keys, signatures) {
  const rotating = await startApi({ vars: { CHEVERETO_TENANTS_PUBLIC_KEY: keys.join('\n') } })
  for (const [body, signature] of signatures) await rotating.expect(200, 'GET', '/tenants-plans', { base: LEGACY, body, signature })
  await rotating.refuse(401, 'unauthorized', 'GET', '/tenants-plans', { base: LEGACY, body: 'other', signature: signatures[0][1] })
  await rotating.stop()
}

test('the golden signatures of phpseclib and openssl are accepted', async () => {
  const golden = vectors('legacy_signatures')
  const keys = [...new Set(golden.map((v) => v.key))]
  assert.equal(keys.length, 2)
  await accepts([spki(pair.publicKey), ...keys], golden.map((v) => [v.body, v.signature]))
})

test("signatures by the documentation's own phpseclib lines with a key of ssh-keygen are accepted", { skip: noPhp || noKeygen }, async () => {
  const key = file('keygen')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'billing at example.com', '-f', key])
  const line = readFileSync(`${key}.pub`, 'utf8')
  assert.match(line, /^ssh-ed25519 /)
  const signatures = []
  for (const body of ['', ...bodies]) signatures.push([body, await php(key, body)])
  await accepts([spki(pair.publicKey), line], signatures)
})

test('signatures by openssl with a key of ssh-keygen are accepted', { skip: noOpenssl || noKeygen }, async () => {
  const key = file('keygen-openssl')
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
  // openssl cannot read OpenSSH's private keys. In such a key the seed follows the last length field of 64. PKCS #8 is a constant followed by the seed (RFC 8410 §7).
  const blob = Buffer.from(readFileSync(key, 'utf8').replace(/-----.*-----/g, ''), 'base64')
  const at = blob.lastIndexOf(Buffer.from('00000040', 'hex')) + 4
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), blob.subarray(at, at + 32)])
  const seed = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const pem = file('keygen-openssl.pem', seed.export({ type: 'pkcs8', format: 'pem' }))
  const { x } = createPublicKey(seed).export({ format: 'jwk' })
  const line = readFileSync(`${key}.pub`, 'utf8')
  assert.ok(Buffer.from(line.split(' ')[1], 'base64').subarray(-32).equals(Buffer.from(x, 'base64url')), 'both files hold the same key')
  const signatures = []
  for (const body of bodies) signatures.push([body, await openssl(pem, body)])
  await accepts([line, spki(pair.publicKey)], signatures)
})

test('a public key of openssl is accepted in each of its forms', { skip: noOpenssl }, async () => {
  const pem = file('openssl.pem', await run('openssl', ['genpkey', '-algorithm', 'ed25519']))
  const block = await run('openssl', ['pkey', '-in', pem, '-pubout'])
  const raw = Buffer.from(block.replace(/-----.*-----/g, ''), 'base64').subarray(-32)
  const signatures = []
  for (const body of bodies) signatures.push([body, await openssl(pem, body)])
  for (const form of [block, block.replaceAll('\n', '\r\n'), raw.toString('hex'), raw.toString('base64')]) await accepts([form, spki(pair.publicKey)], signatures)
})

test("a public key of phpseclib is accepted in both forms that it writes", { skip: noPhp }, async () => {
  const code = `require 'phpseclib3/autoload.php';
$key = phpseclib3\\Crypt\\EC::createKey('Ed25519');
file_put_contents($argv[1], $key->toString('PKCS8'));
echo $key->getPublicKey()->toString('PKCS8'), "\\n\\n", $key->getPublicKey()->toString('OpenSSH');`
  const key = file('phpseclib.pem')
  const forms = (await run('php', ['-r', code, '--', key])).split('\n\n')
  assert.equal(forms.length, 2)
  const signatures = []
  for (const body of ['', ...bodies]) signatures.push([body, await php(key, body)])
  for (const form of forms) await accepts([form], signatures)
})
