// Signing in: where the secret goes, who can use the cookie, and when a session ends.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { loseAnswer, noBrowser, open, signIn, visit } from './browser.mjs'
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

test('a key for none of the pages signs in to a page that says so', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  await signIn(page, await server.boundKey(['events'], 'listener'))
  await page.getByRole('heading', { name: 'Nothing to see with this key', level: 1 }).waitFor()
  await page.waitForFunction(() => document.activeElement?.matches('h1'))
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
  await visit(page, '#/tenants/~new')
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

test('what was begun under one key is not done under another that somebody signs in with in another tab', { skip }, async () => {
  const { page, context, close } = await open(server.page)
  await signIn(page, server.key)
  await visit(page, '#/tenants/~new')
  const other = await context.newPage()
  await other.goto(server.page)
  await other.getByRole('button', { name: 'Sign out' }).click()
  await signIn(other, await server.boundKey(['*'], 'somebody else'))
  const { id, hostname } = server.api.fresh()
  await page.getByLabel('Id', { exact: true }).fill(id)
  await page.getByLabel('Hostname').fill(hostname)
  await page.getByRole('button', { name: 'New tenant' }).click()
  await page.getByRole('alert').getByText('with the key somebody else').waitFor()
  await server.api.expect(404, 'GET', `/tenants/${id}`)
  // The page has said whose session it is, so a second press is meant.
  await page.getByRole('button', { name: 'New tenant' }).click()
  await page.getByRole('heading', { name: id, level: 1, exact: true }).waitFor()
  await close()
})

test('a session ends with its key, and signing in again keeps what was typed', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  const key = await server.boundKey(['*'], 'leaves')
  await signIn(page, key)
  await visit(page, '#/tenants/~new')
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

const signInPage = (page) => page.getByText('Sign in with a bound API key').waitFor()
const noDialog = async (page) => assert.equal(await page.getByRole('dialog').count(), 0)

test('who signs out after the session has ended sees the page for signing in, and nothing of the tenants stays', { skip }, async () => {
  const { page, context, assertQuiet, close } = await open(server.page)
  const key = await server.boundKey(['*'], 'ended elsewhere')
  const marker = `of-${server.api.fresh().id}-alone`
  const tenant = await server.api.tenant({ external_id: marker })
  await signIn(page, key)
  await visit(page, `#/tenants/${tenant.id}`)
  // A dialog that was open keeps nothing, either.
  await page.getByRole('button', { name: 'Hold…' }).click()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  assert.ok((await heapOf(context, page)).includes(marker))
  await server.api.expect(204, 'DELETE', `/keys/${key.id}`)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await signInPage(page)
  await noDialog(page)
  assert.ok(!(await page.content()).includes(tenant.id))
  assert.equal(await page.title(), 'Tenants console')
  assert.ok(!(await heapOf(context, page)).includes(marker), 'the heap has the tenant')
  assertQuiet()
  await close()
})

test('a sign-out whose answer is lost is one, and so is one where the page asks to sign in again', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  await signIn(page, server.key)
  await page.route('**/_/console/session', loseAnswer, { times: 1 })
  await page.getByRole('button', { name: 'Sign out' }).click()
  await signInPage(page)
  await noDialog(page)

  const key = await server.boundKey(['*'], 'gone')
  await signIn(page, key)
  await visit(page, '#/plans')
  await server.api.expect(204, 'DELETE', `/keys/${key.id}`)
  await visit(page, '#/cells')
  const dialog = page.getByRole('dialog', { name: 'Sign in again' })
  await dialog.getByRole('button', { name: 'Sign out' }).click()
  await signInPage(page)
  await noDialog(page)
  await page.waitForFunction(() => document.activeElement?.id === 'sign-in-key')
  assertQuiet()
  await close()
})

test('the new secret of the session’s own key is on top until Done, and signs in', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  const key = await server.boundKey(['*'], 'rotates itself')
  await signIn(page, key)
  // A request that was under way is refused after the rotation.
  let release
  const released = new Promise((resolve) => { release = resolve })
  await page.route('**/_/console/sessions', (route) => released.then(() => route.continue()))
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Keys' }).click()
  await page.getByRole('button', { name: `Rotate key ${key.id}`, exact: true }).click()
  const rotate = page.getByRole('dialog', { name: `Rotate key ${key.id}`, exact: true })
  await rotate.getByText('this ends your session').waitFor()
  await rotate.getByRole('button', { name: 'Rotate' }).click()
  const made = page.getByRole('dialog', { name: `Key ${key.id}`, exact: true })
  await made.waitFor()
  const refused = page.waitForResponse('**/_/console/sessions')
  release()
  assert.equal((await refused).status(), 401)
  await page.waitForTimeout(500)
  assert.equal(await page.getByRole('dialog').count(), 1, 'nothing opens above it')
  await made.getByRole('button', { name: 'Copy Signing secret' }).click()
  const signing_secret = await page.evaluate(() => navigator.clipboard.readText())
  const api_key = await made.locator('.copyable code').first().textContent()
  assert.match(signing_secret, /^[0-9a-f]{64}$/)
  assert.notEqual(signing_secret, key.signing_secret)
  await made.getByRole('button', { name: 'Done' }).click()
  await signInPage(page)
  await noDialog(page)
  assert.ok(!(await page.content()).includes(signing_secret))
  await signIn(page, { api_key, signing_secret })
  assertQuiet()
  await close()
})

test('a rotation of the session’s own key whose answer is lost says that it may have happened', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  const key = await server.boundKey(['*'], 'loses itself')
  await signIn(page, key)
  await visit(page, '#/keys')
  await page.route('**/keys/*/rotate', loseAnswer, { times: 1 })
  await page.getByRole('button', { name: `Rotate key ${key.id}`, exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
  await page.getByRole('alert').getByText('The key may be rotated').waitFor()
  await page.waitForFunction(() => document.querySelectorAll('[role=dialog]').length === 1 && document.activeElement?.closest('[role=dialog]'))
  await page.getByRole('dialog').getByRole('button', { name: 'Done' }).click()
  await signInPage(page)
  await noDialog(page)
  assertQuiet()
  await close()
})
