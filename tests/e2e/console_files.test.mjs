// The console's files (API.md §20): the Worker alone decides who gets one, and with which headers.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { atEnd } from '../lifetime.mjs'
import { startApi } from './harness.mjs'

const assets = mkdtempSync(path.join(os.tmpdir(), 'tenants-console-'))
atEnd(() => rmSync(assets, { recursive: true }))
mkdirSync(path.join(assets, 'deep'))
writeFileSync(path.join(assets, 'index.html'), '<!doctype html><title>console</title>')
writeFileSync(path.join(assets, 'app.js'), 'export {}')
writeFileSync(path.join(assets, 'deep', 'core.wasm'), Buffer.from('0061736d01000000', 'hex'))

/** Sends a request as it is: `fetch` would normalise the path and follow redirects. */
const get = (origin, where, { method = 'GET', headers = {} } = {}) => new Promise((resolve, reject) => {
  const { hostname, port } = new URL(origin)
  http.request({ hostname, port, path: where, method, headers }, (res) => {
    const parts = []
    res.on('data', (part) => parts.push(part))
    res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(parts) }))
  }).on('error', reject).end()
})

test('the files are below /console, with headers that let nobody else in', async () => {
  const api = await startApi({ assets, vars: { TENANTS_CONSOLE: 'true' } })
  for (const [where, type, body] of [
    ['/console/', 'text/html', '<!doctype html><title>console</title>'],
    ['/console/?x=1', 'text/html', '<!doctype html><title>console</title>'],
    ['/console/index.html', 'text/html', '<!doctype html><title>console</title>'],
    ['/console/app.js', 'text/javascript', 'export {}'],
    ['/console/deep/core.wasm', 'application/wasm', '\0asm\x01\0\0\0'],
  ]) {
    const answer = await get(api.url, where)
    assert.equal(answer.status, 200, where)
    assert.equal(answer.headers['content-type'].split(';')[0], type)
    assert.equal(answer.body.toString(), body)
    assertClosed(answer)
    const again = await get(api.url, where, { headers: { 'If-None-Match': answer.headers.etag } })
    assert.deepEqual([again.status, again.body.length], [304, 0])
    assertClosed(again)
    const head = await get(api.url, where, { method: 'HEAD' })
    assert.deepEqual([head.status, head.body.length], [200, 0])
  }
  const answer = await get(api.url, '/console')
  assert.deepEqual([answer.status, answer.headers.location], [308, '/console/'])
  assertClosed(answer)
})

test('nothing else leads to a file, and the API answers as it does without them', async () => {
  const api = await startApi({ assets, vars: { TENANTS_CONSOLE: 'true' } })
  for (const where of ['/', '/index.html', '/app.js', '/consoles', '/console/none.js', '/console/deep', '/console/deep/', '/Console/', '/console/../app.js', '/console/%2e%2e/app.js', '/console//app.js', '//app.js', '/_/console/app.js']) {
    await api.refuse(404, 'not_found', 'GET', where, { base: '' })
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) await api.refuse(404, 'not_found', method, '/console/', { base: '' })
  await api.expect(200, 'GET', '/_/health', { base: '' })
  await api.tenant()
})

test('without TENANTS_CONSOLE there is no console, nor for an address that may not call, nor without the files', async () => {
  const off = await startApi({ assets })
  for (const where of ['/console', '/console/', '/console/app.js', '/app.js']) await off.refuse(404, 'not_found', 'GET', where, { base: '' })
  const elsewhere = await startApi({ assets, vars: { TENANTS_CONSOLE: 'true', CHEVERETO_TENANTS_API_IP_ALLOW_LIST: '192.0.2.1' } })
  for (const where of ['/console', '/console/']) await elsewhere.refuse(403, 'forbidden', 'GET', where, { base: '' })
  const allowed = await get(elsewhere.url, '/console/', { headers: { 'CF-Connecting-IP': '192.0.2.1' } })
  assert.equal(allowed.status, 200)
  const none = await startApi({ vars: { TENANTS_CONSOLE: 'true' } })
  for (const where of ['/console', '/console/']) await none.refuse(404, 'not_found', 'GET', where, { base: '' })
})

function assertClosed({ headers }) {
  assert.equal(headers['content-security-policy'],
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
  assert.deepEqual(
    ['cache-control', 'cross-origin-opener-policy', 'cross-origin-resource-policy', 'referrer-policy', 'x-content-type-options'].map((name) => headers[name]),
    ['no-cache', 'same-origin', 'same-origin', 'no-referrer', 'nosniff'])
  assert.match(headers['permissions-policy'], /camera=\(\)/)
}
