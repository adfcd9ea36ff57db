// Runs each world of the component in Python, with wasmtime and sqlite3. The Python program is the host; this file sends it the
// requests and compares its responses.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { describe, test } from 'node:test'
import { root } from '../../scripts/lib/run.mjs'
import { noPython, python, wasmtimeVersion } from '../component/python.mjs'
import { runAll } from './compare.mjs'
import { apart, assertApart, report, scenarios } from './results.mjs'

const skip = noPython()

/** Kills the program after this many milliseconds. */
const LIFETIME = 600_000

// Each has a program of its own.
describe('the component in Python', { concurrency: true }, () => {
  for (const world of ['exchange', 'service']) {
    test(`the world ${world} in Python passes the conformance set`, { skip }, async () => {
      const child = spawn(python, [path.join(root, 'tests', 'conformance', 'python', 'host.py'), world], { stdio: ['pipe', 'pipe', 'inherit'], timeout: LIFETIME })
      // A program that died says so by the end of its lines.
      child.stdin.on('error', (error) => { if (error.code !== 'EPIPE') throw error })
      try {
        const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
        const ask = async (command) => {
          child.stdin.write(`${JSON.stringify(command)}\n`)
          const { value, done } = await lines.next()
          assert.ok(!done, 'the Python program exited')
          return JSON.parse(value)
        }
        const start = async ({ config }) => {
          const { refused } = await ask({ config })
          if (refused) return { refused }
          return {
            run: (statements) => ask({ statements }),
            async send(request, bytes = new Uint8Array()) {
              const { status, headers, body } = await ask({ request: { ...request, body: undefined }, body: Buffer.from(bytes).toString('base64') })
              return { status, header: (name) => headers[name], body }
            },
          }
        }
        report(`python-${world}`, { host: `The component in Python, by wasmtime: \`${world}\``, version: wasmtimeVersion, database: 'sqlite3' }, await runAll(scenarios, start))
        assertApart(await runAll(apart, start))
      } finally {
        child.stdin.end()
      }
    })
  }
})
