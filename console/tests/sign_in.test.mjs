// Signing in: where the secret goes, who can use the cookie, and when a session ends.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { noBrowser, open, signIn, visit } from './browser.mjs'
import { startConsole } from './server.mjs'

const skip = noBrowser()
const server = skip ? undefined : await startConsole()

/** All texts of the page's heap. */
async function heapOf(context, page) {
  const cdp = await context.newCDPSession(page)
  const chunks = []
  cdp.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => chunks.push(chunk))
  await cdp.send('HeapProfiler.collectGarbage')
  await cdp.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false })
  return chunks.join('')
}

test('the secret is in no storage, no cookie, no request and no text of the heap after signing in', { skip }, async () => {
  const { page, context, assertQuiet, close } = await open(server.page)
  const secret = server.key.signing_secret
  // Keeps the memory of each wasm instance that the page makes.
  await page.addInitScript(() => {
    globalThis.memories = []
    const { instantiate } = WebAssembly
    WebAssembly.instantiate = async (...all) => {
      const instance = await instantiate.apply(WebAssembly, all)
      globalThis.memories.push(instance.exports.memory)
      return instance
    }
  })
  await page.reload()
  const sent = []
  page.on('request', (request) => sent.push([request.url(), JSON.stringify(request.headers()), request.postData() ?? ''].join('\n')))
  // The search finds what is there: the marker is a text of the same kind.
  const marker = 'f0'.repeat(32)
  await page.evaluate((text) => { globalThis.marker = text.split('').join('') }, marker)
  await signIn(page, server.key)
  await visit(page, '#/tenants')
  const heap = await heapOf(context, page)
  assert.ok(heap.includes(marker), 'the heap has texts')
  assert.ok(!heap.includes(secret), 'the heap has the secret')
  assert.ok(sent.some((text) => text.includes('/_/console/session') && text.includes(server.key.api_key)))
  for (const text of sent) assert.ok(!text.includes(secret), `a request has the secret: ${text.slice(0, 200)}`)
  const state = await context.storageState({ indexedDB: true })
  assert.ok(!JSON.stringify(state).includes(secret))
  assert.equal(await page.evaluate(() => document.cookie), '', 'scripts see no cookie')
  const [cookie] = state.cookies
  assert.deepEqual([state.cookies.length, cookie.httpOnly, cookie.sameSite], [1, true, 'Strict'])
  assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage)]), [[], []])
  const memories = await page.evaluate(() => globalThis.memories.map(({ buffer }) => [buffer.byteLength > 65_536, new Uint8Array(buffer).every((byte) => byte === 0)]))
  assert.deepEqual(memories, [[true, true]], 'the memory that signed is overwritten')
  // A new page of the same browser goes on with the session.
  await page.reload()
  await page.getByRole('heading', { name: 'Tenants', level: 1 }).waitFor()
  assertQuiet()
  await close()
})

test('a wrong secret is refused in words, and leaves nothing in the form', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  await page.getByLabel('API key').fill(server.key.api_key)
  await page.getByLabel('Signing secret').fill('0'.repeat(64))
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('alert').getByText('The key and the secret do not fit').waitFor()
  assert.equal(await page.getByLabel('Signing secret').inputValue(), '')
  assert.equal(await page.getByLabel('API key').inputValue(), server.key.api_key)
  assertQuiet()
  await close()
})

test('the scopes of the key decide what is shown', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  await signIn(page, await server.boundKey(['tenants:read'], 'reader'))
  const places = await page.getByRole('navigation', { name: 'Main' }).getByRole('link').allTextContents()
  assert.deepEqual(places.map((text) => text.trim()), ['Overview', 'Tenants'])
  const tenant = await server.api.tenant()
  await visit(page, `#/tenants/${tenant.id}`)
  for (const name of ['Edit', 'Delete', 'Install', 'Disable', 'Hold…']) assert.equal(await page.getByRole('button', { name }).or(page.getByRole('link', { name, exact: true })).count(), 0, name)
  assertQuiet()
  await close()
})

