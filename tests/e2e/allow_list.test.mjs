// CHEVERETO_TENANTS_API_IP_ALLOW_LIST restricts the API by the caller's address (API.md §2, 1.).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startApi, vectors } from './harness.mjs'

const golden = vectors('allow_list')
const api = await startApi({ vars: { CHEVERETO_TENANTS_API_IP_ALLOW_LIST: golden[0].list } })
const open = await startApi({ vars: { CHEVERETO_TENANTS_API_IP_ALLOW_LIST: '' } })
const from = (address) => ({ headers: { 'CF-Connecting-IP': address } })

for (const { name, list, address, allowed } of golden) {
  test(name, async () => {
    assert.equal(list, golden[0].list, 'all vectors use the list of this instance')
    if (allowed) await api.expect(200, 'POST', '/auth/verify', from(address))
    else await api.refuse(403, 'forbidden', 'POST', '/auth/verify', from(address))
  })
}

test('with an allow list, a request without a known address is refused', async () => {
  await api.refuse(403, 'forbidden', 'POST', '/auth/verify', { origin: api.direct })
  await api.refuse(403, 'forbidden', 'POST', '/auth/verify', { origin: api.direct, headers: { 'CF-Connecting-IP': '' } })
})

test('the allow list ignores every header but CF-Connecting-IP', async () => {
  const claims = { 'X-Forwarded-For': '192.0.2.7', 'X-Real-IP': '192.0.2.7', 'True-Client-IP': '192.0.2.7', Forwarded: 'for=192.0.2.7', 'CF-Connecting-IPv6': '2001:db8::7', 'Cf-Pseudo-IPv4': '192.0.2.7' }
  await api.refuse(403, 'forbidden', 'POST', '/auth/verify', { origin: api.direct, headers: claims })
  await api.refuse(403, 'forbidden', 'POST', '/auth/verify', { headers: { ...claims, 'CF-Connecting-IP': '203.0.113.9' } })
  await api.expect(200, 'POST', '/auth/verify', { headers: { 'X-Forwarded-For': '203.0.113.9', 'CF-Connecting-IP': '192.0.2.7' } })
})

test('the address is checked before the route, the key and the body', async () => {
  const stranger = from('203.0.113.9')
  await api.refuse(403, 'forbidden', 'GET', '/nothing/here', stranger)
  await api.refuse(403, 'forbidden', 'PUT', '/tenants', stranger)
  await api.refuse(403, 'forbidden', 'GET', '/tenants', { ...stranger, key: null, signature: null })
  await api.refuse(403, 'forbidden', 'POST', '/tenants', { ...stranger, body: 'x'.repeat(70_000) })
  await api.expect(403, 'HEAD', '/tenants', stranger)
})

test('with an empty list any address is accepted, and an unknown one too', async () => {
  for (const options of [from('203.0.113.9'), from('2001:db8::1'), { origin: open.direct }]) await open.expect(200, 'POST', '/auth/verify', options)
})
