// `npm run -s tenants -- <command>`: builds the command line program if need be, and runs it.
//
// Standard output is the program's own (a script may read it); what is said on the way goes to standard error.

import { join } from 'node:path';
import { environment } from './lib/environment.mjs';
import { isMain, main, quiet, root, show } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** Makes sure that the program is there and not older than its source. Resolves with its path. */
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

/** What the program is told of the project: where it is. Secrets it looks for itself (docs/CLI.md). */
const cliEnvironment = () => ({ TENANTS_PROJECT: root, ...environment() });

/** Runs `tenants` with its output on show; resolves with its exit code. */
export async function tenants(args) {
  const program = await buildCli();
  // Paths among the arguments are meant from where the user stands; npm itself has gone to the project's folder.
  return show(program, args, { env: cliEnvironment(), cwd: process.env.INIT_CWD ?? process.cwd(), stdin: 'inherit' });
}

/** Runs `tenants` and resolves with what it printed. */
export async function tenantsOutput(args) {
  const program = await buildCli();
  return quiet(program, args, { env: cliEnvironment() });
}

if (isMain(import.meta)) await main(() => tenants(process.argv.slice(2)));
