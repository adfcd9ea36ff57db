// Runs each world of the component in JavaScript, transpiled by jco, with node:sqlite.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { doTask, emptyDatabase, exchange, instantiate, jcoVersion, noNetwork, nowSeconds, pairs, randomBytes, runBatch, sitesInMemory } from '../component/jco.mjs'
import { runAll } from './compare.mjs'
import { apart, assertApart, report, scenarios } from './results.mjs'

const database = 'node:sqlite'

/** Whether these are the errors of a configuration. */
const isRefusal = (errors) => Array.isArray(errors) && errors.length > 0 && errors.every(({ tag }) => tag === 'invalid')

/** Makes a host from a database and `ask`, which takes the component's request and returns the component's answer. */
const host = (database, ask) => {
  return {
    run: (statements) => statements.forEach(({ sql, params }) => database.prepare(sql).run(...params)),
    send({ method, target, headers, client_address: client }, bytes) {
      const body = { tag: 'bytes', val: bytes ?? new Uint8Array() }
      const { response } = ask({ method, target, client, headers: pairs(headers), body })
      return { status: response.status, header: (name) => response.headers.find((h) => h.name === name)?.value, body: response.body }
    },
    stop: () => database.close(),
  }
}

test('the world exchange in Node passes the conformance set', async () => {
  const { exchanges } = await instantiate('exchange')
  const start = ({ config }) => {
    let api
    try {
      api = exchanges.Api.create(pairs(config), true)
    } catch (errors) {
      if (!isRefusal(errors)) throw errors
      return { refused: true }
    }
    const database = emptyDatabase()
    doTask(exchanges, api, database, { tag: 'prepare-database' })
    const siteDatabase = sitesInMemory()
    return host(database, (request) => exchange(exchanges, api, database, request, siteDatabase))
  }
  report('jco-exchange', { host: 'The component in Node, by jco: `exchange`', version: jcoVersion, database }, await runAll(scenarios, start))
  assertApart(await runAll(apart, start))
})

test('the world service in Node passes the conformance set', async () => {
  let current
  let siteDatabase
  const service = await instantiate('service', {
    'tenants:api/database': { run: (batch, site) => runBatch(site === undefined ? current : siteDatabase(site), batch), hasSites: () => true },
    'tenants:api/network': noNetwork,
    'tenants:api/clock': { now: nowSeconds },
    'tenants:api/randomness': { bytes: randomBytes },
  })
  const start = ({ config }) => {
    const database = emptyDatabase()
    current = database
    siteDatabase = sitesInMemory()
    try {
      const { tag, val } = service.doTask(pairs(config), { tag: 'prepare-database' })
      assert.equal(tag, 'ok', `${val?.tag}: ${val?.val}`)
    } catch (errors) {
      if (!isRefusal(errors)) throw errors
      return { refused: true }
    }
    return host(database, (request) => service.handle(pairs(config), request))
  }
  report('jco-service', { host: 'The component in Node, by jco: `service`', version: jcoVersion, database }, await runAll(scenarios, start))
  assertApart(await runAll(apart, start))
})
