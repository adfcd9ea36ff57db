// `npm run build`, and wrangler.toml's build command: worker-build makes WebAssembly and its JavaScript, in build/, and Vite makes the console.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildConsole } from './console.mjs';
import { ensureConsole } from './lib/console.mjs';
import { environment, tool } from './lib/environment.mjs';
import { fingerprint } from './lib/inputs.mjs';
import { isMain, main, quiet, root, say } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** The sources of the Worker. A folder means every file below it. */
const inputs = ['src', 'crates/core/Cargo.toml', 'crates/core/src', 'migrations', 'docs/openapi.json', 'Cargo.toml', 'Cargo.lock', 'rust-toolchain.toml', '.cargo/config.toml', 'scripts/build.mjs', 'scripts/lib/environment.mjs', 'scripts/lib/inputs.mjs', 'scripts/lib/versions.mjs', 'package-lock.json'];

/** The inputs of the last successful build. In build/, so that it goes when the build goes. */
const stamp = join(root, 'build', '.inputs');

export async function build() {
  await ensure();
  ensureConsole();
  const wanted = fingerprint(inputs);
  // wrangler calls this at every start and every saved file; without a change worker-build would still take seconds.
  if (outputsExist() && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('Building the Worker (about two minutes the first time, seconds later)…');
  await quiet(tool('worker-build'), ['--release'], {
    label: 'worker-build',
    env: environment({
      CUSTOM_SHIM: join(root, 'src', 'shim.js'),
      // workerd has them always; sealing and opening take a fifth less.
      CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: '-C target-feature=+simd128',
    }),
  });
  writeFileSync(stamp, wanted);
}

function outputsExist() {
  return ['shim.mjs', 'index.wasm'].every((name) => existsSync(join(root, 'build', 'worker', name)));
}

if (isMain(import.meta)) {
  await main(async () => {
    await build();
    // wrangler calls this for a server, too: the console that it serves is never older than its sources.
    await buildConsole();
  });
}
