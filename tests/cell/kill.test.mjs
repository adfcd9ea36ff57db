// `kill -9` of the agent at every point of an installation, with the command left running: one administrator, one job that is done, and the
// caller's retry gets the 201. The tests run side by side, since each of them waits for a lease to end.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { agentProgram, noCell, startMariaDb, until } from './parts.mjs'
import { startRig } from './rig.mjs'

const skip = noCell({ database: true })
if (!skip) agentProgram()
const database = skip ? undefined : await startMariaDb()
const { api, front, cell, tenant } = skip ? {} : await startRig({ database })

/** A point of an installation: until when to wait before the kill, and how often the job is leased in all. */
const points = {
  'before the command, with the lease taken': {
    // The Worker leases the job, and its answer is lost.
    prepare: ({ id }) => front.losing.add(`/cells/${id}/jobs/lease`),
    reached: async ({ id }) => (await jobOf(id)).state === 'running',
    attempts: 2,
  },
  'in the command, before its first table': {
    slow: [3, 0], reached: ({ id, agent }) => agent.calls().includes(`install ${id}`),
    attempts: 2,
  },
  'in the command, after the administrator': { slow: [0, 3], reached: ({ id }) => users(id).length === 1, attempts: 2 },
  'after the command, before its report': {
    prepare: ({ id }) => front.refusing.add(id),
    reached: ({ agent }) => agent.events('job_not_reported').length > 0,
    attempts: 2,
  },
  'after its report, whose answer is lost': {
    prepare: ({ id }) => front.losing.add(`finish of ${id}`),
    reached: async ({ id }) => (await jobOf(id)).state === 'done',
    attempts: 1,
  },
}

const users = (id) => database.rowsSoFar(`SELECT name FROM \`chv_${id}_users\``)
const jobOf = async (id) => {
  const { json } = await api.expect(200, 'GET', `/jobs?tenant=${id}`)
  assert.ok(json.length <= 1, 'one job')
  return json[0]
}

/** The tenant whose job a report is about. */
const jobs = new Map()
const tenantOf = (url) => jobs.get(/\/jobs\/([^/]+)\/finish$/.exec(url)?.[1])

if (!skip) {
  Object.assign(front, {
    losing: new Set(), refusing: new Set(),
    lose: (_, url) => [...front.losing].some((what) => url.endsWith(what) || what === `finish of ${tenantOf(url)}`),
    refuse: (_, url) => front.refusing.has(tenantOf(url)),
  })
}

// One after the other, since two keys that are made at the same time may want the same id.
const cells = []
for (const number of skip ? [] : Object.keys(points).keys()) cells.push(await cell(`k${number}`, { env: { TENANTS_AGENT_LEASE_SECONDS: '5' } }))

describe('kill -9 of the agent', { skip, concurrency: true }, () => {
  Object.entries(points).forEach(([name, { prepare, slow = [0.5, 0], reached, attempts }], number) => test(name, async () => {
    const id = `k${number}`
    const { agent } = cells[number]
    await tenant(id, id)
    agent.slow('install', ...slow)
    agent.start()
    await agent.event('redis_written')
    const request = { body: { username: 'admin', email: 'admin@example.com', password: 'correct horse' } }
    const ask = () => api.call('POST', `/tenants/${id}/install`, request)
    prepare?.({ id, agent })
    const first = ask()
    const { id: job_id } = await until(() => jobOf(id), 'the job')
    jobs.set(job_id, id)
    await until(() => reached({ id, agent }), 'the point')
    agent.child.kill('SIGKILL')
    await agent.ended
    front.losing.delete(`/cells/${id}/jobs/lease`)
    front.losing.delete(`finish of ${id}`)
    front.refusing.delete(id)
    // The next agent starts at once, while the command of the first one may still run.
    agent.start()
    // The caller asks again, as one whose connection broke off does. Once the job is done, the first answer is the one to have.
    for (const answer of await Promise.all(attempts > 1 ? [first, ask()] : [first])) {
      assert.equal(answer.status, 201, answer.text)
      assert.deepEqual(answer.json, { id, username: 'admin', email: 'admin@example.com' })
    }
    assert.deepEqual(users(id), [['admin']])
    const job = await jobOf(id)
    assert.deepEqual([job.state, job.attempts, job.error], ['done', attempts, null])
    assert.equal(agent.calls().filter((call) => call === `installed ${id}`).length, 1)
    await agent.stop()
  }))
})
