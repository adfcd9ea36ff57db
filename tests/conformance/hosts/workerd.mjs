// A JavaScript Worker with D1. It runs the scenarios in the request's body, each on its own database, and responds with the result.
import { d1 } from 'tenants-core/d1'
import { runAll } from '../compare.mjs'
import { onPackage } from './package.mjs'

export default {
  async fetch(request, env) {
    const scenarios = await request.json()
    return Response.json(await runAll(scenarios, onPackage(async (scenario) => ({ database: d1(env[`DB${scenarios.indexOf(scenario)}`]) }))))
  },
}
