// `node tests/conformance/make.mjs` writes the conformance set, and with names (`retries`) only those files. README.md in this folder describes
// its form.
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from '../../scripts/build.mjs'
import { bytesOf, signed } from './compare.mjs'
import { endAll, endByProgram } from '../lifetime.mjs'
import { folder, startWorker } from './worker.mjs'

/** The response headers to record if they are present, besides those that every response has. */
const TAKEN = ['accept-encoding', 'allow', 'content-security-policy', 'deprecation', 'etag', 'idempotency-replayed', 'link', 'location', 'preference-applied', 'www-authenticate', 'x-total-count']

endByProgram()
await build()
const sources = readdirSync(path.join(folder, 'sources')).filter((name) => name.endsWith('.mjs') && name !== 'source.mjs').sort()
const wanted = process.argv.slice(2).map((name) => `${name}.mjs`)
for (const name of wanted) assert.ok(sources.includes(name), `there is no sources/${name}`)
try {
  for (const name of wanted.length ? wanted : sources) await make(name)
} finally {
  await endAll()
}

async function make(name) {
  const { default: scenarios } = await import(pathToFileURL(path.join(folder, 'sources', name)).href)
  const lines = []
  for (const scenario of scenarios) lines.push(...await written(scenario))
  const file = name.replace(/\.mjs$/, '.json')
  writeFileSync(path.join(folder, file), `[\n${lines.join('\n').replace(/,$/, '')}\n]\n`)
  console.log(`${file}: ${scenarios.length} scenarios`)
}

/** Runs a scenario and returns its lines for the file, one for each step. */
async function written({ name, config, setup, steps }) {
  const host = await startWorker({ config })
  await host.run(setup)
  const lines = []
  for (const step of steps) {
    if (step.setup) {
      await host.run(step.setup)
      lines.push(step)
    } else lines.push({ name: step.name, request: step.request, expect: await taken(host, name, step) })
  }
  return [
    `{"name": ${JSON.stringify(name)}, "config": ${JSON.stringify(config)},`,
    ` "setup": [\n${setup.map((s) => `  ${JSON.stringify(s)}`).join(',\n')}\n ],`,
    ` "steps": [\n${lines.map((l) => `  ${JSON.stringify(l)}`).join(',\n')}\n ]},`,
  ]
}

async function taken(host, scenario, { name, request, expected }) {
  const answer = await host.send(await signed(request), bytesOf(request.body))
  const what = `${scenario}: ${name}: ${answer.status} ${answer.body}`
  assert.equal(answer.status, expected.status, what)
  if (expected.json !== undefined) assert.deepEqual(JSON.parse(answer.body), expected.json(JSON.parse(answer.body)), what)
  const headers = Object.fromEntries(
    ['content-type', 'x-request-id', 'cache-control', 'x-content-type-options', ...TAKEN.filter((h) => answer.header(h))].map((h) => [h, answer.header(h) ?? null]))
  // A job has a random id.
  if (headers.location) headers.location = headers.location.replace(/(?<=\/jobs\/)[0-9a-f]{32}$/, '<id>')
  if (headers.etag) headers.etag = headers.etag.replace(/(?<=\.inst(alling|alled))[0-9a-f]{32}"$/, '<id>"')
  for (const [header, value] of Object.entries(expected.headers ?? {})) {
    headers[header] ??= answer.header(header) ?? null
    assert.equal(headers[header], value, `${what}: ${header}`)
  }
  const id = headers['x-request-id']
  if (request.headers['x-request-id'] !== id) headers['x-request-id'] = '<request-id>'
  // It changes with every change of the description.
  if (headers.etag && request.target.endsWith('/openapi.json')) headers.etag = headers.etag.replace(/^"[0-9a-f]{16}"$/, '"<version>"')
  const marked = answer.body
    .replaceAll(`"request_id":"${id}"`, '"request_id":"<request-id>"')
    .replace(/"(version|schema)":"[^"]*"/g, '"$1":"<version>"')
    .replace(/"(id|job_id|lease)":"[0-9a-f]{32}"/g, '"$1":"<id>"')
    .replace(/"(created_at|updated_at|deleted_at|last_job_at|last_used_at|idle_until|expires_at|started_at|finished_at|leased_until)":"20[2-9]\d-\d\d-\d\d \d\d:\d\d:\d\d"/g, '"$1":"<time>"')
  const body = expected.generated ? marked.replace(/"password":"[^"]*"/, '"password":"<password>"') : marked
  return { status: answer.status, headers, body }
}
