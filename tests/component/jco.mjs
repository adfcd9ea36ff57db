// Runs the component in JavaScript: jco transpiles it to a module and core WebAssembly, and `node:sqlite` runs its batches.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { transpile } from '@bytecodealliance/jco-transpile'
import { componentPath } from '../../scripts/component.mjs'
import { root } from '../../scripts/lib/run.mjs'
import { readSchema } from '../../scripts/lib/sql.mjs'

export const jcoVersion = (() => {
  const folder = path.dirname(createRequire(import.meta.url).resolve('@bytecodealliance/jco-transpile/wasm-tools'))
  return JSON.parse(readFileSync(path.join(folder, '..', 'package.json'), 'utf8')).version
})()

/** Instantiates a world's component with these imports, and returns its exports. */
export async function instantiate(world, imports = {}) {
  const folder = await transpiled(world)
  const module = await import(pathToFileURL(path.join(folder, `${world}.js`)))
  return module.instantiate((name) => WebAssembly.compile(readFileSync(path.join(folder, name))), imports)
}

/** Returns the folder of a world's transpiled component. Its name contains the component's digest, so it is never outdated. */
async function transpiled(world) {
  const component = componentPath(world)
  if (!existsSync(component)) throw new Error(`there is no ${component}; \`npm run component\` builds it`)
  const digest = createHash('sha256').update(readFileSync(component)).update(jcoVersion).digest('hex').slice(0, 16)
  const folder = path.join(path.dirname(component), `jco-${world}-${digest}`)
  if (existsSync(folder)) return folder
  const { files } = await transpile(component, { name: world, instantiation: 'async', outDir: '' })
  const unfinished = `${folder}.${process.pid}`
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(unfinished, name)), { recursive: true })
    writeFileSync(path.join(unfinished, name), bytes)
  }
  // The folder contains ES modules, and no package.json above it says so.
  writeFileSync(path.join(unfinished, 'package.json'), '{"type":"module"}\n')
  try {
    renameSync(unfinished, folder)
  } catch (error) {
    // Another test has created the folder meanwhile.
    if (!existsSync(folder)) throw error
    rmSync(unfinished, { recursive: true })
  }
  return folder
}

/** Creates a database in memory without any table. */
export const emptyDatabase = () => openDatabase(':memory:')

/** Opens a database, whose batches wait up to five seconds for another connection's transaction. */
export function openDatabase(file) {
  const database = new DatabaseSync(file, { timeout: 5000 })
  database.exec('PRAGMA foreign_keys = ON')
  return database
}

/** Creates a database in memory with the tables of a registry. */
export function freshDatabase() {
  const database = emptyDatabase()
  database.exec(readSchema(root))
  return database
}

/** Runs a batch in one transaction. Returns the component's type for the outcome. */
export function runBatch(database, batch) {
  // If the connection is in a transaction already, it is the host's own.
  let isOwn = false
  try {
    database.exec('BEGIN IMMEDIATE')
    isOwn = true
    const rows = batch.map(({ text, values }) => {
      const statement = database.prepare(text)
      statement.setReadBigInts(true)
      return statement.all(...values.map(({ val }) => val ?? null)).map((row) => Object.values(row).map(value))
    })
    database.exec('COMMIT')
    return { tag: 'ok', val: rows }
  } catch (error) {
    // Some errors end the transaction themselves.
    if (isOwn && database.isTransaction) database.exec('ROLLBACK')
    // SQLITE_BUSY and SQLITE_LOCKED; an extended result code has its primary code in the low byte.
    const tag = [5, 6].includes(error.errcode & 0xff) ? 'unavailable' : 'failed'
    return { tag: 'err', val: { tag, val: error.message } }
  }
}

function value(found) {
  if (found === null) return { tag: 'null' }
  return typeof found === 'bigint' ? { tag: 'integer', val: found } : { tag: 'text', val: found }
}

