// How the pages look and sound: axe, the keyboard, narrow screens, both themes, and how soon they are there. The screenshots are in
// build/console-screenshots/.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../tests/e2e/harness.mjs'
import { noBrowser, open, signIn, visit } from './browser.mjs'
import { furnish, seedRows, startConsole } from './server.mjs'

const PAGES = {
  overview: '#/overview', tenants: '#/tenants', 'tenants-none': '#/tenants?q=nobody', 'tenants-deleted': '#/tenants?deleted=true', tenant: '#/tenants/bluebird', 'tenant-deleted': '#/tenants/gone?deleted=true',
  'tenant-limits': '#/tenants/atelier-nord', settings: '#/tenants/atelier-nord?tab=settings', hostnames: '#/tenants/atelier-nord?tab=hostnames', history: '#/tenants/atelier-nord?tab=history', 'tenant-new': '#/tenants/~new', 'tenant-edit': '#/tenants/atelier-nord/edit',
  plans: '#/plans', plan: '#/plans/business', cells: '#/cells', webhooks: '#/webhooks', keys: '#/keys', audit: '#/audit',
}
/** Buttons that open a dialog, and where they are. */
const DIALOGS = { hold: ['#/tenants/bluebird', 'Hold…'], install: ['#/tenants/bluebird', 'Install'], delete: ['#/tenants/bluebird', 'Delete'], key: ['#/keys', 'New key'], cell: ['#/cells', 'New cell'], webhook: ['#/webhooks', 'New webhook'] }
const VIEWS = [360, 1280].flatMap((width) => ['light', 'dark'].map((theme) => ({ width, theme })))
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

const skip = noBrowser()
const folder = path.join(ROOT, 'build', 'console-screenshots')
const server = skip ? undefined : await startConsole()
if (!skip) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  await furnish(server)
  await furnishMore(server.api)
}
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** A deleted tenant, further hostnames, and a webhook whose receiver is not there. */
async function furnishMore(api) {
  await api.tenant({ id: 'gone', hostname: 'gone.example.com' })
  await api.expect(204, 'DELETE', '/tenants/gone')
  await api.expect(201, 'PUT', '/tenants/atelier-nord/hostnames/www.atelier-nord.example.com', { body: { kind: 'redirect' } })
  await api.expect(201, 'POST', '/webhooks', { body: { url: 'http://127.0.0.1:9/hook', types: ['tenant.created', 'tenant.updated'], description: 'Billing' } })
  await api.tenant({ id: 'unheard', hostname: 'unheard.example.com' })
  await api.scheduled()
}

