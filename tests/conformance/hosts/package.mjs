// The npm package as a host of the conformance set, on any platform with Request and Response.
import { TenantsApi, prepareDatabase } from 'tenants-core'
import { checkAdapter } from './adapter.mjs'

/** @param {(scenario: object) => Promise<{database: object, close?(): unknown}>} open opens a new, empty database */
export const onPackage = (open) => async (scenario) => {
  const { database, close } = await open(scenario)
  await prepareDatabase(database)
  await checkAdapter(database)
  const sites = new Map()
  const siteDatabase = async (id) => {
    if (!sites.has(id)) sites.set(id, await open(scenario))
    return sites.get(id).database
  }
  let api
  try {
    api = new TenantsApi(scenario.config, { log() {}, siteDatabase })
  } catch (error) {
    if (error.code !== 'invalid_configuration') throw error
    await close?.()
    return { refused: true }
  }
  return {
    run: (statements) => database.batch(statements),
    async send({ method, target, headers, client_address: clientAddress }, bytes) {
      const request = new Request(`http://tenants.test${target}`, { method, headers, body: bytes })
      // A page may not set the cookie or `Sec-Fetch-Site` of a Request, and its headers drop them. Headers by themselves do not.
      if (Object.keys(headers).some((name) => !request.headers.has(name))) Object.defineProperty(request, 'headers', { value: new Headers(headers) })
      const response = await api.fetch(request, database, { clientAddress })
      return { status: response.status, header: (name) => response.headers.get(name), body: await response.text() }
    },
    async stop() {
      await close?.()
      for (const site of sites.values()) await site.close?.()
    },
  }
}
