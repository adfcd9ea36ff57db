// Plans: how many tenants each has, and what a change does to them before it is made.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holdBack, noBrowser, open, refuse, signIn, visit } from './browser.mjs'
import { furnish, startConsole } from './server.mjs'

const skip = noBrowser()
const server = skip ? undefined : await startConsole()
const window = skip ? undefined : await open(server.page)
const page = window?.page
if (!skip) {
  await furnish(server)
  await signIn(page, server.key)
}

test('the list has the number of tenants of each plan', { skip }, async () => {
  await visit(page, '#/plans')
  await page.waitForFunction(() => ![...document.querySelectorAll('td')].some((cell) => cell.textContent === '…'))
  const numbers = Object.fromEntries(await page.locator('tbody tr').evaluateAll((rows) => rows.map((row) => [row.querySelector('th').textContent, row.querySelector('td').textContent.trim()])))
  assert.deepEqual(numbers, { agency: '17', basic: '15', business: '17' })
})

test('the list asks no more when somebody has left it', { skip }, async () => {
  for (const id of ['p1', 'p2', 'p3', 'p4']) await server.api.plan({ id })
  await visit(page, '#/overview')
  const asked = []
  const numbers = (request) => request.url().includes('plan_id=')
  page.on('request', (request) => numbers(request) && asked.push(request))
  const held = await holdBack(page, 'GET', '**/tenants?plan_id=*')
  await page.evaluate(() => { location.hash = '#/plans' })
  await page.waitForFunction(() => document.querySelectorAll('td[aria-busy]').length === 7)
  const ended = Promise.all(asked.map((request) => request.response().catch(() => {})))
  await page.evaluate(() => { location.hash = '#/audit' })
  await page.getByRole('heading', { name: 'Audit log', level: 1 }).waitFor()
  held.go()
  await ended
  // Whatever follows those answers is sent before this.
  await page.evaluate(async () => (await fetch(location.pathname)).text())
  await page.unroute('**/tenants?plan_id=*')
  assert.equal(asked.length, 4, 'those that it asks for at once')
  for (const id of ['p1', 'p2', 'p3', 'p4']) await server.api.expect(204, 'DELETE', `/tenants-plans/${id}`)
})

