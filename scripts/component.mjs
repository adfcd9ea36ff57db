// `npm run component` builds crates/component into one WebAssembly component per world, in target/component/.

import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { environment, nodeForWrangler } from './lib/environment.mjs';
import { fingerprint } from './lib/inputs.mjs';
import { compiledInto, notices, packages } from './lib/licences.mjs';
import { Stop, isMain, main, quiet, root, say } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** The WIT worlds. The crate has a Cargo feature of the same name for each. */
export const worlds = ['exchange', 'service'];

/** The largest allowed size of one component, gzipped. A host that embeds a component downloads this much. */
export const LIMIT_KIB = 470;

const folder = join(root, 'target', 'component');

/** The path of a world's component. */
export const componentPath = (world) => join(folder, `${world}.wasm`);

/** The licences of the crates that are compiled into the components. */
export const noticesPath = join(folder, 'THIRD-PARTY-NOTICES.txt');

const inputs = ['crates/component', 'crates/core/Cargo.toml', 'crates/core/src', 'migrations', 'docs/openapi.json', 'Cargo.toml', 'Cargo.lock', 'rust-toolchain.toml', '.cargo/config.toml', 'scripts/component.mjs', 'scripts/lib/environment.mjs', 'scripts/lib/licences.mjs', 'package-lock.json'];
/** Holds the fingerprint of the inputs of the last successful build. */
const stamp = join(folder, '.inputs');

export async function buildComponents() {
  await ensure();
  const wanted = fingerprint(inputs);
  const built = existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && worlds.every((world) => existsSync(componentPath(world)));
  if (!built) {
    mkdirSync(folder, { recursive: true });
    for (const world of worlds) await build(world);
    writeFileSync(noticesPath, notices(compiledInto('tenants-component'), packages()));
    writeFileSync(stamp, wanted);
  }
  for (const world of worlds) checkSize(world);
}

async function build(world) {
  const target = 'wasm32-unknown-unknown';
  await quiet('cargo', ['build', '--locked', '--profile', 'npm', '-p', 'tenants-component', '--target', target, '--no-default-features', '--features', world], {
    label: `the component of the world ${world}`,
    env: environment(),
  });
  const core = join(folder, `${world}.core.wasm`);
  // Cargo writes both worlds to the same file name, so copy this one before the next build overwrites it.
  copyFileSync(join(root, 'target', target, 'npm', 'tenants_component.wasm'), core);
  await quiet(nodeForWrangler(), [join(root, 'node_modules', 'binaryen', 'bin', 'wasm-opt'), '-Oz', ...features, core, '-o', core], { label: 'wasm-opt', env: environment() });
  const { componentNew } = await import('@bytecodealliance/jco-transpile/wasm-tools');
  writeFileSync(componentPath(world), await componentNew(readFileSync(core), []));
}

/** Rust's wasm32 target enables these by default, and every component runtime supports them. */
const features = ['bulk-memory', 'mutable-globals', 'nontrapping-float-to-int', 'sign-ext', 'reference-types', 'multivalue'].map((name) => `--enable-${name}`);

function checkSize(world) {
  const bytes = readFileSync(componentPath(world));
  const kib = (size) => (size / 1024).toFixed(1);
  const gzipped = gzipSync(bytes, { level: 9 }).length;
  say(`  ${world.padEnd(9)} ${kib(bytes.length)} KiB, gzipped ${kib(gzipped)} KiB (at most ${LIMIT_KIB})`);
  if (gzipped > LIMIT_KIB * 1024) throw new Stop(`the component of the world ${world} is too large: ${gzipped} bytes gzipped; at most ${LIMIT_KIB * 1024} are allowed`);
}

if (isMain(import.meta)) await main(buildComponents);
