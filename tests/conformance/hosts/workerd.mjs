// A JavaScript Worker with D1. It runs the scenarios in the request's body, each on databases of its own, and responds with the result.
import { d1 } from 'tenants-core/d1'
import { runAll } from '../compare.mjs'
import { onPackage } from './package.mjs'

// No database is used twice, in whichever request.
let used = 0

export default {
  async fetch(request, env) {
    const scenarios = await request.json()
    const open = async () => {
      const database = env[`DB${used++}`]
      if (!database) throw new Error(`the set needs more than ${used - 1} databases`)
      return { database: d1(database) }
    }
    return Response.json(await runAll(scenarios, onPackage(open)))
  },
}
