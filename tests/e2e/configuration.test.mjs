// Variables and secrets: the Worker serves nothing on a half-read configuration (API.md §2, §9).
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { freshSecrets, startApi } from './harness.mjs'

const anyRequest = [
  ['POST', '/auth/verify'], ['GET', '/tenants'], ['POST', '/tenants', { body: {} }], ['GET', '/nothing'], ['PUT', '/tenants'], ['GET', '/tenants', { key: null, signature: null }], ['DELETE', '/tenants-plans/a'],
]

describe('a variable that does not parse makes every request a 503, and the log names the variable', () => {
  const unreadable = [
    ['CHEVERETO_TENANTS_API_IP_ALLOW_LIST', '10.0.0.0/33'], ['CHEVERETO_TENANTS_API_IP_ALLOW_LIST', '127.0.0.1,localhost'],
    ['CHEVERETO_TENANTS_API_IP_ALLOW_LIST', ' , '], ['CHEVERETO_TENANTS_API_REQUEST_SECRET', 'fifteen-bytes-x'],
    ['CHEVERETO_ENCRYPTION_KEY', 'not-base64-at-all!'], ['CHEVERETO_ENCRYPTION_KEY', Buffer.alloc(31, 7).toString('base64')],
    ['CHEVERETO_ENCRYPTION_KEY_PREVIOUS', Buffer.alloc(33, 7).toString('base64')], ['CHEVERETO_TENANTS_DB_ISOLATION_MODE', 'row-by-row'], ['CHEVERETO_TENANT_ENFORCED', '{"A":'],
  ]
  for (const [name, value] of unreadable) {
    test(`${name}=${value}`, async () => {
      const api = await startApi({ vars: { [name]: value } })
      for (const request of anyRequest) {
        const { text } = await api.refuse(503, 'not_configured', ...request)
        assert.doesNotMatch(text, /CHEVERETO/, 'the response does not name the variable')
        assert.ok(!text.includes(value))
      }
      await api.logged(name)
      api.assertNothingSecretLogged(...(name.startsWith('CHEVERETO_ENCRYPTION') ? [value] : []))
    })
  }
})

describe('a missing secret', () => {
  test('without the key secret, every route that needs a key is a 503', async () => {
    const name = 'CHEVERETO_TENANTS_API_KEY_SECRET'
    for (const value of [undefined, '']) {
      const api = await startApi({ vars: { [name]: value } })
      for (const [method, where] of [['POST', '/auth/verify'], ['GET', '/tenants'], ['DELETE', '/tenants/a']]) {
        // This key's MAC uses the empty secret. The Worker must not treat a missing secret as an empty one.
        const { text } = await api.refuse(503, 'not_configured', method, where)
        assert.doesNotMatch(text, /CHEVERETO/)
      }
      await api.logged(name)
      await api.refuse(404, 'not_found', 'GET', '/nothing')
    }
  })

  test('without the request secret, every route that needs a signature is a 503', async () => {
    const name = 'CHEVERETO_TENANTS_API_REQUEST_SECRET'
    for (const value of [undefined, '']) {
      const api = await startApi({ vars: { [name]: value } })
      for (const [method, where] of [['POST', '/auth/verify'], ['GET', '/tenants'], ['POST', '/tenants']]) {
        const { text } = await api.refuse(503, 'not_configured', method, where)
        assert.doesNotMatch(text, /CHEVERETO/)
      }
      await api.logged(name)
      await api.refuse(401, 'unauthorized', 'GET', '/tenants', { key: null })
    }
  })

  test('without the encryption key, requests that use env are a 503 and write nothing, and all others work', async () => {
    const name = 'CHEVERETO_ENCRYPTION_KEY'
    const api = await startApi({ vars: { [name]: undefined } })
    await api.expect(200, 'POST', '/auth/verify')
    const { id } = await api.tenant()
    await api.expect(200, 'GET', `/tenants/${id}`)
    const refused = { ...api.fresh(), env: { A: '1' } }
    const { text } = await api.refuse(503, 'not_configured', 'POST', '/tenants', { body: refused })
    assert.doesNotMatch(text, /CHEVERETO/)
    await api.logged(name)
    await api.expect(404, 'GET', `/tenants/${refused.id}`)
    await api.refuse(503, 'not_configured', 'PATCH', `/tenants/${id}`, { body: { is_enabled: false, env: { A: '1' } } })
    assert.equal((await api.expect(200, 'GET', `/tenants/${id}`)).json.is_enabled, true)
    await api.refuse(422, 'invalid', 'POST', '/tenants', { body: { ...refused, id: '' } }, ['/id'])
    await api.sql("UPDATE tenants SET env = 'something sealed' WHERE id = ?", id)
    await api.refuse(503, 'not_configured', 'GET', `/tenants/${id}`)
    await api.expect(204, 'PATCH', `/tenants/${id}`, { body: { is_enabled: false } })
  })
})

test('a full configuration is accepted', async () => {
  const api = await startApi({ vars: {
    CHEVERETO_TENANTS_API_IP_ALLOW_LIST: '127.0.0.1, ::1/128', CHEVERETO_ENCRYPTION_KEY_PREVIOUS: freshSecrets().CHEVERETO_ENCRYPTION_KEY, CHEVERETO_TENANT_ENFORCED: '{"CHEVERETO_MAX_USERS":"1"}',
    CHEVERETO_TENANTS_DB_ISOLATION_MODE: 'table', CHEVERETO_DB_TABLE_PREFIX: 'chv_', CHEVERETO_SERVICE_NAME: 'php', CHEVERETO_SERVICE_PORT: '8080', CHEVERETO_INTERNAL_HOSTNAME: 'root.example.com',
    CHEVERETO_PROXY_ENTRYPOINT: 'websecure', CHEVERETO_PROXY_IP_ALLOW_LIST: '10.0.0.0/8, cloudflare',
  } })
  await api.expect(200, 'POST', '/auth/verify')
})
