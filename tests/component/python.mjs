// Installs a Python with wasmtime, in the tests' own virtual environment.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import { skipUnlessCi } from '../../scripts/lib/ci.mjs'
import { programPath } from '../../scripts/lib/system.mjs'
import { root } from '../../scripts/lib/run.mjs'

const requirements = path.join(root, 'examples', 'python', 'requirements.txt')
const folder = path.join(root, 'target', 'python')

export const wasmtimeVersion = readFileSync(requirements, 'utf8').match(/^wasmtime==(\S+)$/m)[1]

/** The path of the environment's Python. */
export const python = path.join(folder, 'bin', 'python')

/**
 * Creates the environment from PyPI if there is none, and keeps it for later runs. In CI, fails instead of skipping.
 * @returns {string | false} why it cannot be created, for `{ skip }`
 */
export function noPython() {
  if (runs()) return false
  const lock = `${folder}.lock`
  mkdirSync(path.dirname(lock), { recursive: true })
  // Several test files may do this at once. A lock that stays for so long was left by one that was killed.
  for (const end = Date.now() + 240_000; !isTaken(lock) && Date.now() < end;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  try {
    return runs() ? false : created()
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

function isTaken(lock) {
  try {
    mkdirSync(lock)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  }
}

const runs = () => existsSync(python) && spawnSync(python, ['-c', `import importlib.metadata as m; assert m.version("wasmtime") == "${wasmtimeVersion}"`]).status === 0

function created() {
  const steps = [
    [programPath('python3') ?? 'python3', ['-m', 'venv', folder]],
    [python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--only-binary=:all:', '-r', requirements]],
  ]
  for (const [command, args] of steps) {
    const { status, error, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 180_000 })
    if (status === 0) continue
    const why = `no Python with wasmtime ${wasmtimeVersion}: it needs python3 with venv and pip, and a network the first time (${path.basename(command)} ${args.slice(0, 3).join(' ')}: ${error?.message ?? `${stderr}${stdout}`.trim().split('\n').at(-1)})`
    return skipUnlessCi(why)
  }
  assert.ok(runs(), `wasmtime ${wasmtimeVersion} is installed in ${folder}, but Python cannot import it`)
  return false
}
