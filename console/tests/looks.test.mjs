// How the pages look and sound: axe, the keyboard, narrow screens, both themes, and how soon they are there. The screenshots are in
// build/console-screenshots/.
import assert from 'node:assert/strict'
import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { ROOT } from '../../tests/e2e/harness.mjs'
import { noBrowser, open, signIn, visit } from './browser.mjs'
import { furnish, seedRows, startConsole } from './server.mjs'

const PAGES = {
  overview: '#/overview', tenants: '#/tenants', tenant: '#/tenants/bluebird', settings: '#/tenants/atelier-nord?tab=settings', hostnames: '#/tenants/atelier-nord?tab=hostnames',
  history: '#/tenants/atelier-nord?tab=history', 'tenant-new': '#/tenants/new', 'tenant-edit': '#/tenants/atelier-nord/edit', plans: '#/plans', plan: '#/plans/business',
  cells: '#/cells', webhooks: '#/webhooks', keys: '#/keys', audit: '#/audit',
}

const skip = noBrowser()
const folder = path.join(ROOT, 'build', 'console-screenshots')
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const server = skip ? undefined : await startConsole()
if (!skip) await furnish(server)
const { default: AxeBuilder } = await import('@axe-core/playwright')

/** What axe finds of serious and critical faults. */
async function faults(page) {
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']).analyze()
  return violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).slice(0, 3).join(' ')}`)
}

const shot = (page, name) => page.screenshot({ path: path.join(folder, `${name}.png`) })

for (const theme of ['light', 'dark']) {
  for (const width of [1280, 360]) {
    test(`every page in the ${theme} theme, ${width} pixels wide`, { skip }, async () => {
      const { page, assertQuiet, close } = await open(server.page, { width, theme })
      // Each theme and each width is judged once; the other two are for people to look at.
      const judge = async (name) => (theme === 'light') === (width === 1280) && assert.deepEqual(await faults(page), [], name)
      await page.getByRole('button', { name: 'Sign in' }).waitFor()
      await judge('sign-in')
      await shot(page, `sign-in-${theme}-${width}`)
      await signIn(page, server.key)
      for (const [name, where] of Object.entries(PAGES)) {
        await visit(page, where)
        await judge(name)
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`)
        await shot(page, `${name}-${theme}-${width}`)
      }
      await visit(page, '#/tenants/bluebird')
      for (const [button, name] of [['Hold…', 'hold'], ['Install', 'install'], ['Delete', 'delete']]) {
        await page.getByRole('button', { name: button, exact: true }).click()
        await page.getByRole('dialog').waitFor()
        await judge(name)
        await shot(page, `dialog-${name}-${theme}-${width}`)
        await page.keyboard.press('Escape')
        await page.getByRole('dialog').waitFor({ state: 'detached' })
      }
      assertQuiet()
      await close()
    })
  }
}

test('the keyboard alone reaches everything, and a dialog keeps and gives back the focus', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  await page.getByLabel('API key').waitFor()
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() || document.activeElement?.id)
  assert.equal(await focused(), 'sign-in-key')
  await page.keyboard.insertText(server.key.api_key)
  await page.keyboard.press('Tab')
  await page.keyboard.insertText(server.key.signing_secret)
  await page.keyboard.press('Enter')
  await page.getByRole('navigation', { name: 'Main' }).waitFor()
  await visit(page, '#/tenants/cedar')
  assert.equal(await focused(), 'cedar', 'the new page’s title has the focus')
  await page.getByRole('button', { name: 'Delete' }).focus()
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  for (let step = 0; step < 12; step += 1) {
    await page.keyboard.press('Tab')
    assert.ok(await page.evaluate(() => document.activeElement.closest('[role=dialog]') !== null), 'the focus stays inside')
  }
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  // The focus comes back once the dialog is gone.
  await page.waitForFunction(() => document.activeElement?.textContent?.trim() === 'Delete')
  await page.getByRole('tab', { name: 'Summary' }).focus()
  await page.keyboard.press('ArrowRight')
  await page.getByRole('tabpanel', { name: 'Effective settings' }).waitFor()
  assertQuiet()
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
