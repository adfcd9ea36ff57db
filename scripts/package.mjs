// `node scripts/package.mjs` builds the npm package `tenants-core` and packs it into build/npm/.

import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { environment, tool } from './lib/environment.mjs';
import { fingerprint } from './lib/inputs.mjs';
import { compiledInto, notices, packages } from './lib/licences.mjs';
import { isMain, main, quiet, root, say } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** Files and folders from which the package is built. */
const inputs = [
  'crates/wasm', 'crates/core/Cargo.toml', 'crates/core/src', 'migrations', 'docs/openapi.json', 'Cargo.toml', 'Cargo.lock', 'rust-toolchain.toml', '.cargo/config.toml', 'scripts/package.mjs', 'scripts/lib/environment.mjs', 'scripts/lib/inputs.mjs', 'scripts/lib/licences.mjs', 'scripts/lib/versions.mjs',
  'package-lock.json', 'LICENSE-MIT', 'LICENSE-APACHE',
];

const folder = join(root, 'build', 'npm');
/** The unpacked package. */
export const packageFolder = join(folder, 'tenants-core');
/** The packed package, as it is published. */
export const tarball = join(folder, 'tenants-core.tgz');
const stamp = join(folder, '.inputs');

/** The largest allowed size of the gzipped `.wasm`: 460 KiB. */
export const SIZE_LIMIT_BYTES = 460 * 1024;

export async function makePackage() {
  await ensure();
  const wanted = fingerprint(inputs);
  if (!existsSync(tarball) || !existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
    say('Building the npm package (a minute or two the first time)…');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(packageFolder, { recursive: true });
    await compile();
    assemble();
    await declare();
    await pack();
    writeFileSync(stamp, wanted);
  }
  await install();
  say(`tenants-core: ${kib(wasmSize())} KiB of wasm, gzipped (at most ${kib(SIZE_LIMIT_BYTES)}); ${kib(readFileSync(tarball).length)} KiB packed`);
}

/** The size of the gzipped `.wasm`, in bytes. */
export const wasmSize = () => gzipSync(readFileSync(join(packageFolder, wasm)), { level: 9 }).length;

const kib = (bytes) => (bytes / 1024).toFixed(1);
const wasm = 'tenants_core_bg.wasm';

/** Compiles the crate to wasm, and generates the JavaScript around it. */
async function compile() {
  const env = environment();
  const target = 'wasm32-unknown-unknown';
  await quiet('cargo', ['build', '--locked', '--profile', 'npm', '-p', 'tenants-wasm', '--target', target], { label: 'cargo', env });
  const built = join(env.CARGO_TARGET_DIR ?? join(root, 'target'), target, 'npm', 'tenants_wasm.wasm');
  await quiet(tool('wasm-bindgen'), [built, '--target', 'bundler', '--out-name', 'tenants_core', '--out-dir', folder], { label: 'wasm-bindgen', env });
  // rustc's target enables these features by default; wasm-opt does not. Optimize for size: each call is short, but every start
  // compiles the whole file.
  const features = ['bulk-memory', 'nontrapping-float-to-int', 'sign-ext', 'mutable-globals', 'reference-types', 'multivalue'].map((name) => `--enable-${name}`);
  await quiet(join(root, 'node_modules', '.bin', 'wasm-opt'), ['-Oz', ...features, join(folder, wasm), '-o', join(packageFolder, wasm)], { label: 'wasm-opt', env });
}

function assemble() {
  const put = (name, text) => writeFileSync(join(packageFolder, name), text);
  const source = join(root, 'crates', 'wasm', 'js');
  for (const name of readdirSync(source).filter((name) => name.endsWith('.js'))) copyFileSync(join(source, name), join(packageFolder, name));
  for (const name of ['LICENSE-MIT', 'LICENSE-APACHE']) copyFileSync(join(root, name), join(packageFolder, name));
  put('THIRD-PARTY-NOTICES.txt', notices(compiledInto('tenants-wasm'), packages()));
  copyFileSync(join(root, 'crates', 'wasm', 'README.md'), join(packageFolder, 'README.md'));
  copyFileSync(join(folder, 'tenants_core_bg.js'), join(packageFolder, 'tenants_core_bg.js'));
  copyFileSync(join(folder, 'tenants_core.d.ts'), join(packageFolder, 'index.d.ts'));
  put('wasm.js', `// ${wasm}, in base64.\nexport const base64 = '${readFileSync(join(packageFolder, wasm)).toString('base64')}'\n`);
  const { version } = readFileSync(join(root, 'Cargo.toml'), 'utf8').match(/^\[workspace\.package\][^[]*?^version = "(?<version>[^"]+)"/ms).groups;
  const { name, ...manifest } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  put('package.json', `${JSON.stringify({ name, version, ...manifest }, null, 2)}\n`);
}

/** Generates the adapters' types from their JSDoc comments. tsc also checks those types against the code. */
async function declare() {
  const names = ['better-sqlite3', 'bun-sqlite', 'd1', 'node-sqlite', 'sqlite-wasm'];
  const config = join(folder, 'tsconfig.json');
  const compilerOptions = { allowJs: true, checkJs: true, strict: true, declaration: true, emitDeclarationOnly: true, skipLibCheck: true, types: [], target: 'es2022', module: 'nodenext' };
  writeFileSync(config, JSON.stringify({ compilerOptions, files: names.map((name) => join(packageFolder, `${name}.js`)) }));
  await quiet(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', config], { label: 'tsc' });
}

async function pack() {
  const [{ filename }] = JSON.parse(await quiet('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', folder, packageFolder], { label: 'npm pack', env: environment() }));
  copyFileSync(join(folder, filename), tarball);
}

/** Unpacks the tarball into node_modules, as `npm install` would, so that tests and examples import it by name. */
async function install() {
  const target = join(root, 'node_modules', 'tenants-core');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  await quiet('tar', ['-xzf', tarball, '-C', target, '--strip-components=1'], { label: 'tar' });
}

if (isMain(import.meta)) await main(makePackage);
