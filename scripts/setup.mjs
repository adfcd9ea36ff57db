// `npm run setup`, and the first thing every other command does: installs whatever is missing, and is done in a moment where nothing is.
//
// Everything comes from registries (npm, crates.io, rustup's own) and nothing from release pages, which many networks do not reach;
// hence the two tools that are compiled here. It never asks anything.

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { environment, nodeForWrangler, rustToolchain, tool, toolsFolder } from './lib/environment.mjs';
import { Stop, isMain, main, quiet, root, say } from './lib/run.mjs';
import { CARGO_DENY, NODE_FOR_WRANGLER, WASM_BINDGEN_CLI, WORKER_BUILD } from './lib/versions.mjs';

/**
 * Installs what is missing of the parts named.
 * @param {{npm?: boolean, rust?: boolean, wasmTools?: boolean}} parts all of them unless told; `wasmTools` needs `rust`
 */
export async function ensure({ npm = true, rust = true, wasmTools = rust } = {}) {
  if (npm) await ensurePackages();
  if (rust) await ensureRust();
  if (wasmTools) await ensureWasmTools();
}

// npm's packages

async function ensurePackages() {
  await ensurePackagesOf(root, 'about half a minute');
  // The end-to-end tests check responses by the description. Its programs have a lock file of their own.
  await ensurePackagesOf(join(root, 'tests', 'openapi'), 'a few seconds');
  // So has the console, whose types are made by a program that needs an older TypeScript.
  await ensurePackagesOf(join(root, 'console'), 'a few seconds');
  if (nodeForWrangler() === undefined) {
    throw new Stop(
      `wrangler needs Node ${NODE_FOR_WRANGLER.join('.')} or later, this is ${process.version}, and npm has no Node for ${process.platform}-${process.arch} to put beside it.\n` +
        'Install a newer Node (https://nodejs.org) and run this again.',
    );
  }
}

async function ensurePackagesOf(folder, duration) {
  if (packagesInstalled(folder)) return;
  say(`Installing the npm packages that ${relative(root, join(folder, 'package-lock.json'))} names (${duration})…`);
  // `ci` installs exactly the lock file and never writes to it. The options override the user's own npm settings: this project
  // needs its development and optional packages, and the newer Node that wrangler asks for is installed below.
  await quiet('npm', ['ci', '--include=dev', '--include=optional', '--engine-strict=false', '--loglevel=error', '--no-audit', '--no-fund'], {
    label: 'npm ci',
    cwd: folder,
    env: { ...process.env, npm_config_yes: 'true', NODE_ENV: '' },
  });
}

/** True where a folder's node_modules holds what its lock file names, by npm's own list of what it installed. */
function packagesInstalled(folder) {
  let installed;
  try {
    installed = JSON.parse(readFileSync(join(folder, 'node_modules', '.package-lock.json'), 'utf8')).packages;
  } catch {
    return false;
  }
  const wanted = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(wanted).every(([path, entry]) => {
    // Optional packages are those of the system they are for: installed here at the wanted version, or not for here.
    if (path === '' || (entry.optional && !installed[path])) return true;
    return installed[path]?.version === entry.version && existsSync(join(folder, path));
  });
}

// Rust

async function ensureRust() {
  const { channel, components, targets } = rustToolchain();
  if (await toolchainComplete()) return;
  await ensurePrerequisites();
  say(`Installing Rust ${channel} with ${[...components, ...targets].join(', ')} (a minute or two the first time)…`);
  const flags = ['--profile', 'minimal', '--no-self-update', '--component', components.join(','), '--target', targets.join(',')];
  await quiet('rustup', ['toolchain', 'install', channel, ...flags], { label: 'rustup', env: environment() });
  if (await toolchainComplete()) return;
  throw new Stop(`Rust ${channel} is installed, but the \`rustc\` that comes first in PATH is not rustup's. Put rustup's folder (~/.cargo/bin) in front.`);
}

/** Looks where rustup puts things: a fraction of the time that rustup takes to list them. */
async function toolchainComplete() {
  const { components, targets } = rustToolchain();
  let sysroot;
  try {
    sysroot = (await quiet('rustc', ['--print', 'sysroot'], { env: { ...environment(), RUSTUP_AUTO_INSTALL: '0' } })).trim();
  } catch {
    return false;
  }
  const programs = { rustfmt: 'rustfmt', clippy: 'cargo-clippy' };
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return (
    components.every((name) => !programs[name] || existsSync(join(sysroot, 'bin', programs[name] + suffix))) &&
    targets.every((name) => existsSync(join(sysroot, 'lib', 'rustlib', name, 'lib')))
  );
}

async function ensurePrerequisites() {
  await needed('rustup', 'Rust is installed by rustup, and there is none. Install it (https://rustup.rs, or Debian\'s package `rustup`) and run this again.');
  if (process.platform === 'win32') return;
  const linker =
    process.platform === 'darwin' ? 'xcode-select --install' : 'apt-get install gcc libc6-dev (Debian, Ubuntu) or dnf install gcc (Fedora)';
  await needed('cc', `Rust needs a C linker, and there is no \`cc\`. Install one and run this again: ${linker}`);
}

async function needed(command, message) {
  try {
    await quiet(command, ['--version'], { env: environment() });
  } catch (error) {
    throw error.code === 'ENOENT' ? new Stop(message) : error;
  }
}

// The tools that cargo compiles

async function ensureWasmTools() {
  // Only the first is worth optimising: worker-build does nothing but call others, and takes five minutes to optimise.
  await ensureTool('wasm-bindgen-cli', WASM_BINDGEN_CLI, ['wasm-bindgen', 'wasm-bindgen-test-runner'], [], 'three to five minutes on two cores');
  await ensureTool('worker-build', WORKER_BUILD, ['worker-build'], ['--debug'], 'one to three minutes on two cores');
}

/** Only `npm test` needs it. */
export async function ensureCargoDeny() {
  await ensureTool('cargo-deny', CARGO_DENY, ['cargo-deny'], ['--debug'], 'one to three minutes on two cores');
}

async function ensureTool(crate, version, programs, flags, duration) {
  if (programs.every((name) => existsSync(tool(name))) && installedVersion(crate) === version) return;
  await ensurePrerequisites();
  say(`Compiling ${crate} ${version}, once (${duration})…`);
  // A target folder inside .tools, not a temporary one: where this is interrupted, the next run goes on from there.
  const target = join(toolsFolder, 'target');
  await quiet('cargo', ['install', crate, '--version', version, '--locked', '--force', '--root', toolsFolder, ...flags], {
    label: `cargo install ${crate}`,
    // Flags the user has for their own programs are not for this one.
    env: environment({ CARGO_TARGET_DIR: target, RUSTFLAGS: '', CARGO_BUILD_TARGET: undefined }),
  });
  rmSync(target, { recursive: true, force: true });
}

/** From cargo's own record of what it installed there. */
function installedVersion(crate) {
  try {
    return readFileSync(join(toolsFolder, '.crates.toml'), 'utf8').match(new RegExp(`^"${crate} ([^ "]+) `, 'm'))?.[1];
  } catch {
    return undefined;
  }
}

if (isMain(import.meta)) {
  await main(async () => {
    await ensure();
    say('Everything is installed. Next: `npm start` for a local server, `npm test` for the tests.');
  });
}
