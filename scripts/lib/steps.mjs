// The steps of `npm test`, in order: the quick ones first.

import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { agentBuild } from '../agent.mjs';
import { build } from '../build.mjs';
import { buildComponents } from '../component.mjs';
import { buildConsole, checkConsoleTypes } from '../console.mjs';
import { showHosts } from '../hosts.mjs';
import { checkLicences } from '../licences.mjs';
import { makePackage } from '../package.mjs';
import { environment, nodeForWrangler, tool } from './environment.mjs';
import { Stop, inShort, root, show } from './run.mjs';
import { programPath } from './system.mjs';

/**
 * A step has a `name`; `about`, which `--list` prints; and `run`, which throws if the step fails, and may tell how many tests it `skipped`. `programs` are system programs
 * without which the step cannot run; `helpers` are programs that only some of its tests need. If all steps run, `beside` is begun with the
 * step, and the step that `waits` is the first that needs what it builds.
 */
export const steps = [
  { name: 'tidy', about: 'housekeeping: no stray paths, no giant files, pinned versions', run: () => nodeTests('scripts', (name) => name === 'tidy.test.mjs') },
  { name: 'scripts', about: "the scripts' own tests", run: () => nodeTests('scripts', (name) => name !== 'tidy.test.mjs') },
  { name: 'licences', about: 'the licences and sources of dependencies, by deny.toml; advisories, if GitHub can be reached', run: checkLicences },
  { name: 'fmt', about: 'cargo fmt --check', run: () => cargo(['fmt', '--all', '--check']) },
  {
    name: 'clippy',
    about: 'clippy, every crate and target, warnings are errors',
    // A build optimizes each crate as a whole, which keeps one core busy.
    beside: async () => {
      await build();
      await makePackage();
      await buildComponents();
    },
    run: () => cargo(['clippy', '--locked', '--workspace', '--all-targets', '--', '-D', 'warnings']),
  },
  {
    name: 'clippy-wasm',
    about: 'clippy, the Worker, the npm package and the components as WebAssembly',
    run: () => cargo(['clippy', '--locked', '-p', workerPackage, '-p', 'tenants-wasm', '-p', 'tenants-signer', '-p', 'tenants-component', '--target', wasm, '--', '-D', 'warnings']),
  },
  {
    name: 'native',
    about: "every crate's tests on this machine",
    helpers: ['openssl', 'php', 'zsh', 'fish'],
    // The crates of the Worker and of the npm package only connect the core to a JavaScript runtime: no test of theirs runs without one.
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
  { name: 'build', about: 'builds the Worker as it is deployed', waits: true, run: build },
  {
    name: 'e2e',
    about: 'the built Worker in workerd, over HTTP',
    helpers: ['openssl', 'php', 'phpseclib3', 'ssh-keygen', 'curl', 'python3-venv', 'dnsmasq'],
    run: () => nodeTests('tests/e2e', () => true),
  },
  {
    name: 'console',
    about: 'the console: its types, its size, and its pages in headless Chromium before the built Worker',
    helpers: ['chromium'],
    run: async () => {
      await build();
      await buildConsole();
      await checkConsoleTypes();
      return nodeTests('console/tests', () => true);
    },
  },
  {
    name: 'description',
    about: 'docs/openapi.json: a linter, its examples, a typed client, and Schemathesis against the built Worker',
    helpers: ['python3-venv'],
    run: () => nodeTests('tests/openapi', () => true),
  },
  {
    name: 'cell',
    about: 'the agent of a cell with real parts: Redis, MariaDB, PHP and Traefik',
    helpers: ['redis-server', 'mariadbd', 'php', 'php-redis', 'php-mysql', 'phpseclib3', 'python3-venv'],
    run: async () => {
      // Three of its files start the Worker and the agent at once, and would each wait for the build within a test's time.
      await build();
      await cargo(agentBuild('dev').words);
      return nodeTests('tests/cell', () => true);
    },
  },
  {
    name: 'component',
    about: 'the core as WebAssembly components',
    helpers: ['openssl', 'python3-venv'],
    run: async () => {
      await buildComponents();
      return nodeTests('tests/component', () => true);
    },
  },
  {
    name: 'package',
    about: 'the packed npm package: its size, its types, its README, and the examples that embed it',
    helpers: ['chromium'],
    run: async () => {
      await makePackage();
      return nodeTests('tests/package', () => true);
    },
  },
  {
    name: 'conformance',
    about: 'the conformance set on every host',
    helpers: ['chromium', 'python3-venv'],
    run: async () => {
      await buildComponents();
      await makePackage();
      return nodeTests('tests/conformance', () => true);
    },
  },
  { name: 'deploy', about: 'npm run deploy -- --dry-run', run: () => node([join(root, 'scripts', 'deploy.mjs'), '--dry-run']) },
  { name: 'hosts', about: "the README's table of hosts matches this run", run: showHosts },
];

const wasm = 'wasm32-unknown-unknown';
/** The name of the workspace's root package, which is the Worker. */
const workerPackage = readFileSync(join(root, 'Cargo.toml'), 'utf8').match(/^\[package\][^[]*?^name\s*=\s*"([^"]+)"/ms)?.[1];

async function passed(command, args, env = environment()) {
  const code = await show(command, args, { env });
  if (code !== 0) throw new Stop(`\`${inShort(command, args)}\` ended with exit code ${code}`);
}

const cargo = (args, extra) => passed('cargo', args, environment(extra));

const node = (args) => passed(nodeForWrangler(), args);

/** Runs the test files of a folder. Tells how many of their tests were skipped. */
async function nodeTests(folder, wanted) {
  const path = join(root, folder);
  const names = existsSync(path) ? readdirSync(path).filter((name) => name.endsWith('.test.mjs') && wanted(name)).sort() : [];
  // Node's test runner passes if it is given no file, so fail here.
  if (names.length === 0) throw new Stop(`there is no test in ${folder}/`);
  const notes = join(root, 'target', 'node-tests', `${folder.replaceAll('/', '-')}.json`);
  await node([join(root, 'scripts', 'lib', 'node_tests.mjs'), notes, ...names.map((name) => join(path, name))]);
  return { skipped: JSON.parse(readFileSync(notes, 'utf8')).skipped };
}

function wasmTests(extra) {
  return cargo(['test', '--locked', '-p', 'tenants-core', '--target', wasm, '--test', 'wasm'], {
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: tool('wasm-bindgen-test-runner'),
    ...extra,
  });
}

/** Makes wasm-bindgen-test-runner 0.2.129 use a browser instead of Node. This works only while the test file has no configuration of its own. */
function browser() {
  const folder = join(root, 'target');
  mkdirSync(folder, { recursive: true });
  const capabilities = join(folder, 'webdriver.json');
  // The runner adds headless, no-sandbox and disable-dev-shm-usage. These arguments stop Chromium from calling home at every
  // start: without a network it would wait for a timeout.
  const args = ['disable-gpu', 'disable-quic', 'no-first-run', 'disable-background-networking', 'disable-component-update', 'disable-sync'];
  writeFileSync(capabilities, JSON.stringify({ 'goog:chromeOptions': { args, binary: programPath('chromium') } }));
  return {
    WASM_BINDGEN_USE_BROWSER: '1',
    WASM_BINDGEN_TEST_WEBDRIVER_JSON: capabilities,
    // A busy machine may need longer than the defaults: 20 seconds for the tests, 5 for the driver.
    WASM_BINDGEN_TEST_TIMEOUT: '120',
    WASM_BINDGEN_TEST_DRIVER_TIMEOUT: '30',
    CHROMEDRIVER: programPath('chromedriver'),
  };
}
