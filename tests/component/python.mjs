// Installs a Python with wasmtime, in the tests' own virtual environment.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { environment } from '../../scripts/lib/python.mjs'
import { root } from '../../scripts/lib/run.mjs'

const requirements = path.join(root, 'examples', 'python', 'requirements.txt')

export const wasmtimeVersion = readFileSync(requirements, 'utf8').match(/^wasmtime==(\S+)$/m)[1]

const own = environment('python', ['-r', requirements], (folder) => {
  const python = path.join(folder, 'bin', 'python')
  return existsSync(python) && spawnSync(python, ['-c', `import importlib.metadata as m; assert m.version("wasmtime") == "${wasmtimeVersion}"`]).status === 0
}, { dependencies: true })

/** The path of the environment's Python. */
export const { python } = own

/**
 * Creates the environment from PyPI if there is none, and keeps it for later runs. In CI, fails instead of skipping.
 * @returns {string | false} why it cannot be created, for `{ skip }`
 */
export const noPython = own.missing
