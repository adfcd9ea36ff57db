// openapi-typescript makes types of the description. A client that calls every route compiles with them, and runs against the built Worker.
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import openapiTS, { astToString } from 'openapi-typescript'
import { quiet, root } from '../../scripts/lib/run.mjs'
import { LEGACY, startApi } from '../e2e/harness.mjs'
import { PATH, boundKey, cookieOf, signIn, signInHeaders } from '../e2e/signing.mjs'
import { description, folder, operations } from './description.mjs'

test('a client with the types of the description compiles, and calls every route', async () => {
  const own = path.join(root, 'build', 'openapi')
  mkdirSync(own, { recursive: true })
  writeFileSync(path.join(own, 'description.d.ts'), astToString(await openapiTS(description)))
  const config = path.join(own, 'tsconfig.json')
  writeFileSync(config, JSON.stringify({
    compilerOptions: {
      noEmit: true, strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, target: 'es2024', module: 'nodenext', lib: ['es2024', 'dom'], types: [],
      allowImportingTsExtensions: true,
    },
    files: [path.join(folder, 'client.ts')],
  }))
  await quiet(process.execPath, [path.join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', own], { label: 'tsc' })

  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const api = await startApi({
    vars: { CHEVERETO_TENANTS_PUBLIC_KEY: Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url').toString('base64'), TENANTS_DEVELOPMENT: 'true', TENANTS_CONSOLE: 'true', TENANTS_JOB_WAIT_SECONDS: '0' },
  })
  const { callEveryRoute, refused } = await import('./client.ts')
  const called = new Set()
  const key = await boundKey(api)
  const session = cookieOf(await api.expect(201, 'POST', PATH, signIn(key, undefined, { origin: api.url })))
  const tenant = await callEveryRoute({
    baseUrl: api.url,
    headersOf: (where, body, method) => where === PATH ? (method === 'POST' ? { 'X-API-Key': key.key, ...signInHeaders(key, body, { origin: api.url }) } : session.headers) : ({ 'X-API-Key': api.key, 'X-Signature': where.startsWith(LEGACY) ? sign(null, Buffer.from(body), privateKey).toString('base64') : api.sign(body) }),
    called: (method, where) => called.add(`${method} ${where}`),
  })
  assert.equal(tenant.plan_id, null)
  assert.ok(refused.length > 0)
  assert.deepEqual([...called].sort(), operations.map(({ method, path: where }) => `${method} ${where}`).sort())
})
