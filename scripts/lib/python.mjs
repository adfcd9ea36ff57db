// Installs packages from PyPI into a virtual environment of the tests' own.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { skipUnlessCi } from './ci.mjs'
import { root } from './run.mjs'
import { programPath } from './system.mjs'

/**
 * An environment below `target/`, which later runs use again.
 * @param {string} name the folder's name, with a version in it
 * @param {string} requirements the file of packages, all of them, with their versions
 * @param {(folder: string) => boolean} works whether the environment is there and works
 */
export function environment(name, requirements, works) {
  const folder = path.join(root, 'target', name)
  const python = path.join(folder, 'bin', 'python')
  /**
   * Creates the environment if there is none. In CI, fails instead of skipping.
   * @returns {string | false} why it cannot be created, for `{ skip }`
   */
  const missing = () => {
    if (works(folder)) return false
    const steps = [
      [programPath('python3') ?? 'python3', ['-m', 'venv', '--clear', folder]],
      [python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--only-binary=:all:', '--no-deps', '-r', requirements]],
    ]
    for (const [command, args] of steps) {
      const { status, error, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 180_000 })
      if (status === 0) continue
      return skipUnlessCi(`no ${name}: it needs python3 with venv and pip, and a network the first time (${path.basename(command)} ${args.slice(0, 3).join(' ')}: ${error?.message ?? `${stderr}${stdout}`.trim().split('\n').at(-1)})`)
    }
    return works(folder) ? false : skipUnlessCi(`${name} is installed in ${folder}, but does not start`)
  }
  return { folder, python, missing }
}