test('a change shows first which tenants it reaches and what changes for them', { skip }, async () => {
  await visit(page, '#/plans/business')
  assert.ok(await page.getByRole('button', { name: 'Preview change' }).isDisabled())
  await page.getByLabel('Limits, row 2: value').fill('60')
  await page.getByRole('button', { name: 'Preview change' }).click()
  const dialog = page.getByRole('dialog', { name: 'What changes with business' })
  // atelier-nord has a limit of its own.
  await dialog.getByText('This changes settings of 16 of 17 tenants.').waitFor()
  await dialog.getByText('1 keep what they have').waitFor()
  assert.equal(await dialog.locator('tbody tr').count(), 16)
  assert.match(await dialog.getByRole('row').filter({ hasText: 'bluebird.example.com' }).textContent(), /CHEVERETO_MAX_USERS.*50.*60/)
  assert.equal((await server.api.expect(200, 'GET', '/tenants-plans/business')).json.limits.CHEVERETO_MAX_USERS, '50', 'nothing is saved yet')
  const sent = page.waitForRequest((request) => request.method() === 'PATCH')
  await dialog.getByRole('button', { name: 'Apply change' }).click()
  const request = await sent
  assert.match(request.headers()['if-match'], /^"/)
  assert.deepEqual(request.postDataJSON(), { limits: { CHEVERETO_MAX_FILES: '100000', CHEVERETO_MAX_USERS: '60' } })
  await dialog.waitFor({ state: 'hidden' })
  const settings = (await server.api.expect(200, 'GET', '/tenants/bluebird/settings')).json
  assert.equal(settings.CHEVERETO_MAX_USERS.value, '60')
})

test('two edits in a row are not a conflict, and one of somebody else’s is', { skip }, async () => {
  await visit(page, '#/plans/business')
  const save = async (value) => {
    await page.getByLabel('Limits, row 2: value').fill(value)
    await page.getByRole('button', { name: 'Preview change' }).click()
    await page.getByRole('button', { name: 'Apply change' }).click()
  }
  for (const value of ['61', '62']) {
    await save(value)
    await page.waitForFunction(() => !document.querySelector('[role=dialog]') && document.querySelector('.button.primary[type=submit]').disabled)
  }
  await server.api.expect(204, 'PATCH', '/tenants-plans/business', { body: { external_id: 'theirs' } })
  await save('63')
  const dialog = page.getByRole('dialog', { name: 'Somebody else has changed this' })
  await dialog.getByRole('row').filter({ hasText: 'theirs' }).waitFor()
  await dialog.getByRole('button', { name: 'Discard mine' }).click()
  await dialog.waitFor({ state: 'hidden' })
  assert.equal(await page.getByLabel('Limits, row 2: value').inputValue(), '62')
  assert.equal(await page.getByLabel('External id').inputValue(), 'theirs')
})

test('a plan that somebody else has changed is shown as it is now, and can be deleted then', { skip }, async () => {
  await server.api.plan({ id: 'old', limits: { CHEVERETO_MAX_USERS: '5' }, labels: { a: '1' } })
  await visit(page, '#/plans/old')
  await page.getByLabel('Labels, row 1: value').fill('mine')
  await server.api.expect(204, 'PATCH', '/tenants-plans/old', { body: { external_id: 'their-old', labels: { b: '1' } } })
  const remove = page.getByRole('dialog', { name: 'Delete the plan old' })
  const ask = async () => {
    await remove.getByLabel('Type old to confirm').fill('old')
    await remove.getByRole('button', { name: 'Delete' }).click()
  }
  await page.getByRole('button', { name: 'Delete' }).click()
  await remove.getByText('Its tenants (0) keep running').waitFor()
  // If it cannot be read, that is said.
  const stop = await refuse(page, 'GET', /tenants-plans\/old$/)
  await ask()
  await remove.getByRole('alert').getByText('The disk is full.').waitFor()
  await stop()
  await ask()
  const conflict = page.getByRole('dialog', { name: 'Somebody else has changed this' })
  await conflict.getByRole('row').filter({ hasText: 'their-old' }).waitFor()
  await conflict.getByRole('button', { name: 'Keep mine and go on' }).click()
  await remove.waitFor()
  assert.equal(await remove.getByRole('alert').count(), 0)
  assert.equal(await page.locator('form input').evaluateAll((inputs) => inputs.map((input) => input.value).join(' ')), 'their-old CHEVERETO_MAX_USERS 5 a mine b 1 ', 'one’s own edit is still there, beside theirs')
  await ask()
  await page.getByRole('heading', { name: 'Plans', level: 1 }).waitFor()
  await server.api.expect(404, 'GET', '/tenants-plans/old')
})

test('a change whose answer has no plan keeps what is on the page', { skip }, async () => {
  await server.api.plan({ id: 'dim', limits: { CHEVERETO_MAX_USERS: '5' } })
  await visit(page, '#/plans/dim')
  const where = /\/tenants-plans\/dim$/
  // As the API answers if it cannot show the plan.
  await page.route(where, (route) => {
    const { prefer, ...headers } = route.request().headers()
    return route.continue({ headers })
  })
  for (const [row, name] of [[2, 'CHEVERETO_MAX_TAGS'], [3, 'CHEVERETO_MAX_FILES']]) {
    await page.getByRole('button', { name: 'Add a row' }).first().click()
    await page.getByLabel(`Limits, row ${row}: name`).fill(name)
    await page.getByLabel(`Limits, row ${row}: value`).fill('7')
    await page.getByRole('button', { name: 'Preview change' }).click()
    await page.getByRole('button', { name: 'Apply change' }).click()
    await page.waitForFunction(() => !document.querySelector('[role=dialog]') && document.querySelector('.button.primary[type=submit]').disabled)
  }
  await page.unroute(where)
  const { limits } = (await server.api.expect(200, 'GET', '/tenants-plans/dim')).json
  assert.deepEqual(limits, { CHEVERETO_MAX_USERS: '5', CHEVERETO_MAX_TAGS: '7', CHEVERETO_MAX_FILES: '7' })
})

test('a key that may only read plans can type nothing, and is offered no change', { skip }, async () => {
  const other = await open(server.page)
  await signIn(other.page, await server.boundKey(['plans:read'], 'plan reader'))
  await visit(other.page, '#/plans/business')
  await other.page.getByLabel('Limits, row 1: name').waitFor()
  assert.deepEqual(await other.page.locator('main form input').evaluateAll((inputs) => inputs.filter((input) => !input.readOnly).length), 0)
  assert.equal(await other.page.locator('main form button').count(), 0)
  await other.page.getByLabel('External id').press('Enter')
  assert.equal(await other.page.getByRole('dialog').count(), 0)
  other.assertQuiet()
  await other.close()
})

test('a key that may not read tenants is told so, and no number', { skip }, async () => {
  const other = await open(server.page)
  await signIn(other.page, await server.boundKey(['plans:write'], 'plans only'))
  await visit(other.page, '#/plans/business')
  await other.page.getByRole('button', { name: 'Delete' }).click()
  const text = await other.page.getByRole('dialog', { name: 'Delete the plan business' }).locator('p').first().textContent()
  assert.match(text, /cannot say how many/)
  assert.doesNotMatch(text, /\d/)
  other.assertQuiet()
  await other.close()
})

test('a plan is created, and deleted when its id is typed', { skip }, async () => {
  await visit(page, '#/plans/~new')
  await page.getByLabel('Id', { exact: true }).fill('spare')
  await page.getByRole('button', { name: 'Add a row' }).first().click()
  await page.getByLabel('Limits, row 1: name').fill('lower_case')
  await page.getByLabel('Limits, row 1: value').fill('1')
  await page.getByRole('button', { name: 'New plan' }).click()
  await page.locator('.pairs .error').filter({ hasText: 'lower_case' }).waitFor()
  await page.getByLabel('Limits, row 1: name').fill('CHEVERETO_MAX_USERS')
  await page.getByRole('button', { name: 'New plan' }).click()
  await page.getByRole('heading', { name: 'spare', level: 1, exact: true }).waitFor()
  await page.getByRole('button', { name: 'Delete' }).click()
  const dialog = page.getByRole('dialog', { name: 'Delete the plan spare' })
  await dialog.getByLabel('Type spare to confirm').fill('spare')
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await page.getByRole('heading', { name: 'Plans', level: 1 }).waitFor()
  await server.api.expect(404, 'GET', '/tenants-plans/spare')
  window.assertQuiet()
  await window.close()
})
