// Runs the conformance set in Deno, with its node:sqlite. Prints the result.
import { runAll } from '../compare.mjs'
import { apart, scenarios } from '../results.mjs'
import { onNodeSqlite } from './node.mjs'

console.log(JSON.stringify({ version: Deno.version.deno, result: await runAll(scenarios, onNodeSqlite), ofApart: await runAll(apart, onNodeSqlite) }))
