// The work of the support desk without a mouse: every step is a key, and what has the focus is seen.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noBrowser, open, signIn, visit } from './browser.mjs'
import { furnish, startConsole } from './server.mjs'

const skip = noBrowser()
const server = skip ? undefined : await startConsole()
if (!skip) await furnish(server)

/** The name of the element that has the focus, and whether a ring shows it. */
const focused = (page) => page.evaluate(() => {
  const element = document.activeElement
  const label = element.labels?.[0]?.textContent ?? element.textContent
  const { outlineStyle, outlineWidth } = getComputedStyle(element)
  return { name: (element.getAttribute('aria-label') ?? label).trim(), isSeen: element.matches(':focus-visible') && outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2, isInDialog: element.closest('[role=dialog]') !== null }
})

/** Presses Tab until what has this name has the focus. Each place on the way shows that it has it. */
async function tabTo(page, name, key = 'Tab') {
  const way = []
  for (let step = 0; step < 100; step += 1) {
    await page.keyboard.press(key)
    const now = await focused(page)
    // At the end of the page the focus may leave it once.
    if (now.name !== '' && !now.name.startsWith('Skip to content')) assert.ok(now.isSeen, `one sees that “${now.name.slice(0, 60)}” has the focus`)
    way.push(now.name.slice(0, 40))
    if (now.name === name || now.name.startsWith(`${name} (`)) return
  }
  assert.fail(`Tab does not lead to ${name}: ${way.join(' → ')}`)
}

const heading = async (page, name) => {
  await page.getByRole('heading', { name, level: 1, exact: true }).waitFor()
  await page.waitForFunction((text) => document.activeElement?.matches('h1') && document.activeElement.textContent === text, name)
}
const dialogGone = (page) => page.getByRole('dialog').waitFor({ state: 'detached' })
const hasFocus = (page, name) => page.waitForFunction((text) => (document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim()) === text, name)

test('the keyboard alone signs in, creates a tenant, holds it and lifts the hold', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  await page.getByLabel('API key').waitFor()
  assert.deepEqual(await focused(page), { name: 'API key', isSeen: true, isInDialog: false })
  await page.keyboard.insertText(server.key.api_key)
  await tabTo(page, 'Signing secret')
  await page.keyboard.insertText(server.key.signing_secret)
  await page.keyboard.press('Enter')
  await heading(page, 'Overview')

  await tabTo(page, 'Tenants', 'Shift+Tab')
  await page.keyboard.press('Enter')
  await heading(page, 'Tenants')
  await tabTo(page, 'New tenant')
  await page.keyboard.press('Enter')
  await heading(page, 'New tenant')
  await tabTo(page, 'Id')
  await page.keyboard.insertText('by-keyboard')
  await tabTo(page, 'Hostname')
  await page.keyboard.insertText('by-keyboard.example.com')
  await tabTo(page, 'Plan')
  await page.locator('option', { hasText: 'basic' }).first().waitFor({ state: 'attached' })
  await page.keyboard.press('b')
  await tabTo(page, 'New tenant')
  await page.keyboard.press('Enter')
  await heading(page, 'by-keyboard')
  assert.equal((await server.api.expect(200, 'GET', '/tenants/by-keyboard')).json.plan_id, 'basic')

  await tabTo(page, 'Hold…')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog', { name: 'Hold by-keyboard' }).waitFor()
  await page.waitForFunction(() => document.activeElement?.closest('[role=dialog]'))
  await tabTo(page, 'Reason')
  assert.ok((await focused(page)).isInDialog)
  await page.keyboard.insertText('ticket 12')
  await page.keyboard.press('Enter')
  await dialogGone(page)
  await hasFocus(page, 'Hold…')
  assert.equal((await server.api.expect(200, 'GET', '/tenants/by-keyboard')).json.holds.maintenance.reason, 'ticket 12')

  // The button that lifts the hold goes with it: the keyboard goes on at the page's title.
  await page.getByRole('button', { name: 'Lift' }).waitFor()
  await tabTo(page, 'Lift')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Lift' }).waitFor({ state: 'detached' })
  await heading(page, 'by-keyboard')
  assert.deepEqual((await server.api.expect(200, 'GET', '/tenants/by-keyboard')).json.holds, {})
  assertQuiet()
  await close()
})

test('a button keeps the focus while it works, though its table or its text is drawn anew', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  await signIn(page, server.key)
  await visit(page, '#/tenants/grove')
  await tabTo(page, 'Disable')
  await page.keyboard.press('Enter')
  await hasFocus(page, 'Enable')
  await page.keyboard.press('Enter')
  await hasFocus(page, 'Disable')
  await visit(page, '#/cells')
  await tabTo(page, 'Edit fra1')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await tabTo(page, 'Name')
  await page.keyboard.insertText(' am Main')
  await page.keyboard.press('Enter')
  await page.getByRole('row').filter({ hasText: 'am Main' }).waitFor()
  await hasFocus(page, 'Edit fra1')
  // In a form, the row that is taken away gives the focus to the button that adds one.
  await visit(page, '#/tenants/atelier-nord/edit')
  await tabTo(page, 'Remove region')
  await page.keyboard.press('Enter')
  await hasFocus(page, 'Add a row')
  assertQuiet()
  await close()
})

test('a dialog keeps the focus inside, and gives it back', { skip }, async () => {
  const { page, assertQuiet, close } = await open(server.page)
  await signIn(page, server.key)
  await visit(page, '#/tenants/cedar')
  assert.equal((await focused(page)).name, 'cedar', 'the new page’s title has the focus')
  await tabTo(page, 'Delete')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  for (const key of ['Tab', 'Shift+Tab']) {
    for (let step = 0; step < 8; step += 1) {
      await page.keyboard.press(key)
      const { isInDialog, isSeen, name } = await focused(page)
      assert.ok(isInDialog && isSeen, `the focus stays inside, and is seen: ${name}`)
    }
  }
  await page.keyboard.press('Escape')
  await dialogGone(page)
  await hasFocus(page, 'Delete')
  await tabTo(page, 'Summary')
  await page.keyboard.press('ArrowRight')
  await page.getByRole('tabpanel', { name: 'Effective settings' }).waitFor()
  assertQuiet()
  await close()
})
