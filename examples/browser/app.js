// A page that is its own server: the core answers requests, and SQLite's official wasm keeps the tenants in this browser's storage.
import sqlite3InitModule from '@sqlite.org/sqlite-wasm'
import { TenantsApi, prepareDatabase, sign } from 'tenants-core'
import { sqliteWasm } from 'tenants-core/sqlite-wasm'

const sqlite3 = await sqlite3InitModule()
// Keep the database in `localStorage`, so that it survives a reload.
const database = sqliteWasm(new sqlite3.oo1.JsStorageDb('local'))

/** Returns a value from this browser's storage. Makes it on the first visit. */
async function kept(name, make) {
  const text = localStorage.getItem(name)
  if (text !== null) return JSON.parse(text)
  const made = await make()
  localStorage.setItem(name, JSON.stringify(made))
  return made
}

const random = () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))
const config = await kept('tenants-config', () => (
  { CHEVERETO_TENANTS_API_KEY_SECRET: random(), CHEVERETO_TENANTS_API_REQUEST_SECRET: random(), CHEVERETO_ENCRYPTION_KEY: random() }))
const api = new TenantsApi(config)
await prepareDatabase(database)
const { key } = await kept('tenants-key', () => api.createApiKey(database, { name: 'this browser' }))

const element = (id) => document.getElementById(id)

/** Sends one signed request to the API in this page. */
async function call(method, path, value) {
  const body = value === undefined ? undefined : JSON.stringify(value)
  const signature = sign(config.CHEVERETO_TENANTS_API_REQUEST_SECRET, body)
  const headers = { 'X-API-Key': key, 'X-Signature': signature, ...(body ? { 'Content-Type': 'application/json' } : {}) }
  const response = await api.fetch(new Request(`${location.origin}/_/api/4${path}`, { method, headers, body }), database)
  const text = await response.text()
  element('exchange').textContent = `${method} /_/api/4${path}\nX-Signature: ${signature}\n${body ? `\n${body}\n` : ''}\n${response.status}\n${text}`
  const answer = text === '' ? undefined : JSON.parse(text)
  element('problem').hidden = response.ok
  element('problem').textContent = response.ok ? '' : (answer.errors?.map((e) => e.detail).join('; ') ?? answer.detail)
  return { ok: response.ok, answer }
}

async function show() {
  const shown = element('exchange').textContent
  const { answer } = await call('GET', '/tenants')
  if (shown !== 'none yet') element('exchange').textContent = shown
  element('tenants').replaceChildren(...answer.map(item))
}

function item({ id, hostname, is_enabled: enabled }) {
  const li = document.createElement('li')
  li.classList.toggle('off', !enabled)
  const name = document.createElement('span')
  name.append(Object.assign(document.createElement('strong'), { textContent: id }), Object.assign(document.createElement('small'), { textContent: hostname }))
  li.append(name, action(enabled ? 'Switch off' : 'Switch on', ['PATCH', `/tenants/${id}`, { is_enabled: !enabled }]), action('Delete', ['DELETE', `/tenants/${id}`]))
  return li
}

function action(text, request) {
  const button = Object.assign(document.createElement('button'), { textContent: text, type: 'button' })
  button.addEventListener('click', async () => {
    const { ok } = await call(...request)
    if (ok) await show()
  })
  return button
}

element('create').addEventListener('submit', async (event) => {
  event.preventDefault()
  const { id, hostname } = Object.fromEntries(new FormData(event.target))
  const { ok } = await call('POST', '/tenants', { id, hostname, is_enabled: true })
  if (!ok) return
  event.target.reset()
  await show()
})

await show()
document.body.dataset.ready = 'true'
