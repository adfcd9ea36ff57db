// Installs Schemathesis from PyPI, in the tests' own virtual environment.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { environment } from '../../scripts/lib/python.mjs'
import { folder } from './description.mjs'

const requirements = path.join(folder, 'requirements.txt')
const version = readFileSync(requirements, 'utf8').match(/^schemathesis==(\S+)$/m)[1]
const program = (at) => path.join(at, 'bin', 'schemathesis')
const own = environment(`schemathesis-${version}`, ['-r', requirements], (at) => existsSync(program(at))
  && spawnSync(program(at), ['--version'], { encoding: 'utf8', timeout: 60_000 }).stdout?.includes(version) === true)

/** The program. */
export const schemathesis = program(own.folder)

/**
 * Creates the environment if there is none, and keeps it for later runs. In CI, fails instead of skipping.
 * @returns {string | false} why it cannot be created, for `{ skip }`
 */
export const noSchemathesis = own.missing
