// Nothing is written over what somebody else has made or changed meanwhile, and long lists are read to their end.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { holdBack, loseAnswer, noBrowser, open, signIn, visit } from './browser.mjs'
import { startConsole } from './server.mjs'

const skip = noBrowser()
const server = skip ? undefined : await startConsole()
const window = skip ? undefined : await open(server.page)
const page = window?.page
if (!skip) await signIn(page, server.key)

const row = (text) => page.getByRole('row').filter({ hasText: text })
const note = (text) => page.locator('.note').filter({ hasText: text }).first().waitFor()
const heading = (name) => page.getByRole('heading', { name, level: 1, exact: true }).waitFor()
const address = () => page.evaluate(() => location.hash)

/** Goes back from a page, and waits until it is left. */
async function leave(part) {
  await page.goBack()
  await page.waitForFunction((part) => !location.hash.includes(part), part)
}

/** The writes that the page sends while something is done. */
async function writesOf(work) {
  const writes = []
  const listen = (request) => request.method() !== 'GET' && writes.push(request)
  page.on('request', listen)
  await work()
  page.off('request', listen)
  return writes
}

test('the page of a deleted tenant becomes that of the living one, and erases nothing of it', { skip }, async () => {
  await server.api.tenant({ id: 'back', hostname: 'back.example.com' })
  await server.api.expect(204, 'DELETE', '/tenants/back')
  await visit(page, '#/tenants/back?deleted=true')
  await page.getByRole('button', { name: 'Restore' }).click()
  await note('Tenant back is restored')
  await page.getByRole('link', { name: 'back.example.com' }).waitFor()
  await page.goBack()
  await note('back is the id of a living tenant')
  await page.getByRole('link', { name: 'back.example.com' }).waitFor()
  assert.equal(await address(), '#/tenants/back')
  assert.equal(await page.getByRole('button', { name: 'Erase' }).count(), 0)

  // Another tenant takes the id while somebody types it.
  await server.api.tenant({ id: 'reborn', hostname: 'first.example.com' })
  await server.api.expect(204, 'DELETE', '/tenants/reborn')
  await visit(page, '#/tenants/reborn?deleted=true')
  await page.getByRole('button', { name: 'Erase' }).click()
  const dialog = page.getByRole('dialog', { name: 'Erase reborn' })
  await dialog.getByLabel('Type reborn to confirm').fill('reborn')
  await server.api.tenant({ id: 'reborn', hostname: 'second.example.com' })
  const writes = await writesOf(async () => {
    await dialog.getByRole('button', { name: 'Erase' }).click()
    await page.getByRole('link', { name: 'second.example.com' }).waitFor()
    await dialog.waitFor({ state: 'detached' })
    await heading('reborn')
  })
  assert.deepEqual(writes, [])
  assert.equal((await server.api.expect(200, 'GET', '/tenants/reborn')).json.hostname, 'second.example.com')
})

test('a dialog stays until its answer is there, and nothing is sent from a page that was left', { skip }, async () => {
  await server.api.tenant({ id: 'wiped', hostname: 'wiped.example.com' })
  await server.api.expect(204, 'DELETE', '/tenants/wiped')
  await visit(page, '#/tenants/wiped?deleted=true')
  await page.getByRole('button', { name: 'Erase' }).click()
  const dialog = page.getByRole('dialog', { name: 'Erase wiped' })
  await dialog.getByLabel('Type wiped to confirm').fill('wiped')
  const look = await holdBack(page, 'GET', '**/tenants/wiped')
  const writes = await writesOf(async () => {
    await dialog.getByRole('button', { name: 'Erase' }).click()
    await page.keyboard.press('Escape')
    await dialog.getByRole('button', { name: 'Cancel' }).click({ force: true })
    await dialog.waitFor()
    // The page is left before it is known whether the id is another tenant's by now.
    await leave('wiped')
    const answered = page.waitForResponse((response) => response.url().endsWith('/tenants/wiped'))
    look.go()
    await answered
    await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'))
  })
  await page.unroute('**/tenants/wiped')
  assert.deepEqual(writes, [])
  assert.equal(await page.locator('.note').filter({ hasText: 'could not do what you asked' }).count(), 0)
  assert.equal((await server.api.expect(200, 'GET', '/tenants?deleted=true')).json.filter(({ id }) => id === 'wiped').length, 1)
})