test('a foreign origin can do nothing with the cookie', { skip }, async () => {
  const { page, context, close } = await open(server.page)
  await signIn(page, server.key)
  const tenant = await server.api.tenant()
  // Another port is another origin of the same site, so the browser does send the cookie.
  const foreign = http.createServer((_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!doctype html><title>foreign</title>'))
  await new Promise((resolve) => foreign.listen(0, '127.0.0.1', resolve))
  try {
    const other = await context.newPage()
    await other.goto(`http://127.0.0.1:${foreign.address().port}/`)
    const seen = []
    other.on('response', (response) => { if (response.url().includes('/_/')) seen.push(response.status()) })
    const tried = await other.evaluate(async ({ url, id }) => {
      const outcomes = []
      for (const [method, where, mode] of [['GET', `/_/api/4/tenants/${id}`, 'cors'], ['GET', '/_/console/session', 'cors'], ['DELETE', `/_/api/4/tenants/${id}`, 'cors'], ['POST', '/_/api/4/tenants', 'no-cors'], ['GET', `/_/api/4/tenants/${id}`, 'no-cors']]) {
        try {
          const answer = await fetch(url + where, { method, mode, credentials: 'include' })
          outcomes.push([answer.type, await answer.text()])
        } catch {
          outcomes.push(['blocked', ''])
        }
      }
      return outcomes
    }, { url: server.url, id: tenant.id })
    // The browser keeps the answers from the other origin…
    assert.deepEqual(tried.map(([type, text]) => [type, text]), [['blocked', ''], ['blocked', ''], ['blocked', ''], ['opaque', ''], ['opaque', '']])
    // …and the API refused what came to it.
    for (const status of seen) assert.ok([401, 403, 404, 405].includes(status), String(status))
    assert.ok(seen.length > 0)
  } finally {
    foreign.close()
  }
  await server.api.expect(200, 'GET', `/tenants/${tenant.id}`)
  await close()
})

test('another tab that signs in anew does not end the work in this one', { skip }, async () => {
  const { page, context, assertQuiet, close } = await open(server.page)
  await signIn(page, server.key)
  await visit(page, '#/tenants/new')
  const other = await context.newPage()
  await other.goto(server.page)
  await other.getByRole('button', { name: 'Sign out' }).click()
  await signIn(other, server.key)
  const { id, hostname } = server.api.fresh()
  await page.getByLabel('Id', { exact: true }).fill(id)
  await page.getByLabel('Hostname').fill(hostname)
  await page.getByRole('button', { name: 'New tenant' }).click()
  await page.getByRole('heading', { name: id, level: 1, exact: true }).waitFor()
  // The audit log names the session.
  const [entry] = (await server.api.expect(200, 'GET', `/audit?subject_type=tenant&subject=${id}`)).json
  assert.match(entry.session_id, /^[0-9a-f]{16}$/)
  assertQuiet()
  await close()
})

test('a session ends with its key, and signing in again keeps what was typed', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  const key = await server.boundKey(['*'], 'leaves')
  await signIn(page, key)
  await visit(page, '#/tenants/new')
  const { id, hostname } = server.api.fresh()
  await page.getByLabel('Id', { exact: true }).fill(id)
  await page.getByLabel('Hostname').fill(hostname)
  await server.api.expect(204, 'DELETE', `/keys/${key.id}`)
  await page.getByRole('button', { name: 'New tenant' }).click()
  const dialog = page.getByRole('dialog', { name: 'Sign in again' })
  await dialog.waitFor()
  await dialog.getByLabel('API key').fill(server.key.api_key)
  await dialog.getByLabel('Signing secret').fill(server.key.signing_secret)
  await dialog.getByRole('button', { name: 'Sign in' }).click()
  await dialog.waitFor({ state: 'hidden' })
  assert.equal(await page.getByLabel('Hostname').inputValue(), hostname)
  await page.getByRole('button', { name: 'New tenant' }).click()
  await page.getByRole('heading', { name: id, level: 1 }).waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('button', { name: 'Sign in' }).waitFor()
  await page.reload()
  await page.getByRole('button', { name: 'Sign in' }).waitFor()
  assertQuiet()
  await close()
})
