// The steps of `npm test`, in order: the quick ones first.

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
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
 * A step has a `name`; `about`, which `--list` prints; and `run`, which throws if the step fails. `programs` are system programs without which the
 * step cannot run; `helpers` are programs that only some of its tests need. If all steps run, `beside` is begun with the step, and the step that
 * `waits` is the first that needs what it builds. In place of `run`, a step may have a `folder` of Node's tests, with `build`, which makes what they need.
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
    folder: 'tests/e2e',
    build: () => cargo(['build', '--locked', '-p', 'tenants-cli']),
  },
  {
    name: 'console',
    about: 'the console: its types, its size, and its pages in headless Chromium before the built Worker',
    helpers: ['chromium'],
    folder: 'console/tests',
    build: async () => {
      await build();
      await buildConsole();
      await checkConsoleTypes();
    },
  },
  {
    name: 'description',
    about: 'docs/openapi.json: a linter, its examples, a typed client, and Schemathesis against the built Worker',
    helpers: ['python3-venv'],
    folder: 'tests/openapi',
    build,
  },
  {
    name: 'cell',
    about: 'the agent of a cell with real parts: Redis, MariaDB, PHP and Traefik',
    helpers: ['redis-server', 'mariadbd', 'php', 'php-redis', 'php-mysql', 'phpseclib3', 'python3-venv'],
    folder: 'tests/cell',
    // Three of its files start the Worker and the agent at once, and would each wait for the build within a test's time.
    build: async () => {
      await build();
      await cargo(agentBuild('dev').words);
    },
  },
  {
    name: 'component',
    about: 'the core as WebAssembly components',
    helpers: ['openssl', 'python3-venv'],
    folder: 'tests/component',
    build: buildComponents,
  },
  {
    name: 'package',
    about: 'the packed npm package: its size, its types, its README, and the examples that embed it',
    helpers: ['chromium'],
    folder: 'tests/package',
    build: makePackage,
  },
  {
    name: 'conformance',
    about: 'the conformance set on every host',
    helpers: ['chromium', 'python3-venv'],
    folder: 'tests/conformance',
    build: async () => {
      await buildComponents();
      await makePackage();
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
  const { failed, skipped } = await nodeTestFiles([folder], wanted);
  if (failed.length > 0) throw new Stop(`tests of ${folder}/ failed: ${failed.length}`);
  return { skipped: skipped.length };
}

/**
 * Runs the test files of some folders together, so that a long one is not left alone at the end of its folder. Returns what node_tests.mjs writes: the file of each
 * test that `failed` or was `skipped`, and the seconds that each file `took`.
 */
export async function nodeTestFiles(folders, wanted = () => true) {
  const files = folders.flatMap((folder) => {
    const names = readdirSync(join(root, folder)).filter((name) => name.endsWith('.test.mjs') && wanted(name)).sort();
    // Node's test runner passes if it is given no file, so fail here.
    if (names.length === 0) throw new Stop(`there is no test in ${folder}/`);
    return names.map((name) => join(root, folder, name));
  });
  const result = join(root, 'target', 'node-tests.json');
  rmSync(result, { force: true });
  // The first step of a fresh clone comes before anything is compiled.
  mkdirSync(dirname(result), { recursive: true });
  const code = await show(nodeForWrangler(), [join(root, 'scripts', 'lib', 'node_tests.mjs'), result, ...files], { env: environment() });
  const told = existsSync(result) ? JSON.parse(readFileSync(result, 'utf8')) : { failed: [] };
  // A failure that is no file's own is everybody's.
  if (code !== 0 && !told.failed.some((file) => files.includes(file))) throw new Stop(`the test runner ended with exit code ${code}`);
  return told;
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