test('whoever leaves the page before a new secret is shown hears that it is lost', { skip }, async () => {
  await visit(page, '#/overview')
  await visit(page, '#/keys')
  await page.getByRole('button', { name: 'New key' }).click()
  const dialog = page.getByRole('dialog', { name: 'New key' })
  await dialog.getByLabel('Name').fill('nobody has it')
  await dialog.getByLabel('audit', { exact: true }).check()
  const create = await holdBack(page, 'POST', '**/keys')
  await dialog.getByRole('button', { name: 'New key' }).click()
  await leave('keys')
  create.go()
  await note('before the secret of key ')
  await page.unroute('**/keys')
  assert.ok((await server.api.expect(200, 'GET', '/keys')).json.some(({ name }) => name === 'nobody has it'))
})

test('an edit makes no cell anew that somebody has deleted', { skip }, async () => {
  await server.api.expect(201, 'PUT', '/cells/gone1', { body: { name: 'Gone' } })
  await visit(page, '#/overview')
  await visit(page, '#/cells')
  await page.getByRole('button', { name: 'Edit gone1' }).click()
  const dialog = page.getByRole('dialog', { name: 'Edit the cell gone1' })
  await dialog.getByLabel('Takes new tenants').uncheck()
  await server.api.expect(204, 'DELETE', '/cells/gone1')
  assert.deepEqual(await writesOf(async () => {
    await dialog.getByRole('button', { name: 'Save' }).click()
    await dialog.getByRole('alert').getByText('no longer there').waitFor()
  }), [])
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await server.api.expect(404, 'GET', '/cells/gone1')

  // The API makes it anew if it goes between the question and the write, and the page says so.
  await server.api.expect(201, 'PUT', '/cells/gone1', { body: { name: 'Gone' } })
  await visit(page, '#/overview')
  await visit(page, '#/cells')
  await page.getByRole('button', { name: 'Edit gone1' }).click()
  await dialog.getByLabel('Takes new tenants').uncheck()
  const put = await holdBack(page, 'PUT', '**/cells/gone1')
  const asked = page.waitForRequest((request) => request.method() === 'PUT')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await asked
  await server.api.expect(204, 'DELETE', '/cells/gone1')
  put.go()
  await note('it is made anew')
  await page.unroute('**/cells/gone1')
  await server.api.expect(204, 'DELETE', '/cells/gone1')
})

test('a dialog that opens again says nothing of what was refused before', { skip }, async () => {
  await server.api.tenant({ id: 'again', hostname: 'again.example.com' })
  await visit(page, '#/overview')
  await visit(page, '#/tenants/again')
  await page.getByRole('button', { name: 'Install' }).click()
  const dialog = page.getByRole('dialog', { name: 'Install the site of again' })
  await dialog.getByLabel('Username').fill('a b')
  await dialog.getByRole('button', { name: 'Install' }).click()
  await dialog.getByRole('alert').waitFor()
  assert.notEqual(await dialog.locator('.field .error').first().textContent(), '')
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await dialog.waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Install' }).click()
  assert.equal(await dialog.getByLabel('Username').inputValue(), 'a b')
  assert.equal(await dialog.getByRole('alert').count(), 0)
  assert.equal(await dialog.locator('[data-invalid]').count(), 0)
  await dialog.getByRole('button', { name: 'Cancel' }).click()
})

test('a name that no address can have is refused, and nothing else is called in its place', { skip }, async () => {
  await visit(page, '#/tenants/again?tab=hostnames')
  await page.getByRole('button', { name: 'Add a hostname' }).click()
  const dialog = page.getByRole('dialog', { name: 'Add a hostname' })
  const writes = await writesOf(async () => {
    for (const name of ['..', '.']) {
      await dialog.getByLabel('Hostname').fill(name)
      await dialog.getByRole('button', { name: 'Add a hostname' }).click()
      await dialog.getByRole('alert').getByText('No address can have this name').waitFor()
    }
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await visit(page, '#/cells')
    await page.getByRole('button', { name: 'New cell' }).click()
    const cell = page.getByRole('dialog', { name: 'New cell' })
    await cell.getByLabel('Id').fill('..')
    await cell.getByRole('button', { name: 'New cell' }).click()
    await cell.getByRole('alert').getByText('No address can have this name').waitFor()
    await cell.getByRole('button', { name: 'Cancel' }).click()
  })
  assert.deepEqual(writes, [])
})