/** Shows what is open in both themes and at both widths: takes a screenshot of each, and returns what axe finds of serious and critical faults. The page is loaded once. */
async function look(page, name) {
  const found = []
  for (const { width, theme } of VIEWS) {
    await page.setViewportSize({ width, height: 860 })
    await page.emulateMedia({ colorScheme: theme })
    // The charts are drawn anew.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))))
    const { wide, height, faults } = await page.evaluate(async (values) => {
      const { violations } = await globalThis.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] })
      const faults = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).slice(0, 3).join(' ')}`)
      return { faults, wide: document.documentElement.scrollWidth - innerWidth, height: document.documentElement.scrollHeight }
    }, TAGS)
    found.push(...faults.map((fault) => `${name}, ${theme}, ${width}: ${fault}`))
    if (wide > 0) found.push(`${name}, ${theme}, ${width}: ${wide} pixels too wide`)
    // A dialog is in the middle of the window, not of the page. Of a long list the beginning is enough.
    const isDialog = name.startsWith('dialog-')
    await page.screenshot({ path: path.join(folder, `${name}-${theme}-${width}.png`), ...(isDialog ? {} : { fullPage: true, clip: { x: 0, y: 0, width, height: Math.min(height, 2400) } }) })
  }
  await page.setViewportSize({ width: VIEWS[0].width, height: 860 })
  return found
}

test('axe finds nothing serious on any page or dialog, in both themes and at both widths, and none is too wide', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page, { width: VIEWS[0].width })
  await page.evaluate(axe)
  const found = []
  await page.getByRole('button', { name: 'Sign in' }).waitFor()
  found.push(...(await look(page, 'sign-in')))
  await signIn(page, server.key)
  for (const [name, where] of Object.entries(PAGES)) {
    await visit(page, where)
    if (name !== 'tenants-none') assert.equal(await page.locator('main .empty').count(), 0, `${name} shows something`)
    // In the row that scrolls, the present place is in sight.
    const place = page.locator('.side [aria-current]')
    const box = await place.boundingBox()
    assert.ok(box.x >= 0 && box.x + box.width <= VIEWS[0].width, `${name}: its place in the navigation is in sight`)
    found.push(...(await look(page, name)))
  }
  await visit(page, '#/webhooks')
  await page.locator('main th a').click()
  await page.getByRole('heading', { name: 'Deliveries', level: 1 }).waitFor()
  await page.getByRole('row').nth(1).waitFor()
  found.push(...(await look(page, 'deliveries')))
  const lookAtDialog = async (name) => {
    await page.getByRole('dialog').waitFor()
    await page.waitForFunction(() => !document.querySelector('[role=dialog] .loading'))
    found.push(...(await look(page, `dialog-${name}`)))
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  }
  for (const [name, [where, button]] of Object.entries(DIALOGS)) {
    await visit(page, where)
    await page.getByRole('button', { name: button, exact: true }).click()
    await lookAtDialog(name)
  }
  await visit(page, '#/plans/business')
  await page.getByLabel('Limits, row 2: value').fill('60')
  await page.getByRole('button', { name: 'Preview change' }).click()
  await page.getByRole('dialog').getByText('This changes settings of').waitFor()
  await lookAtDialog('plan')
  await visit(page, '#/tenants/elm-studio/edit')
  await page.getByLabel('Hostname').fill('mine.example.com')
  await server.api.expect(204, 'PATCH', '/tenants/elm-studio', { body: { hostname: 'theirs.example.com', labels: { customer: '9' } } })
  await page.getByRole('button', { name: 'Save' }).click()
  await lookAtDialog('conflict')
  assert.deepEqual(found, [])
  assertQuiet()
  await close()
})

test('axe would find what is wrong, in each theme', { skip }, async () => {
  const { page, close } = await open(server.page)
  await page.evaluate(axe)
  await page.getByRole('button', { name: 'Sign in' }).waitFor()
  // Of this theme's colours the dark one is too dark.
  await page.evaluate(() => { document.querySelector('.lead').style.color = 'light-dark(#566074, #333a45)' })
  const found = await look(page, 'sign-in')
  assert.deepEqual(found.map((fault) => fault.split(':')[0]), ['sign-in, dark, 360', 'sign-in, dark, 1280'])
  await page.reload()
  await page.evaluate(axe)
  await page.getByRole('button', { name: 'Sign in' }).waitFor()
  assert.deepEqual(await look(page, 'sign-in'), [])
  await close()
})

test('the theme can be chosen, and stays', { skip }, async () => {
  const { page, close } = await open(server.page, { theme: 'light' })
  await signIn(page, server.key)
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await background()
  await page.getByRole('button', { name: 'Change colours' }).click()
  assert.equal(await background(), light)
  await page.getByRole('button', { name: 'Change colours' }).click()
  const dark = await background()
  assert.notEqual(dark, light)
  await page.reload()
  await page.getByRole('navigation', { name: 'Main' }).waitFor()
  assert.equal(await background(), dark)
  await close()
})

test('with 10,000 tenants the table is there in a second, and the page loads nothing from elsewhere', { skip }, async () => {
  const large = await startConsole()
  await seedRows(large.api, 10_000, { plans: [null], id: (at) => `t${String(at).padStart(5, '0')}` })
  const { page, context, assertQuiet, close } = await open(large.page)
  await signIn(page, large.key)
  const hosts = new Set()
  context.on('request', (request) => hosts.add(new URL(request.url()).origin))
  const times = []
  for (let round = 0; round < 3; round += 1) {
    await page.goto('about:blank')
    const began = performance.now()
    await page.goto(`${large.page}#/tenants`)
    await page.locator('tbody tr').first().waitFor()
    times.push(performance.now() - began)
  }
  console.log(`the table of 10,000 tenants was there after ${times.map((time) => Math.round(time)).join(', ')} ms`)
  assert.ok(Math.min(...times) < 1000, String(times))
  assert.equal(await page.locator('tbody tr').count(), 50)
  const began = performance.now()
  await page.getByRole('searchbox', { name: 'Search' }).fill('t0777')
  await page.waitForFunction(() => document.querySelector('.lead')?.textContent === '10 tenants')
  console.log(`the search took ${Math.round(performance.now() - began)} ms, 250 of them waiting for the typing to end`)
  await visit(page, '#/overview')
  await page.getByText('10,000').first().waitFor()
  assert.deepEqual([...hosts], [large.url])
  assertQuiet()
  await close()
})
