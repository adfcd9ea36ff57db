// `npm run agent` builds tenants-agent as one file that needs no library of the system, to be copied beside a Chevereto installation.

import { join } from 'node:path';
import { environment } from './lib/environment.mjs';
import { Stop, isMain, main, quiet, root, say } from './lib/run.mjs';
import { ensure } from './setup.mjs';

const FOLDERS = { dev: 'debug', release: 'release' };

/**
 * Returns the words after `cargo` that build the agent, and the file that they make. The tests build it as it is shipped, by Cargo's quicker profile.
 * Only the last crate is told to link statically: the others are the same as in every other build, and are not compiled again.
 * @param {'dev' | 'release'} profile
 */
export function agentBuild(profile) {
  return {
    words: ['rustc', '--profile', profile, '--locked', '-p', 'tenants-agent', '--bin', 'tenants-agent', '--', '-C', 'target-feature=+crt-static'],
    file: join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), FOLDERS[profile], 'tenants-agent'),
  };
}

async function agent() {
  if (process.platform !== 'linux') throw new Stop(`tenants-agent runs on Linux, so build it there. This is ${process.platform}.`);
  await ensure({ npm: false, wasmTools: false });
  const { words, file } = agentBuild('release');
  await quiet('cargo', words, { label: 'building the agent (two to four minutes the first time)', env: environment() });
  say("Copy this file to /usr/local/bin of the installation's machine (docs/CELLS.md):");
  console.log(file);
}

if (isMain(import.meta)) await main(agent);
