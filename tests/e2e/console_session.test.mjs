// A real browser with the cookie of a session (API.md §20): pages of the console use it, and no page of another origin can, be it of the same site (another
// port, or another host under the same registrable domain) or of another one.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { browse, noBrowser } from '../browser.mjs'
import { atEnd } from '../lifetime.mjs'
import { startApi } from './harness.mjs'
import { boundKey } from './signing.mjs'

const assets = mkdtempSync(path.join(os.tmpdir(), 'tenants-console-'))
atEnd(() => rmSync(assets, { recursive: true }))
writeFileSync(path.join(assets, 'index.html'), '<!doctype html><title>console</title><script type="module" src="app.js"></script>')
// The console's part: signs in with the key in its address, reads, writes, reloads, and goes to the page of the other origin.
writeFileSync(path.join(assets, 'app.js'), `
const { key, secret, next } = JSON.parse(decodeURIComponent(location.hash.slice(1)))
const text = new TextEncoder()
const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
const params = '("@method" "@target-uri" "x-api-key");created=' + Math.floor(Date.now() / 1000) + ';nonce="' + crypto.randomUUID() + '"'
const signed = ['"@method": POST', '"@target-uri": ' + location.origin + '/_/console/session', '"x-api-key": ' + key, '"@signature-params": ' + params].join('\\n')
const mac = await crypto.subtle.importKey('raw', text.encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
const signature = base64(await crypto.subtle.sign('HMAC', mac, text.encode(signed)))
const begun = await fetch('/_/console/session', { method: 'POST', headers: { 'X-API-Key': key, 'Signature-Input': 's=' + params, Signature: 's=:' + signature + ':' } })
const { csrf_token } = await begun.json()
const shown = await fetch('/_/console/session')
const listed = await fetch('/_/api/4/tenants')
const write = (headers) => fetch('/_/api/4/tenants', { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify({ id: 'mine', hostname: 'mine.example.com', is_enabled: true }) })
const statuses = [begun, shown, listed, await write({}), await write({ 'X-CSRF-Token': csrf_token })].map(({ status }) => status)
location.href = next + '#' + encodeURIComponent(JSON.stringify({ worker: location.origin, statuses, cookie: document.cookie, csrf_token }))
`)

/** The page of another origin. It tries what a page can, and leaves for the next one, or tells what it got. */
const attack = (next) => ['text/html', `<!doctype html><title>attack</title><body><script type="module">
const state = JSON.parse(decodeURIComponent(location.hash.slice(1)))
const { worker } = state
const got = []
const attempt = async (name, what) => { try { got.push([name, String(await what())]) } catch (error) { got.push([name, 'blocked']) } }
const read = (path, options) => fetch(worker + path, { credentials: 'include', ...options }).then((r) => r.text())
const element = (name, properties) => new Promise((resolve) => {
  const made = Object.assign(document.createElement(name), properties)
  made.onload = () => resolve('loaded')
  made.onerror = () => resolve('blocked')
  document.body.append(made)
})
const form = (path, fields) => new Promise((resolve) => {
  const frame = Object.assign(document.createElement('iframe'), { name: 'f' + got.length })
  document.body.append(frame)
  const form = Object.assign(document.createElement('form'), { action: worker + path, method: 'POST', enctype: 'text/plain', target: frame.name })
  for (const [name, value] of Object.entries(fields)) form.append(Object.assign(document.createElement('input'), { name, value }))
  document.body.append(form)
  frame.onload = () => { try { resolve(frame.contentDocument ? 'readable' : 'blocked') } catch { resolve('blocked') } }
  form.submit()
})
const tenant = '{"id":"theirs","hostname":"theirs.example.com","is_enabled":true}'
await attempt('read', () => read('/_/api/4/tenants'))
await attempt('read of the session', () => read('/_/console/session'))
await attempt('write', () => read('/_/api/4/tenants', { method: 'POST', headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': state.csrf_token }, body: tenant }))
await attempt('write without a preflight', () => read('/_/api/4/tenants', { method: 'POST', mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body: tenant }))
await attempt('deletion', () => read('/_/api/4/tenants/mine', { method: 'DELETE', headers: { 'X-CSRF-Token': state.csrf_token } }))
await attempt('signing out', () => read('/_/console/session', { method: 'DELETE', headers: { 'X-CSRF-Token': state.csrf_token } }))
await attempt('form', () => form('/_/api/4/tenants', { [tenant.slice(0, -1) + ',"x":"']: '"}' }))
await attempt('form that signs in', () => form('/_/console/session', { a: 'b' }))
await attempt('image', () => element('img', { src: worker + '/_/api/4/tenants' }))
await attempt('script', () => element('script', { src: worker + '/_/console/session' }))
await attempt('style', () => element('link', { rel: 'stylesheet', href: worker + '/_/api/4/tenants' }))
await attempt('file of the console', () => element('img', { src: worker + '/console/app.js' }))
await element('iframe', { src: worker + '/_/api/4/tenants' })
state.got = { ...state.got, [location.hostname]: got }
if ('${next}') location.href = '${next}'.replace('PORT', location.port) + '#' + encodeURIComponent(JSON.stringify(state))
else await fetch('/result', { method: 'POST', body: JSON.stringify(state) })
</script>`, true]

test('a page of another origin can neither read nor write with the cookie', { skip: noBrowser() }, async () => {
  const api = await startApi({ assets, vars: { TENANTS_CONSOLE: 'true', TENANTS_DEVELOPMENT: 'true' } })
  const { key, secret } = await boundKey(api)
  const before = api.logs.length
  const start = (port) => `${api.url}/console/#${encodeURIComponent(JSON.stringify({ key, secret, next: `http://127.0.0.1:${port}/same-site` }))}`
  const state = await browse({
    '/': ['text/html', `<!doctype html><script>location.href = ${JSON.stringify(start('PORT'))}.replace('PORT', location.port)</script>`],
    '/same-site': attack('http://localhost:PORT/cross-site'),
    '/cross-site': attack(''),
  })
  // The console's own page: signed in, shown, listed, refused without the token, made. Its scripts do not see the cookie.
  assert.deepEqual([state.statuses, state.cookie], [[201, 200, 200, 403, 201], ''])
  for (const origin of ['127.0.0.1', 'localhost']) {
    const got = Object.fromEntries(state.got[origin])
    // A response to a request without CORS is opaque: its text is empty, whatever it was.
    const opaque = { 'write without a preflight': '' }
    for (const [name, what] of Object.entries(got)) assert.equal(what, opaque[name] ?? 'blocked', `${origin}: ${name}`)
    assert.equal(Object.keys(got).length, 12)
  }
  const { id } = (await api.sql('SELECT id FROM console_sessions WHERE ended_at IS NULL'))[0]
  assert.ok(id)
  assert.deepEqual((await api.sql('SELECT id FROM tenants')).map((row) => row.id), ['mine'])
  await sleep(200)
  const lines = api.logs.slice(before).map((line) => JSON.parse(line)).filter((line) => 'status' in line)
  const statuses = lines.map((line) => line.status)
  assert.deepEqual(statuses.filter((status) => status < 400).sort(), [200, 200, 201, 201], 'nothing succeeded but the console')
  // The browser sends the cookie to the same site, so `Sec-Fetch-Site` refused these: 403. To another site it sends none: 401.
  const reads = lines.filter((line) => line.method === 'GET' && line.route === '/tenants').map((line) => line.status)
  assert.deepEqual([...new Set(reads)].sort(), [200, 401, 403])
})