/** Converts a configuration or headers to the component's type. */
export const pairs = (object) => Object.entries(object).map(([name, value]) => ({ name, value }))

export const nowSeconds = () => BigInt(Math.floor(Date.now() / 1000))

/** Returns random bytes, by default as many as `begin` needs. */
export const randomBytes = (count = 256) => crypto.getRandomValues(new Uint8Array(count))

/** The host's network for the world `service`, where there is none. */
export const noNetwork = { resolve: () => undefined, send: () => undefined }

/** Runs a batch that an exchange or a task waits for, and returns the outcome of the work. */
export const ran = (database, batch) => ({ tag: 'batch', val: runBatch(database, batch) })

/** Does the work that an exchange or a task waits for, on a host without a network. */
function outcomeOf({ tag, val }, database, siteDatabase) {
  return tag === 'batch' ? ran(val.site === undefined ? database : siteDatabase(val.site), val.batch) : { tag: 'cannot-send' }
}

/** Sends a request through the world `exchange`, without a network, and returns its answer. `siteDatabase` returns the database of a site. */
export function exchange({ Exchange, Rest }, api, database, request, siteDatabase) {
  let step = api.begin(request, nowSeconds(), randomBytes())
  while (step.tag === 'run') step = Exchange.resume(step.val.exchange, outcomeOf(step.val.work, database, siteDatabase))
  const { afterwards } = step.tag === 'send' ? step.val : step.val.answer
  if (afterwards.length > 0) assert.equal(runBatch(database, afterwards).tag, 'ok')
  if (step.tag === 'send') return step.val
  const { answer, rest: first } = step.val
  const parts = [answer.response.body]
  for (let rest = first; rest;) {
    const part = Rest.resume(rest, runBatch(database, rest.batch()))
    parts.push(part.text)
    rest = part.rest
  }
  return { ...answer, response: { ...answer.response, body: parts.join('') }, parts: parts.length }
}

/** Does a task through the world `exchange`, without a network, and returns its result. */
export function doTask({ RunningTask }, api, database, task) {
  let step = api.beginTask(task, nowSeconds(), randomBytes())
  while (step.tag === 'run') step = RunningTask.resume(step.val.task, outcomeOf(step.val.work, database))
  return step.val
}

/** Does a task through the world `exchange` on a host with a network. `send` takes a request and the judgement of an address, and returns the status and the bytes. */
export const doTaskOnline = ({ RunningTask }, api, database, task, send) => (
  finishedOnline(RunningTask, 'task', api.beginTask(task, nowSeconds(), randomBytes()), database, send))

/** Sends a request through the world `exchange` on such a host, and returns its answer. */
export const exchangeOnline = ({ Exchange }, api, database, request, send) => (
  finishedOnline(Exchange, 'exchange', api.begin(request, nowSeconds(), randomBytes()), database, send))

async function finishedOnline(Resource, name, step, database, send) {
  while (step.tag === 'run') {
    const { work, [name]: waiting } = step.val
    const outcome = work.tag === 'batch' ? ran(database, work.val.batch) : await sent(work.val, send, (address) => waiting.mayConnectTo(address))
    step = Resource.resume(waiting, outcome)
  }
  return step.val
}

async function sent({ limitBytes: limit, timeoutMs: timeout, headers, ...request }, send, mayConnectTo) {
  const began = Date.now()
  const milliseconds = () => Date.now() - began
  try {
    const [status, body] = await send({ ...request, headers: headers.map(({ name, value }) => [name, value]), limit, timeout }, mayConnectTo)
    return { tag: 'answered', val: { status, body, milliseconds: milliseconds() } }
  } catch (error) {
    return { tag: 'failed', val: { reason: error.message, milliseconds: milliseconds() } }
  }
}

/** Returns a function that returns the database of a site, by its id: each has one in memory. */
export function sitesInMemory() {
  const sites = new Map()
  return (id) => {
    if (!sites.has(id)) sites.set(id, emptyDatabase())
    return sites.get(id)
  }
}
