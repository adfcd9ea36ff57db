// Cells (API.md §15) on the built Worker: an agent follows the feed, and requests wait for its jobs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startApi } from './harness.mjs'

const api = await startApi({ vars: { TENANTS_JOB_WAIT_SECONDS: '5' } })
const admin = { username: 'Admin_1', email: 'admin@example.com', password: 'päss 🐘 "word"' }
const get = async (path) => (await api.expect(200, 'GET', path)).json
const onCell = (id) => api.expect(201, 'POST', '/tenants', { body: { id, hostname: `${id}.example.com`, is_enabled: true, cell_id: 'eu' } })

/** Leases jobs until there is one, and ends it. */
async function work(state) {
  for (let tries = 0; tries < 50; tries++) {
    const { jobs } = (await api.expect(200, 'POST', '/cells/eu/jobs/lease', { body: { max: 1, seconds: 60 } })).json
    if (jobs.length > 0) {
      await api.expect(200, 'POST', `/jobs/${jobs[0].id}/finish`, { body: { lease: jobs[0].lease, state } })
      return jobs[0]
    }
    await sleep(50)
  }
  throw new Error('no job came')
}

/** Reads the feed to its end, as an agent that has applied it. Returns the last page. */
async function follow() {
  let page = await get('/cells/eu/tenants?agent=one')
  page = await get(`/cells/eu/tenants?agent=one&after=${page.cursor}`)
  return page
}

await api.expect(201, 'PUT', '/cells/eu', { body: { name: 'Europe' } })

test('a request waits for the cell, and is answered as one without a cell', async () => {
  await onCell('site')
  const [installed, job] = await Promise.all([api.expect(201, 'POST', '/tenants/site/install', { body: admin }), work('done')])
  assert.deepEqual(installed.json, { id: 'site', username: 'Admin_1', email: 'admin@example.com' })
  assert.deepEqual([job.kind, job.input], ['install', admin])
  assert.deepEqual((await get('/tenants/site')).site, { state: 'installed', job_id: job.id })
  await api.refuse(409, 'conflict', 'POST', '/tenants/site/install', { body: admin })

  const [reset, next] = await Promise.all([api.expect(200, 'PATCH', '/tenants/site/user-password-reset', { body: { username: 'admin_1' } }), work('done')])
  assert.deepEqual(reset.json, next.input)
  assert.deepEqual((await get(`/jobs/${next.id}`)).result, next.input)

  await follow()
  const dropping = api.expect(204, 'DELETE', '/tenants/site', { body: { drop_tables: true } })
  for (let tries = 0; !(await get('/cells/eu/tenants')).gone.includes('site'); tries++) {
    assert.ok(tries < 50, 'the tenant leaves the feed')
    await sleep(50)
  }
  await follow()
  assert.equal((await work('done')).kind, 'drop')
  await dropping
})

test('an idle poll is a 304, and a change ends it', async () => {
  const { cursor } = await follow()
  const poll = (etag) => api.call('GET', `/cells/eu/tenants?agent=one&after=${cursor}`, { headers: { 'If-None-Match': etag } })
  const { etag } = (await poll('"x"')).headers
  assert.equal((await poll(etag)).status, 304)
  await onCell('poll')
  const { status, json } = await poll(etag)
  assert.deepEqual([status, json.tenants.map(({ id }) => id)], [200, ['poll']])
})

test('a job that takes longer than the request waits is a 202, and the same request joins it', async () => {
  await onCell('slow')
  const begun = Date.now()
  const { json, headers } = await api.expect(202, 'POST', '/tenants/slow/install', { body: admin })
  assert.ok(Date.now() - begun > 4_000, 'it waited')
  assert.equal(headers.location, `/_/api/4/jobs/${json.id}`)
  const [joined, job] = await Promise.all([api.expect(201, 'POST', '/tenants/slow/install', { body: admin }), work('done')])
  assert.deepEqual([job.id, joined.json.id], [json.id, 'slow'])
})
