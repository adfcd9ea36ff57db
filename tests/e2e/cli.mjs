// Runs the command line program, built from this checkout.
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import path from 'node:path'
import { environment } from '../../scripts/lib/environment.mjs'
import { ROOT } from './harness.mjs'

let program
/** Builds the program and returns its path. */
export function built() {
  if (!program) {
    execFileSync('cargo', ['build', '--locked', '--quiet', '-p', 'tenants-cli'], { cwd: ROOT, env: environment(), stdio: ['ignore', 'ignore', 'inherit'] })
    program = path.join(process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target'), 'debug', process.platform === 'win32' ? 'tenants.exe' : 'tenants')
  }
  return program
}

/**
 * Runs `tenants`, without any CHEVERETO_ or TENANTS_ variable of this machine.
 * @param {string[]} args
 * @param {object} [o]
 * @param {Record<string, string>} [o.vars] variables to add to the environment
 * @param {string} [o.input] standard input
 * @param {(text: string, kill: () => void) => void} [o.onOutput] called with standard output as it grows
 * @param {(text: string, kill: () => void) => void} [o.onErrors] called with standard error as it grows. `kill` kills the program together with the wrangler that it started, which would otherwise keep writing
 * @returns {Promise<{code: number | null, signal: string | null, output: string, errors: string}>}
 */
export function tenants(args, { vars = {}, input = '', onOutput, onErrors } = {}) {
  const env = { ...Object.fromEntries(Object.entries(environment()).filter(([name]) => !/^(CHEVERETO|TENANTS)_/.test(name))), TENANTS_PROJECT: ROOT, ...vars }
  return new Promise((resolve, reject) => {
    const child = spawn(built(), args, { env, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    const kill = () => child.exitCode === null && child.signalCode === null && process.kill(-child.pid, 'SIGKILL')
    process.once('exit', kill)
    let [output, errors] = ['', '']
    child.stdout.on('data', (data) => {
      output += data
      onOutput?.(output, kill)
    })
    child.stderr.on('data', (data) => {
      errors += data
      onErrors?.(errors, kill)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      process.off('exit', kill)
      resolve({ code, signal, output, errors })
    })
    // A program that does not read its input may exit before the input is written.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

/** Runs `tenants`, asserts its exit code, and returns the run. */
export async function expectTenants(code, args, options) {
  const run = await tenants(args, options)
  assert.equal(run.code, code, `tenants ${args.join(' ')}: exit code ${run.code}\n${run.errors}\n${run.output}`)
  return run
}