test('a page that was left puts no hold again, and says that a new password is lost', { skip }, async () => {
  await server.api.tenant({ id: 'leaving', hostname: 'leaving.example.com' })
  await visit(page, '#/overview')
  await visit(page, '#/tenants/leaving')
  await page.getByRole('button', { name: 'Hold…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Hold leaving' })
  await dialog.getByLabel('Reason', { exact: false }).first().fill('of the operator')
  await server.api.expect(204, 'PATCH', '/tenants/leaving', { body: { labels: { a: 'b' } } })
  const put = await holdBack(page, 'PUT', '**/holds/*')
  await dialog.getByRole('button', { name: 'Put hold' }).click()
  await leave('leaving')
  assert.deepEqual(await writesOf(async () => {
    const refused = page.waitForResponse((response) => response.status() === 412)
    put.go()
    await refused
    await note('could not do what you asked')
  }), [])
  await page.unroute('**/holds/*')
  assert.deepEqual((await server.api.expect(200, 'GET', '/tenants/leaving')).json.holds, {})

  await server.api.expect(201, 'POST', '/tenants/leaving/install', { body: { username: 'admin', email: 'a@example.com', password: 'a long password' } })
  await visit(page, '#/tenants/leaving')
  await page.getByRole('button', { name: 'Reset a password' }).click()
  const reset = page.getByRole('dialog', { name: 'leaving' })
  await reset.getByLabel('Username').fill('admin')
  const patch = await holdBack(page, 'PATCH', '**/user-password-reset')
  await reset.getByRole('button', { name: 'Reset' }).click()
  await leave('leaving')
  patch.go()
  await note('reset it again to see one')
  await page.unroute('**/user-password-reset')
})

test('a request that hangs sets its dialog free after its time, all tries together', { skip }, async () => {
  await server.api.tenant({ id: 'hangs', hostname: 'hangs.example.com' })
  await visit(page, '#/tenants/hangs')
  // The 90 seconds of the page take one.
  await page.evaluate(() => {
    const timeout = AbortSignal.timeout.bind(AbortSignal)
    AbortSignal.timeout = (milliseconds) => timeout(milliseconds / 90)
  })
  await page.getByRole('button', { name: 'Hold…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Hold hangs' })
  await dialog.getByLabel('Reason', { exact: false }).first().fill('never answered')
  await holdBack(page, 'PUT', '**/holds/*')
  const writes = await writesOf(async () => {
    await dialog.getByRole('button', { name: 'Put hold' }).click()
    await dialog.getByRole('alert').getByText('The connection was lost').waitFor()
  })
  assert.equal(writes.length, 1)
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await dialog.waitFor({ state: 'detached' })
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  await page.reload()
  await heading('hangs')
})

test('what a cell has still to do is not said to be done', { skip }, async () => {
  await server.api.expect(201, 'PUT', '/cells/slow1', { body: { name: null } })
  for (const id of ['dropped', 'erased']) {
    await server.api.tenant({ id, hostname: `${id}.example.com`, cell_id: 'slow1' })
    await server.api.sql("UPDATE tenants SET has_site = 1 WHERE id = ?", id)
  }
  await visit(page, '#/tenants/dropped')
  await page.getByRole('button', { name: 'Delete' }).click()
  const dialog = page.getByRole('dialog', { name: 'Delete dropped' })
  await dialog.getByLabel('Drop the site’s tables, too').check()
  await dialog.getByLabel('Type dropped to confirm').fill('dropped')
  await dialog.getByRole('button', { name: 'Delete' }).click()
  await note('its cell drops the tables')
  await server.api.expect(204, 'DELETE', '/tenants/erased')
  await visit(page, '#/tenants/erased?deleted=true')
  await page.getByRole('button', { name: 'Erase' }).click()
  const erase = page.getByRole('dialog', { name: 'Erase erased' })
  await erase.getByLabel('Type erased to confirm').fill('erased')
  await erase.getByRole('button', { name: 'Erase' }).click()
  await note('The cell drops the tables of erased')
})

test('a hostname goes after a write of the page, which has given the tenant another version', { skip }, async () => {
  await server.api.tenant({ id: 'names', hostname: 'names.example.com' })
  await server.api.expect(201, 'PUT', '/tenants/names/hostnames/also.example.com', { body: { kind: 'alias' } })
  await visit(page, '#/tenants/names')
  await page.getByRole('tab', { name: 'Hostnames' }).click()
  const remove = page.getByRole('button', { name: 'Delete also.example.com' })
  await remove.waitFor()
  await page.getByRole('button', { name: 'Disable' }).click()
  await page.getByRole('button', { name: 'Enable' }).waitFor()
  await page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'))
  await remove.click()
  await remove.waitFor({ state: 'detached' })
  assert.equal(await page.getByRole('alert').count(), 0)
  await page.getByRole('button', { name: 'Enable' }).click()
  await page.getByRole('button', { name: 'Disable' }).waitFor()
  assert.deepEqual((await server.api.expect(200, 'GET', '/tenants/names/hostnames')).json, [])
})

