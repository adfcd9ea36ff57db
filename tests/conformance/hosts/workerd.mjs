// In a JavaScript Worker, on D1: one database for each scenario. Answers the result of the scenarios it is sent.
import { d1 } from 'tenants-core/d1'
import { runAll } from '../compare.mjs'
import { onPackage } from './package.mjs'

export default {
  async fetch(request, env) {
    const scenarios = await request.json()
    return Response.json(await runAll(scenarios, onPackage(async (scenario) => ({ database: d1(env[`DB${scenarios.indexOf(scenario)}`]) }))))
  },
}
