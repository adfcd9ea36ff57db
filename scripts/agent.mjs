// `npm run agent` builds tenants-agent as one file that needs no library of the system, to be copied beside a Chevereto installation.

import { join } from 'node:path';
import { environment } from './lib/environment.mjs';
import { Stop, isMain, main, quiet, root, say } from './lib/run.mjs';
import { ensure } from './setup.mjs';

const targets = { x64: 'x86_64-unknown-linux-gnu', arm64: 'aarch64-unknown-linux-gnu' };

async function agent() {
  const target = targets[process.arch];
  if (process.platform !== 'linux' || target === undefined) throw new Stop(`tenants-agent runs on Linux (x64 or arm64), so build it there. This is ${process.platform} on ${process.arch}.`);
  await ensure({ npm: false, wasmTools: false });
  // Only with the target named do the flags leave alone what runs during the build.
  const flags = { [`CARGO_TARGET_${target.toUpperCase().replaceAll('-', '_')}_RUSTFLAGS`]: '-C target-feature=+crt-static' };
  await quiet('cargo', ['build', '--release', '--locked', '-p', 'tenants-agent', '--target', target], { label: 'building the agent (two to four minutes the first time)', env: environment(flags) });
  say("Copy this file to /usr/local/bin of the installation's machine (docs/CELLS.md):");
  console.log(join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), target, 'release', 'tenants-agent'));
}

if (isMain(import.meta)) await main(agent);