test('a hold is put as the kind that was submitted', { skip }, async () => {
  await server.api.tenant({ id: 'kinds', hostname: 'kinds.example.com' })
  await visit(page, '#/tenants/kinds')
  await page.getByRole('button', { name: 'Hold…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Hold kinds' })
  await dialog.getByLabel('Kind').selectOption('maintenance')
  await dialog.getByLabel('Reason', { exact: false }).first().fill('of the operator')
  // Somebody changes something else of the tenant, so the first try is refused.
  await server.api.expect(204, 'PATCH', '/tenants/kinds', { body: { labels: { a: 'b' } } })
  const put = await holdBack(page, 'PUT', '**/holds/*')
  await dialog.getByRole('button', { name: 'Put hold' }).click()
  await dialog.getByLabel('Kind').selectOption('abuse')
  const refused = page.waitForResponse((response) => response.status() === 412)
  put.go()
  await refused
  await page.waitForFunction(() => !document.querySelector('[role=dialog] [aria-busy=true]'))
  await page.unroute('**/holds/*')
  assert.deepEqual((await server.api.expect(200, 'GET', '/tenants/kinds')).json.holds, {})
  await dialog.getByRole('button', { name: 'Cancel' }).click()
})

test('a new cell writes over none that has its id', { skip }, async () => {
  const { json: before } = await server.api.expect(201, 'PUT', '/cells/fra1', { body: { name: 'Frankfurt', service: { name: 'php-fra1', port: 8080 }, accepting: true } })
  await visit(page, '#/cells')
  await page.getByRole('button', { name: 'New cell' }).click()
  const dialog = page.getByRole('dialog', { name: 'New cell' })
  const create = dialog.getByRole('button', { name: 'New cell' })
  const id = dialog.getByLabel('Id', { exact: true })
  await id.fill('fra1')
  assert.deepEqual(await writesOf(async () => {
    await create.click()
    await dialog.getByRole('alert').getByText('There is such a cell').waitFor()
  }), [])
  assert.equal(await id.getAttribute('aria-invalid'), 'true')
  assert.match(await dialog.locator('.field .error').first().textContent(), /“fra1” is taken/)
  assert.deepEqual((await server.api.expect(200, 'GET', '/cells/fra1')).json, before)
  // Without an id, and with an impossible one, the API says what is wrong.
  for (const wrong of ['', 'new cell']) {
    await id.fill(wrong)
    await create.click()
    await page.waitForFunction(() => !document.querySelector('[role=dialog] [aria-busy=true]'))
    await dialog.getByRole('alert').waitFor()
    assert.equal(await dialog.getByText('There is such a cell').count(), 0)
  }
  // The cell of one's own request, whose answer was lost, is no other one.
  await id.fill('osl1')
  await page.route('**/cells/osl1', (route) => (route.request().method() === 'PUT' ? loseAnswer(route) : route.continue()))
  await create.click()
  await dialog.getByText('The connection was lost').waitFor()
  await page.unroute('**/cells/osl1')
  await create.click()
  await dialog.waitFor({ state: 'detached' })
  await row('osl1').waitFor()
  assert.equal((await server.api.expect(200, 'GET', '/audit?subject_type=cell&subject=osl1')).json.length, 1)
})

