// A real headless Chromium, driven by Playwright. Every page reports errors and what the Content-Security-Policy refused.

import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'
import { programPath } from '../../scripts/lib/system.mjs'
import { QUIET, noBrowser } from '../../tests/browser.mjs'
import { atEnd } from '../../tests/lifetime.mjs'

export { noBrowser }

// Here and not at the first use: what is begun within a test ends with that test.
const browser = noBrowser() ? undefined : await chromium.launch({ executablePath: programPath('chromium'), args: QUIET.filter((word) => !word.startsWith('--headless')) })
atEnd(() => browser?.close())

/** Opens a window of its own: no cookies and no storage are shared. */
export async function open(url, { width = 1280, height = 860, theme = 'light' } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, permissions: ['clipboard-read', 'clipboard-write'], reducedMotion: 'reduce' })
  const page = await context.newPage()
  const complaints = []
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
  page.on('console', (message) => {
    // Chromium writes a line for each response that is refused; the tests refuse on purpose.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) complaints.push(message.text())
  })
  page.on('request', (request) => complaints.push(...faultsOf(request, new URL(url).origin)))
  page.setDefaultTimeout(15_000)
  await page.goto(url)
  return { page, context, complaints, assertQuiet: () => assert.deepEqual(complaints, []), close: () => context.close() }
}

/** The faults of a request. The console speaks this API and nothing else, retries its writes safely, and edits the version that it has shown. */
export function faultsOf(request, origin) {
  const { protocol, origin: to, pathname } = new URL(request.url())
  if (protocol === 'data:') return []
  const method = request.method()
  const headers = request.headers()
  const faults = []
  if (to !== origin || !/^\/(console\/|_\/api\/4\/|_\/console\/sessions?(\/|$))/.test(pathname)) faults.push('is none of the API’s')
  const isWrite = !['GET', 'HEAD'].includes(method)
  // Routes of sessions remember no key.
  if (isWrite && pathname.startsWith('/_/api/') && !headers['idempotency-key']) faults.push('has no Idempotency-Key')
  const isEdit = isWrite && (/^\/_\/api\/4\/tenants\/[^/]+\/(holds|hostnames)\/[^/]+$/.test(pathname) || (['PATCH', 'DELETE'].includes(method) && /^\/_\/api\/4\/tenants(-plans)?\/[^/]+$/.test(pathname)))
  if (isEdit && !headers['if-match']) faults.push('has no If-Match')
  return faults.map((fault) => `${method} ${request.url()} ${fault}`)
}

/** Has the API carry a request out, and loses its answer. */
export async function loseAnswer(route) {
  // Chromium adds the header only to what it sends itself.
  const answer = await route.fetch({ headers: { ...route.request().headers(), 'sec-fetch-site': 'same-origin' } })
  assert.ok(answer.ok(), `${route.request().method()} ${route.request().url()} is ${answer.status()}`)
  await route.abort('connectionreset')
}

/** Signs in by the form. */
export async function signIn(page, { api_key, signing_secret }) {
  await page.getByLabel('API key').fill(api_key)
  await page.getByLabel('Signing secret').fill(signing_secret)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation', { name: 'Main' }).waitFor()
}

/** Opens a page of the console by its address. */
export async function visit(page, where) {
  // The page hears of its new address a moment later.
  await page.evaluate((to) => new Promise((resolve) => {
    if (location.hash === to) return resolve()
    addEventListener('hashchange', () => resolve(), { once: true })
    location.hash = to
  }), where)
  await page.locator('main h1').waitFor()
  await page.waitForFunction(() => !document.querySelector('.loading, [aria-busy="true"]'))
}

/** Answers a request with a problem. */
const fail = (route) => route.fulfill({ status: 500, contentType: 'application/problem+json', body: JSON.stringify({ type: 'about:blank', title: 'Internal Server Error', status: 500, code: 'internal', detail: 'The disk is full.' }) })

/** Has requests of a kind fail. Returns what ends that. */
export async function refuse(page, method, address) {
  const handler = (route) => (route.request().method() === method ? fail(route) : route.fallback())
  await page.route(address, handler)
  return () => page.unroute(address, handler)
}

/** Lets requests of a kind wait. Returns what lets them, and later ones, go on, or fail. */
export async function holdBack(page, method, address) {
  let end
  const gate = new Promise((resolve) => (end = resolve))
  await page.route(address, async (route) => {
    if (route.request().method() !== method) return route.fallback()
    return (await gate) === 'fail' ? fail(route) : route.continue()
  })
  return { go: () => end(), fail: () => end('fail') }
}
