// `npm run -s tenants -- <command>` builds the command line program if necessary, and runs it.
//
// Only the program writes to standard output, which a script may read. The build reports its progress on standard error.

import { join } from 'node:path';
import { environment } from './lib/environment.mjs';
import { isMain, main, quiet, root, show } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** Builds the program if it is missing or older than its source. Resolves with its path. */
async function buildCli() {
  await ensure({ wasmTools: false });
  const targetFolder = process.env.CARGO_TARGET_DIR ?? join(root, 'target');
  await quiet('cargo', ['build', '--release', '--locked', '-p', 'tenants-cli'], {
    label: 'building the command line program (a minute or two the first time)',
    everyMs: 4_000,
    env: environment(),
  });
  return join(targetFolder, 'release', process.platform === 'win32' ? 'tenants.exe' : 'tenants');
}

/** Tells the program where the project is. It finds the secrets itself (docs/CLI.md). */
const cliEnvironment = () => ({ TENANTS_PROJECT: root, ...environment() });

/** Runs `tenants` and shows its output. Resolves with its exit code. */
export async function tenants(args) {
  const program = await buildCli();
  // Paths in the arguments are relative to the user's folder, but npm has changed to the project's folder.
  return show(program, args, { env: cliEnvironment(), cwd: process.env.INIT_CWD ?? process.cwd(), stdin: 'inherit' });
}

/** Runs `tenants` and resolves with its standard output. `extra` changes its environment. */
export async function tenantsOutput(args, extra = {}) {
  const program = await buildCli();
  return quiet(program, args, { env: { ...cliEnvironment(), ...extra } });
}

if (isMain(import.meta)) await main(() => tenants(process.argv.slice(2)));
