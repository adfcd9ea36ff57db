// `npm run console` builds the console: the wasm that signs, the types of docs/openapi.json, and the page, in build/console/.

import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { environment, nodeForWrangler, tool } from './lib/environment.mjs';
import { fingerprint } from './lib/inputs.mjs';
import { compiledInto, notices, packages } from './lib/licences.mjs';
import { Stop, isMain, main, quiet, root, say } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** At most so much JavaScript is sent to a browser, gzipped. The wasm is not counted. */
export const SCRIPT_LIMIT_BYTES = 150 * 1024;

const room = join(root, 'console');
const folder = join(root, 'build', 'console');
/** Vite and tsc read these. Git ignores them. */
const made = join(room, 'src', 'made');
const wasm = 'tenants_signer_bg.wasm';

/** The sources of the signer's wasm. Of the core these are the files that it uses: it is not compiled anew for every change of a route. */
const signerInputs = ['crates/signer', 'crates/core/Cargo.toml', 'crates/core/src/lib.rs', 'crates/core/src/value', 'crates/core/src/crypto', ...['content_digest', 'signature_input', 'signed', 'structured', 'target_uri'].map((name) => `crates/core/src/wire/${name}.rs`), 'Cargo.toml', 'Cargo.lock', 'rust-toolchain.toml', 'scripts/lib/versions.mjs'];
const inputs = [...signerInputs, 'console/src', 'console/public', 'console/index.html', 'console/package-lock.json', 'console/tsconfig.json', 'console/vite.config.js', 'docs/openapi.json', 'scripts/console.mjs', 'scripts/lib/licences.mjs', 'deny.toml'];
const stamp = join(root, 'build', '.console-inputs');

/** Builds the console, if a source has changed since the last time. */
export async function buildConsole() {
  await ensure();
  await makeSources();
  const wanted = fingerprint(inputs);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted && existsSync(join(folder, 'index.html'))) return;
  say('Building the console (some seconds)…');
  rmSync(stamp, { force: true });
  // The server may be reading the old files, so the new ones are complete before they take their place.
  const next = join(root, 'build', 'console.next');
  rmSync(next, { recursive: true, force: true });
  await quiet(nodeForWrangler(), [join(room, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--outDir', next, '--logLevel', 'warn'], { label: 'vite', cwd: room, env: { ...process.env, NODE_ENV: 'production' } });
  writeFileSync(join(next, 'NOTICES.txt'), consoleNotices());
  checkSize(next);
  rmSync(folder, { recursive: true, force: true });
  renameSync(next, folder);
  writeFileSync(stamp, wanted);
}

/** Checks the types of the page's sources. */
export async function checkConsoleTypes() {
  await quiet(process.execPath, [join(room, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', room], { label: 'tsc', cwd: room });
}

/** Makes what the page's sources import and git does not have: the signer and the API's types. */
export async function makeSources() {
  mkdirSync(made, { recursive: true });
  await once('signer', signerInputs, compileSigner, join(made, wasm));
  await once('types', ['docs/openapi.json', 'console/package-lock.json'], makeTypes, join(made, 'api.d.ts'));
}

/** Does a piece of work unless its inputs are those of the last time. */
async function once(name, sources, work, output) {
  const note = join(made, `.${name}`);
  const wanted = fingerprint(sources);
  if (existsSync(output) && existsSync(note) && readFileSync(note, 'utf8') === wanted) return;
  rmSync(note, { force: true });
  await work();
  writeFileSync(note, wanted);
}

async function compileSigner() {
  say('Compiling what signs in the console (seconds after a build of the Worker, otherwise about two minutes)…');
  // As for the Worker (scripts/build.mjs): with the same profile and flags, cargo compiles the core once for both.
  const env = environment({ CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS: '-C target-feature=+simd128' });
  const target = 'wasm32-unknown-unknown';
  await quiet('cargo', ['build', '--locked', '--release', '-p', 'tenants-signer', '--target', target], { label: 'cargo', env });
  const built = join(env.CARGO_TARGET_DIR ?? join(root, 'target'), target, 'release', 'tenants_signer.wasm');
  const generated = join(root, 'build', 'signer');
  await quiet(tool('wasm-bindgen'), [built, '--target', 'bundler', '--out-name', 'tenants_signer', '--out-dir', generated], { label: 'wasm-bindgen', env });
  const features = ['bulk-memory', 'nontrapping-float-to-int', 'sign-ext', 'mutable-globals', 'reference-types', 'multivalue', 'simd'].map((name) => `--enable-${name}`);
  await quiet(join(root, 'node_modules', '.bin', 'wasm-opt'), ['-Oz', ...features, join(generated, wasm), '-o', join(made, wasm)], { label: 'wasm-opt', env });
  cpSync(join(generated, 'tenants_signer_bg.js'), join(made, 'tenants_signer_bg.js'));
}

async function makeTypes() {
  await quiet(nodeForWrangler(), [join(room, 'node_modules', 'openapi-typescript', 'bin', 'cli.js'), join(root, 'docs', 'openapi.json'), '-o', join(made, 'api.d.ts')], { label: 'openapi-typescript', cwd: room });
}

/** The licences of everything that a browser gets: npm packages, and the crates in the wasm. */
function consoleNotices() {
  const { packages: locked } = JSON.parse(readFileSync(join(room, 'package-lock.json'), 'utf8'));
  // As for crates (scripts/licences.mjs).
  const allowed = [...readFileSync(join(root, 'deny.toml'), 'utf8').match(/^allow = \[([^\]]*)\]/m)[1].matchAll(/"([^"]+)"/g)].map(([, name]) => name);
  const parts = [];
  for (const [path, { dev, license, version }] of Object.entries(locked)) {
    if (path === '' || dev) continue;
    if (!allowed.includes(license)) throw new Stop(`console/package-lock.json: ${path} ${version} has the licence ${license}; deny.toml allows ${allowed.join(', ')}`);
    const files = readdirSync(join(room, path)).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    parts.push(`${path.replace(/^.*node_modules\//, '')} ${version} (${license})\n\n${files.map((file) => readFileSync(join(room, path, file), 'utf8').trim()).join('\n\n')}\n`);
  }
  return `${parts.join(`\n${'-'.repeat(80)}\n\n`)}\n${notices(compiledInto('tenants-signer'), packages())}`;
}

/** The size of all JavaScript, gzipped, in bytes. */
export function scriptSize(of = folder) {
  return readdirSync(of, { recursive: true }).filter((name) => name.endsWith('.js')).reduce((sum, name) => sum + gzipSync(readFileSync(join(of, name)), { level: 9 }).length, 0);
}

function checkSize(of) {
  const size = scriptSize(of);
  const kib = (bytes) => (bytes / 1024).toFixed(1);
  if (size > SCRIPT_LIMIT_BYTES) throw new Stop(`the console has ${kib(size)} KiB of JavaScript, gzipped; at most ${kib(SCRIPT_LIMIT_BYTES)} are allowed`);
  say(`  console: ${kib(size)} KiB of JavaScript, gzipped (at most ${kib(SCRIPT_LIMIT_BYTES)})`);
}

if (isMain(import.meta)) await main(buildConsole);
