// Webhooks in the console, with a receiver that answers as the test would like.
import assert from 'node:assert/strict'
import http from 'node:http'
import { test } from 'node:test'
import { atEnd } from '../../tests/lifetime.mjs'
import { holdBack, noBrowser, open, signIn, visit } from './browser.mjs'
import { startConsole } from './server.mjs'

const skip = noBrowser()
const server = skip ? undefined : await startConsole()
const window = skip ? undefined : await open(server.page)
const page = window?.page
let status = 200
const receiver = http.createServer((_, response) => response.writeHead(status).end(status === 200 ? 'thank you' : 'not today'))
await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve))
atEnd(() => receiver.close())
const address = `http://127.0.0.1:${receiver.address().port}/hook`
if (!skip) await signIn(page, server.key)

const row = () => page.getByRole('row').filter({ hasText: address })

test('a webhook is made, its secret is shown once, and a test says what the receiver answered', { skip }, async () => {
  await visit(page, '#/webhooks')
  await page.getByRole('button', { name: 'New webhook' }).click()
  const create = page.getByRole('dialog', { name: 'New webhook' })
  await create.getByLabel('Address').fill('https://10.0.0.1/hook')
  await create.getByRole('button', { name: 'New webhook' }).click()
  await create.locator('.field .error').filter({ hasText: 'public' }).waitFor()
  await create.getByLabel('Address').fill(address)
  await create.getByLabel('Events').fill('tenant.* plan.created')
  await create.getByRole('button', { name: 'New webhook' }).click()
  await page.getByText('It is shown once').waitFor()
  const secret = await page.locator('.copyable code').first().textContent()
  assert.match(secret, /^whsec_/)
  await page.getByRole('button', { name: 'Done' }).click()
  await row().getByText('tenant.*').waitFor()
  await row().getByRole('button', { name: 'Test' }).click()
  const answer = page.getByRole('dialog', { name: 'What the receiver answered' })
  await answer.getByText('accepted 200').waitFor()
  await answer.getByText('thank you').waitFor()
  await answer.getByRole('button', { name: 'Done' }).click()

  // An answer that comes while another dialog is open is a note beside it.
  const late = await holdBack(page, 'POST', '**/test')
  await row().getByRole('button', { name: 'Test' }).click()
  await page.getByRole('button', { name: 'New webhook' }).click()
  await create.getByLabel('Address').fill('https://typed')
  late.go()
  await page.locator('.note').filter({ hasText: `The test of ${address}: accepted (200)` }).waitFor()
  assert.equal(await answer.count(), 0)
  assert.equal(await create.getByLabel('Address').inputValue(), 'https://typed')
  await create.getByRole('button', { name: 'Cancel' }).click()
  await page.unroute('**/test')

  await row().getByRole('button', { name: 'Rotate' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
  await page.getByText('It is shown once').waitFor()
  assert.notEqual(await page.locator('.copyable code').first().textContent(), secret)
  await page.getByRole('button', { name: 'Done' }).click()
})

test('what is refused shows in the deliveries and in the overview, and can be sent again', { skip }, async () => {
  status = 503
  await server.api.tenant({ id: 'refused', hostname: 'refused.example.com' })
  await server.api.scheduled()
  await visit(page, '#/overview')
  await page.getByRole('heading', { name: 'Failing webhooks' }).waitFor()
  await page.getByRole('link', { name: address }).click()
  await page.getByRole('heading', { name: 'Deliveries', level: 1 }).waitFor()
  const delivery = page.getByRole('row').filter({ hasText: 'tenant.created' }).first()
  await delivery.getByText('refused 503').waitFor()
  await delivery.getByText('not today').waitFor()
  status = 200
  await delivery.getByRole('button', { name: 'Send again' }).click()
  await page.locator('.note').filter({ hasText: 'It is sent again' }).waitFor()
  await server.api.scheduled()
  await visit(page, '#/webhooks')
  await row().getByRole('link').click()
  await page.getByText('accepted 200').first().waitFor()
})

test('deliveries are read in pages, and the keyboard stays on the button that turns them', { skip }, async () => {
  await page.route('**/deliveries?*', (route) => route.continue({ url: route.request().url().replace('limit=100', 'limit=1') }))
  await visit(page, '#/webhooks')
  await row().getByRole('link').click()
  const shown = (text) => page.waitForFunction((wanted) => document.querySelectorAll('tbody tr').length === 1 && document.querySelector('tbody').textContent.includes(wanted), text)
  await shown('accepted 200')
  await page.getByRole('button', { name: 'Next' }).click()
  await shown('refused 503')
  await page.waitForFunction(() => document.activeElement?.textContent === 'Next →' && document.activeElement.getAttribute('aria-disabled') === 'true')
  await page.getByRole('button', { name: 'Previous' }).click()
  await shown('accepted 200')
  await page.unroute('**/deliveries?*')
})

test('an edit of a webhook sends what has changed', { skip }, async () => {
  await visit(page, '#/webhooks')
  await row().getByRole('button', { name: 'Edit' }).click()
  const dialog = page.getByRole('dialog', { name: 'Edit webhook' })
  await dialog.getByLabel('Description').fill('Billing')
  const [{ id }] = (await server.api.expect(200, 'GET', '/webhooks')).json
  await server.api.expect(204, 'PATCH', `/webhooks/${id}`, { body: { types: ['tenant.*'] } })
  const sent = page.waitForRequest((request) => request.method() === 'PATCH')
  await dialog.getByRole('button', { name: 'Save' }).click()
  assert.deepEqual((await sent).postDataJSON(), { description: 'Billing' })
  await row().getByText('Billing').waitFor()
  const [{ types, description }] = (await server.api.expect(200, 'GET', '/webhooks')).json
  assert.deepEqual([types, description], [['tenant.*'], 'Billing'])
})

test('a webhook is disabled, enabled from a place, and deleted', { skip }, async () => {
  await visit(page, '#/webhooks')
  await row().getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('enabled').uncheck()
  await page.getByRole('button', { name: 'Save' }).click()
  await row().getByText('disabled').waitFor()
  await row().getByRole('button', { name: 'Edit' }).click()
  await page.getByLabel('enabled').check()
  await page.getByLabel('Go on from').selectOption('now')
  await page.getByRole('button', { name: 'Save' }).click()
  await row().getByText('enabled', { exact: true }).waitFor()
  await row().getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await page.getByText('There are no webhooks').waitFor()
  assert.deepEqual((await server.api.expect(200, 'GET', '/webhooks')).json, [])
  window.assertQuiet()
  await window.close()
})
