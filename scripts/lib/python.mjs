// Installs packages from PyPI into a virtual environment of the tests' own.
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { skipUnlessCi } from './ci.mjs'
import { root } from './run.mjs'
import { programPath } from './system.mjs'

/**
 * An environment below `target/`, which later runs use again.
 * @param {string} name the folder's name, with a version in it, or a path
 * @param {string[]} packages what pip installs: names with their versions, or `-r` and a file of them
 * @param {(folder: string) => boolean} works whether the environment is there and works
 * @param {{ dependencies?: boolean }} [options] whether pip adds what the packages depend on, if they do not name all of it
 */
export function environment(name, packages, works, { dependencies = false } = {}) {
  const folder = path.resolve(root, 'target', name)
  const python = path.join(folder, 'bin', 'python')
  const title = path.basename(folder)
  /**
   * Creates the environment if there is none. In CI, fails instead of skipping.
   * @returns {string | false} why it cannot be created, for `{ skip }`
   */
  const missing = () => {
    if (works(folder)) return false
    return alone(`${folder}.lock`, () => (works(folder) ? false : created()))
  }
  const created = () => {
    const steps = [
      [programPath('python3') ?? 'python3', ['-m', 'venv', '--clear', folder]],
      [python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--only-binary=:all:', ...(dependencies ? [] : ['--no-deps']), ...packages]],
    ]
    for (const [command, args] of steps) {
      const { status, error, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 180_000 })
      if (status === 0) continue
      return skipUnlessCi(`no ${title}: it needs python3 with venv and pip, and a network the first time (${path.basename(command)} ${args.slice(0, 3).join(' ')}: ${error?.message ?? `${stderr}${stdout}`.trim().split('\n').at(-1)})`)
    }
    return works(folder) ? false : skipUnlessCi(`${title} is installed in ${folder}, but does not start`)
  }
  return { folder, python, missing }
}

/** Does something while no other test file does it. */
function alone(lock, work) {
  mkdirSync(path.dirname(lock), { recursive: true })
  // A lock that stays for so long was left by one that was killed.
  for (const end = Date.now() + 240_000; !isTaken(lock) && Date.now() < end;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  try {
    return work()
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
