// Installs Schemathesis from PyPI, in the tests' own virtual environment.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { skipUnlessCi } from '../../scripts/lib/ci.mjs'
import { root } from '../../scripts/lib/run.mjs'
import { programPath } from '../../scripts/lib/system.mjs'
import { folder } from './description.mjs'

const requirements = path.join(folder, 'requirements.txt')
const version = readFileSync(requirements, 'utf8').match(/^schemathesis==(\S+)$/m)[1]
const environment = path.join(root, 'target', `schemathesis-${version}`)

/** The program. */
export const schemathesis = path.join(environment, 'bin', 'schemathesis')

/**
 * Creates the environment if there is none, and keeps it for later runs. In CI, fails instead of skipping.
 * @returns {string | false} why it cannot be created, for `{ skip }`
 */
export function noSchemathesis() {
  const runs = () => existsSync(schemathesis) && spawnSync(schemathesis, ['--version'], { encoding: 'utf8', timeout: 60_000 }).stdout?.includes(version)
  if (runs()) return false
  const python = path.join(environment, 'bin', 'python')
  const steps = [
    [programPath('python3') ?? 'python3', ['-m', 'venv', '--clear', environment]],
    [python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-input', '--only-binary=:all:', '--no-deps', '-r', requirements]],
  ]
  for (const [command, args] of steps) {
    const { status, error, stderr, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 180_000 })
    if (status === 0) continue
    return skipUnlessCi(`no Schemathesis ${version}: it needs python3 with venv and pip, and a network the first time (${path.basename(command)} ${args.slice(0, 3).join(' ')}: ${error?.message ?? `${stderr}${stdout}`.trim().split('\n').at(-1)})`)
  }
  return runs() ? false : skipUnlessCi(`Schemathesis ${version} is installed in ${environment}, but does not start`)
}
