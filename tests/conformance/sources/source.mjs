// Helpers for the sources: fixed keys, signatures by Node's own cryptography, short forms of requests.
import { createHash, createHmac, createPrivateKey, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'

export const CURRENT = '/_/api/4'
export const LEGACY = '/api/4/_'
export const BODY_LIMIT = 64 * 1024

const REQUEST_SECRET = 'the request secret of the conformance set'
const KEY_SECRET = 'the key secret of the conformance set'

/** Secrets that only these files use. */
export const SECRETS = {
  CHEVERETO_TENANTS_API_KEY_SECRET: KEY_SECRET,
  CHEVERETO_TENANTS_API_REQUEST_SECRET: REQUEST_SECRET,
  CHEVERETO_ENCRYPTION_KEY: Buffer.from('the sealing key, of 32 bytes too').toString('base64'),
}

/** Returns a key with a valid MAC (API.md §2). Derives its bytes from the id instead of randomness, so that the files stay the same. */
const keyOf = (id, secret = KEY_SECRET) => {
  const bytes = createHash('sha256').update(`key ${id}`).digest().subarray(0, 16)
  const mac = createHmac('sha256', secret).update(`chv_${id}_`).update(bytes).digest()
  return `chv_${id}_${Buffer.concat([bytes, mac]).toString('base64url')}`
}
export const KEYS = { good: keyOf(1), deleted: keyOf(2), expired: keyOf(3), unknown: keyOf(999), forged: keyOf(1, 'another secret'), malformed: 'chv_1_short' }

/** Returns the signing secret of a bound key (API.md §13). */
export const signingSecretOf = (key) => createHmac('sha256', KEY_SECRET).update(`tenants signing ${key}`).digest('hex')
/** Makes the id's key a bound one. */
export const bindKey = (id) => sql("UPDATE api_keys SET digest = 'bound:' || digest, is_bound = 1 WHERE id = ?1", id)

const row = (id, name, expiresAt = null, deletedAt = null) => ({
  sql: 'INSERT INTO api_keys (id, name, digest, created_at, expires_at, deleted_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)',
  params: [id, name, createHash('sha256').update(keyOf(id)).digest('hex'), '2026-01-02 03:04:05', expiresAt, deletedAt],
})
// A database begins with a random epoch, which is a part of every ETag.
const EPOCH = { sql: "UPDATE registry SET epoch = '0123456789abcdef'", params: [] }
const ROWS = [EPOCH, row(1, 'good', '9999-12-31 23:59:59'), row(2, 'deleted', null, '2026-01-03 00:00:00'), row(3, 'expired', '2026-01-03 00:00:00')]

// The legacy dialect's key. Its seed is fixed, so that the files come out the same each time.
const LEGACY_KEY = createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), createHash('sha256').update('legacy').digest()]), format: 'der', type: 'pkcs8',
})
/** The public half of the key, in the form of the variable. */
export const LEGACY_PUBLIC = Buffer.from(LEGACY_KEY.export({ format: 'jwk' }).x, 'base64url').toString('base64')

/** Makes a scenario. {@link request} and {@link sql} make its `steps`. */
export const scenario = (name, config, ...steps) => ({ name, config: { ...SECRETS, ...config }, setup: ROWS, steps: steps.flat(Infinity) })

/** Returns this many labels. The number of the first one is `first`. */
export const labels = (count, first = 0) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${first + i}`, '']))

export const sql = (text, ...params) => ({ setup: [{ sql: text, params }] })

const vector = (name) => JSON.parse(readFileSync(new URL(`../../vectors/${name}.json`, import.meta.url), 'utf8'))
export { vector as vectors }

/**
 * Makes a request, with a key and a signature unless the options differ (`null` omits a header).
 * @param {object} [o]
 * @param {unknown} [o.body] text and `{repeat, times}` are kept as they are, bytes become base64, anything else becomes JSON
 * @param {unknown} [o.json] the members that the response's body must have; or a function from the actual body to the expected one
 */
export function request(name, status, method, where, { body, headers = {}, key = KEYS.good, signature, signed, address, signing, base = CURRENT, json, code, pointers, answer = {}, generated } = {}) {
  const form = body === undefined || typeof body === 'string' || body.repeat ? body : Buffer.isBuffer(body) ? { base64: body.toString('base64') } : JSON.stringify(body)
  const bytes = signed ?? (form === undefined ? '' : form.repeat && form.times ? form.repeat.repeat(form.times) : form.base64 ? body : form)
  const own = base === LEGACY ? sign(null, Buffer.from(bytes), LEGACY_KEY).toString('base64') : createHmac('sha256', REQUEST_SECRET).update(bytes).digest('hex')
  const all = {
    'x-api-key': key,
    'x-signature': signature === undefined ? own : signature,
    'content-type': form === undefined ? null : 'application/json',
    ...headers,
  }
  return {
    name,
    request: {
      method,
      target: base + where,
      headers: Object.fromEntries(Object.entries(all).filter(([, v]) => v !== null)),
      ...(form === undefined ? {} : { body: form }),
      ...(signing === undefined ? {} : { signing }),
      ...(address === undefined ? {} : { client_address: address }),
    },
    expected: { status, headers: answer, generated, json: expectation({ json, code, pointers }) },
  }
}

/** Makes a request that must be refused with this problem. `pointers` are the fields that it names, in order. */
export const refuse = (name, status, code, method, where, options = {}, pointers = undefined) => request(name, status, method, where, { ...options, code, pointers })

function expectation({ json, code, pointers }) {
  if (code !== undefined) {
    return (got) => ({ ...got, code, ...(pointers ? { errors: pointers.map((at, i) => ({ ...got.errors?.[i], [at.startsWith('/') ? 'pointer' : 'parameter']: at })) } : {}) })
  }
  if (json === undefined) return undefined
  return typeof json === 'function' ? json : (got) => Array.isArray(json) ? json.map((one, i) => ({ ...got[i], ...one })) : { ...got, ...json }
}
