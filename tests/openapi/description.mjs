// Reads docs/openapi.json, and checks responses by it: status, headers and body.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'

export const file = fileURLToPath(new URL('../../docs/openapi.json', import.meta.url))
export const description = JSON.parse(readFileSync(file, 'utf8'))

/** Headers of HTTP itself, which the description leaves out, and `Allow`: a 405 is no operation's. */
const OF_HTTP = new Set(['allow', 'connection', 'content-length', 'content-type', 'date', 'keep-alive', 'transfer-encoding', 'vary', 'cf-cache-status', 'server'])

// A response may gain members, so the description does not forbid others. Here a member that it does not name is an error.
const strict = structuredClone(description)
for (const schema of Object.values(strict.components.schemas)) close(schema)
const ajv = new Ajv2020({ strict: false, allErrors: true })
ajv.addSchema(strict, 'openapi')

function close(schema) {
  if (schema === null || typeof schema !== 'object') return
  if (schema.type === 'object' && schema.properties) schema.additionalProperties ??= false
  for (const value of Object.values(schema)) close(value)
}

/** Follows a reference. */
export const resolve = (value) => (value?.$ref ? value.$ref.slice(2).split('/').reduce((at, name) => at[name.replaceAll('~1', '/').replaceAll('~0', '~')], description) : value)

const paths = Object.keys(description.paths).map((template) => ({
  template,
  pattern: new RegExp(`^${template.replace(/[.*+?^$()|[\]\\]/g, '\\$&').replace(/\{\w+\}/g, '[^/]+')}$`),
}))

/** Every operation, with its method and path. */
export const operations = Object.entries(description.paths).flatMap(([template, item]) => Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path: template, operation })))

const pointer = (...names) => names.map((name) => `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
const validators = new Map()
const validator = (at) => {
  if (!validators.has(at)) validators.set(at, ajv.compile({ $ref: `openapi#${encodeURI(at)}` }))
  return validators.get(at)
}

/**
 * Asserts that a response is as described. A path or a method that is not described has no operation, so its response may be a problem only.
 * @param {string} target path and query
 * @param {{status: number, headers: Record<string, string>, json?: unknown}} answer
 */
export function assertDescribed(method, target, { status, headers, json }) {
  const what = `${method} ${target}: ${status}`
  const [where] = target.split('?')
  const found = paths.find(({ pattern }) => pattern.test(where))
  const name = (method === 'HEAD' ? 'GET' : method).toLowerCase()
  // Visitors of a held tenant may use any method.
  const operation = found && description.paths[found.template][found.template === '/_/held/{id}' ? 'get' : name]
  if (!operation) {
    const expected = found ? [403, 404, 405, 503] : [403, 404, 503]
    assert.ok(expected.includes(status), `${what}: an undescribed ${found ? 'method' : 'path'}`)
    if (json) assertValid(validator('/components/schemas/Problem'), json, what)
    return
  }
  const at = pointer('paths', found.template, name, 'responses', status)
  const response = resolve(operation.responses[status])
  assert.ok(response, `${what}: the description of ${operation.operationId} has no such status`)
  const described = Object.fromEntries(Object.entries(response.headers ?? {}).map(([header, value]) => [header.toLowerCase(), resolve(value)]))
  for (const [header, { required, schema }] of Object.entries(described)) {
    const value = headers[header]
    if (value === undefined) assert.ok(!required, `${what}: ${header} is missing`)
    else assertValid(ajv.compile(schema), schema.type === 'integer' ? Number(value) : value, `${what}: ${header}`)
  }
  // A test's own module in front of the Worker may add headers.
  for (const header of Object.keys(headers).filter((one) => !one.startsWith('x-test-'))) assert.ok(header in described || OF_HTTP.has(header), `${what}: the description of ${operation.operationId} has no header ${header}`)
  if (json === undefined) return
  const type = headers['content-type']
  assert.ok(response.content?.[type], `${what}: the description of ${operation.operationId} has no ${type}`)
  const own = operation.responses[status].$ref?.slice(1) ?? at
  assertValid(validator(`${own}${pointer('content', type, 'schema')}`), json, what)
}

function assertValid(validate, value, what) {
  assert.ok(validate(value), `${what} is not as described: ${JSON.stringify(validate.errors)}\n${JSON.stringify(value)}`)
}

export const folder = path.dirname(fileURLToPath(import.meta.url))