test('an edit of a cell or a key sends what has changed', { skip }, async () => {
  await visit(page, '#/cells')
  const body = async (dialog) => {
    const sent = page.waitForRequest((request) => request.method() !== 'GET')
    await dialog.getByRole('button', { name: 'Save' }).click()
    const json = (await sent).postDataJSON()
    await dialog.waitFor({ state: 'detached' })
    return json
  }
  await page.getByRole('button', { name: 'Edit fra1' }).click()
  const cell = page.getByRole('dialog', { name: 'Edit the cell fra1' })
  await cell.getByLabel('Takes new tenants').uncheck()
  await server.api.expect(200, 'PUT', '/cells/fra1', { body: { service: { name: 'php-new', port: 9090 } } })
  assert.deepEqual(await body(cell), { accepting: false })
  const { json } = await server.api.expect(200, 'GET', '/cells/fra1')
  assert.deepEqual([json.name, json.service, json.accepting], ['Frankfurt', { name: 'php-new', port: 9090 }, false])
  await row('php-new:9090').waitFor()
  // Nothing changed, so nothing is sent.
  await page.getByRole('button', { name: 'Edit fra1' }).click()
  assert.deepEqual(await writesOf(async () => {
    await cell.getByRole('button', { name: 'Save' }).click()
    await cell.waitFor({ state: 'detached' })
  }), [])

  // The end of an expired key is past, which no edit may set.
  const key = await server.boundKey(['plans:read'], 'expired')
  await server.api.sql("UPDATE api_keys SET expires_at = '2026-01-02 03:04:05' WHERE id = ?", key.id)
  await visit(page, '#/keys')
  await page.getByRole('button', { name: `Edit key ${key.id}`, exact: true }).click()
  const edit = page.getByRole('dialog', { name: `Edit key ${key.id}`, exact: true })
  await edit.getByLabel('Name').fill('renamed')
  assert.deepEqual(await body(edit), { name: 'renamed' })
  await row('renamed').waitFor()
})

test('a hostname is given and taken away on the version that was shown', { skip }, async () => {
  await server.api.tenant({ id: 'named', hostname: 'named.example.com' })
  await server.api.expect(201, 'PUT', '/tenants/named/hostnames/photos.named.example', { body: { kind: 'alias' } })
  await visit(page, '#/tenants/named?tab=hostnames')
  const remove = page.getByRole('button', { name: 'Delete photos.named.example' })
  await remove.waitFor()
  const meanwhile = (external_id) => server.api.expect(204, 'PATCH', '/tenants/named', { body: { external_id } })
  const settled = () => page.waitForFunction(() => !document.querySelector('.loading, [aria-busy="true"]'))
  await meanwhile('one')
  await remove.click()
  await page.getByRole('alert').waitFor()
  assert.equal((await server.api.expect(200, 'GET', '/tenants/named/hostnames')).json.length, 1)
  await settled()
  await remove.click()
  await remove.waitFor({ state: 'detached' })
  assert.deepEqual((await server.api.expect(200, 'GET', '/tenants/named/hostnames')).json, [])
  await settled()
  await page.getByRole('button', { name: 'Add a hostname' }).click()
  const dialog = page.getByRole('dialog', { name: 'Add a hostname' })
  await dialog.getByLabel('Hostname').fill('www.named.example')
  await meanwhile('two')
  await dialog.getByRole('button', { name: 'Add a hostname' }).click()
  await dialog.getByRole('alert').waitFor()
  assert.deepEqual((await server.api.expect(200, 'GET', '/tenants/named/hostnames')).json, [])
  await settled()
  await dialog.getByRole('button', { name: 'Add a hostname' }).click()
  await dialog.waitFor({ state: 'detached' })
  await row('www.named.example').waitFor()
})

test('jobs are read in pages, from the first one when the state is another', { skip }, async () => {
  await server.api.sql('DELETE FROM cell_work')
  await server.api.sql("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 201) INSERT INTO cell_work (id, tenant_id, cell_id, kind, state, created_at, expires_at) SELECT 'job-' || i, 't' || i, 'fra1', 'install', iif(i = 1, 'waiting', 'failed'), datetime('now'), datetime('now', '+1 day') FROM n")
  await visit(page, '#/cells')
  const shows = (first, last, count) => page.waitForFunction((wanted) => {
    const links = [...document.querySelectorAll('tbody a')].map((link) => link.textContent)
    return `${links[0]} ${links.at(-1)} ${links.length}` === wanted
  }, `${first} ${last} ${count}`)
  await shows('t201', 't102', 100)
  const next = page.getByRole('button', { name: 'Next' })
  await next.focus()
  await page.keyboard.press('Enter')
  await shows('t101', 't2', 100)
  await page.keyboard.press('Enter')
  await shows('t1', 't1', 1)
  // The end keeps the focus, and goes no further.
  await page.keyboard.press('Enter')
  assert.equal(await next.getAttribute('aria-disabled'), 'true')
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Next →')
  await page.getByRole('button', { name: 'Previous' }).click()
  await shows('t101', 't2', 100)
  await page.getByLabel('State').selectOption('failed')
  await shows('t201', 't102', 100)
  // A list of one page has no buttons.
  await page.getByLabel('State').selectOption('waiting')
  await shows('t1', 't1', 1)
  assert.equal(await next.count(), 0)
  window.assertQuiet()
  await window.close()
})
