// Signs in to the console (API.md §20), by the text of API.md alone.
import { createHash, createHmac, randomBytes } from 'node:crypto'

export const PATH = '/_/console/session'

/** Makes a bound key through the API. */
export async function boundKey(api, fields = {}) {
  const { json } = await api.expect(201, 'POST', '/keys', { body: { scopes: ['*'], name: 'console', ...fields, bound: true } })
  return { id: json.id, key: json.api_key, secret: json.signing_secret }
}

/** Returns the headers of a request that signs in with a bound key. */
export function signInHeaders({ key, secret }, bytes, { origin, nonce = randomBytes(16).toString('hex'), created = Math.floor(Date.now() / 1000) }) {
  const digest = bytes === '' ? {} : { 'Content-Digest': `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:` }
  const components = Object.entries({ '@method': 'POST', '@target-uri': `${origin}${PATH}`, 'x-api-key': key, ...digest }).map(([n, v]) => [n.toLowerCase(), v])
  const params = `(${components.map(([name]) => `"${name}"`).join(' ')});created=${created};nonce="${nonce}"`
  const base = [...components, ['@signature-params', params]].map(([name, value]) => `"${name}": ${value}`).join('\n')
  const signature = createHmac('sha256', secret).update(base).digest('base64')
  return { ...digest, 'Signature-Input': `s=${params}`, Signature: `s=:${signature}:`, 'Sec-Fetch-Site': 'same-origin' }
}

/** Returns the options of a request that signs in with a bound key. */
export const signIn = (key, body, options) => ({ base: '', body, key: key.key, signature: null, headers: signInHeaders(key, body === undefined ? '' : JSON.stringify(body), options) })

/** Returns what the response to it gives a browser: the session's id, its cookie, and the headers of its requests. */
export function cookieOf({ json, headers }) {
  const [cookie] = headers['set-cookie'].split('; ')
  return { ...json, cookie, headers: { Cookie: `theme=dark; ${cookie}`, 'Sec-Fetch-Site': 'same-origin', 'X-CSRF-Token': json.csrf_token } }
}
