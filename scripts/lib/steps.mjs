// What `npm test` runs, in this order: what fails fastest first.

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { build } from '../build.mjs';
import { buildComponents } from '../component.mjs';
import { showHosts } from '../hosts.mjs';
import { makePackage } from '../package.mjs';
import { environment, nodeForWrangler, tool } from './environment.mjs';
import { Stop, inShort, root, show } from './run.mjs';
import { programPath } from './system.mjs';

/**
 * A step: `name`; `about`, for `--list`; `run`, which throws if it fails; `programs`, those of the system that it cannot do without;
 * `helpers`, those that only some of its tests need.
 */
export const steps = [
  { name: 'tidy', about: 'housekeeping: no stray paths, no giant files, pinned versions', run: () => nodeTests('scripts', (name) => name === 'tidy.test.mjs') },
  { name: 'scripts', about: "the scripts' own tests", run: () => nodeTests('scripts', (name) => name !== 'tidy.test.mjs') },
  { name: 'fmt', about: 'cargo fmt --check', run: () => cargo(['fmt', '--all', '--check']) },
  {
    name: 'clippy',
    about: 'clippy, every crate and target, warnings are errors',
    run: () => cargo(['clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings']),
  },
  {
    name: 'clippy-wasm',
    about: 'clippy, the Worker, the npm package and the components as WebAssembly',
    run: () => cargo(['clippy', '--locked', '-p', workerPackage, '-p', 'tenants-wasm', '-p', 'tenants-component', '--target', wasm, '--', '-D', 'warnings']),
  },
  {
    name: 'native',
    about: "every crate's tests on this machine",
    helpers: ['openssl', 'php', 'zsh', 'fish'],
    // The Worker's crate and the npm package's are glue to a JavaScript runtime and have nothing that runs without one.
    run: () => cargo(['test', '--locked', '--workspace', '--exclude', workerPackage, '--exclude', 'tenants-wasm']),
  },
  { name: 'wasm-node', about: "the core's tests as WebAssembly in Node", run: () => wasmTests({}) },
  {
    name: 'wasm-browser',
    about: "the core's tests as WebAssembly in headless Chromium",
    programs: ['chromium', 'chromedriver'],
    run: () => wasmTests(browser()),
  },
  {
    name: 'no-std',
    about: 'the core for a target without std',
    run: () => cargo(['build', '--locked', '-p', 'tenants-core', '--target', 'x86_64-unknown-none', '--no-default-features']),
  },
  { name: 'build', about: 'the Worker, as it is deployed', run: build },
  {
    name: 'e2e',
    about: 'the built Worker in workerd, over HTTP',
    helpers: ['openssl', 'php', 'phpseclib3', 'ssh-keygen', 'curl'],
    run: () => nodeTests('tests/e2e', () => true),
  },
  {
    name: 'component',
    about: 'the core as WebAssembly components',
    helpers: ['python3-venv'],
    run: async () => {
      await buildComponents();
      await nodeTests('tests/component', () => true);
    },
  },
  {
    name: 'package',
    about: 'the npm package, as it is packed: its size, its types, its README, and the examples that embed it',
    helpers: ['chromium'],
    run: async () => {
      await makePackage();
      await nodeTests('tests/package', () => true);
    },
  },
  {
    name: 'conformance',
    about: 'the conformance set on every host',
    helpers: ['chromium', 'python3-venv'],
    run: async () => {
      await buildComponents();
      await makePackage();
      await nodeTests('tests/conformance', () => true);
    },
  },
  { name: 'deploy', about: 'npm run deploy -- --dry-run', run: () => node([join(root, 'scripts', 'deploy.mjs'), '--dry-run']) },
  { name: 'hosts', about: 'the table of hosts and of what they passed, as the README has it', run: showHosts },
];

const wasm = 'wasm32-unknown-unknown';
/** The Worker is the workspace's root package, under whichever name. */
const workerPackage = readFileSync(join(root, 'Cargo.toml'), 'utf8').match(/^\[package\][^[]*?^name\s*=\s*"([^"]+)"/ms)?.[1];

async function passed(command, args, env = environment()) {
  const code = await show(command, args, { env });
  if (code !== 0) throw new Stop(`\`${inShort(command, args)}\` ended with exit code ${code}`);
}

const cargo = (args, extra) => passed('cargo', args, environment(extra));

const node = (args) => passed(nodeForWrangler(), args);

/** Node's test runner on the test files of a folder: named one by one, since not every Node expands patterns. */
async function nodeTests(folder, wanted) {
  const path = join(root, folder);
  const names = existsSync(path) ? readdirSync(path).filter((name) => name.endsWith('.test.mjs') && wanted(name)).sort() : [];
  // A runner that was given no file passes.
  if (names.length === 0) throw new Stop(`there is no test in ${folder}/`);
  // They wait for servers more than they compute; by itself the runner leaves a core to others, which of two is half.
  await node(['--test', '--test-reporter=spec', `--test-concurrency=${availableParallelism() + 1}`, ...names.map((name) => join(path, name))]);
}

function wasmTests(extra) {
  return cargo(['test', '--locked', '-p', 'tenants-core', '--target', wasm, '--test', 'wasm'], {
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: tool('wasm-bindgen-test-runner'),
    ...extra,
  });
}

/** Has wasm-bindgen-test-runner take a browser and not Node (0.2.129; it holds where the test file configures nothing itself). */
function browser() {
  const folder = join(root, 'target');
  mkdirSync(folder, { recursive: true });
  const capabilities = join(folder, 'webdriver.json');
  // The runner adds headless, no-sandbox and disable-dev-shm-usage. These keep Chromium from calling home, which it otherwise
  // does at every start, and waits for where the network is closed.
  const args = ['disable-gpu', 'disable-quic', 'no-first-run', 'disable-background-networking', 'disable-component-update', 'disable-sync'];
  writeFileSync(capabilities, JSON.stringify({ 'goog:chromeOptions': { args, binary: programPath('chromium') } }));
  return {
    WASM_BINDGEN_USE_BROWSER: '1',
    WASM_BINDGEN_TEST_WEBDRIVER_JSON: capabilities,
    // A busy machine may take longer than the runner's 20 seconds and 5 for the driver.
    WASM_BINDGEN_TEST_TIMEOUT: '120',
    WASM_BINDGEN_TEST_DRIVER_TIMEOUT: '30',
    CHROMEDRIVER: programPath('chromedriver'),
  };
}
