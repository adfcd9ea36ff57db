// `npm run demo` runs a registry and a real cell on this machine, for a person to try.

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { agentBuild } from './agent.mjs';
import { build } from './build.mjs';
import { environment, nodeForWrangler } from './lib/environment.mjs';
import { Stop, isMain, main, quiet, root, say } from './lib/run.mjs';
import { debianPackages, ensurePrograms } from './lib/system.mjs';
import { ensure } from './setup.mjs';

const help = `npm run demo

Runs a registry and one cell on this machine, on loopback: the Worker with a database, tenants-agent, Redis, MariaDB, PHP with a stand-in for
Chevereto, and Traefik. It prints commands that create a tenant and install its site, and the site's address. Nothing of it stays.
The first run installs tools and compiles (five to ten minutes on two cores); later runs take seconds.

Ctrl-C takes everything down.`;

const PROGRAMS = ['redis-server', 'mariadbd', 'php', 'php-redis', 'php-mysql', 'phpseclib3', 'python3-venv', 'curl'];

/** How long the parts have to end: the agent lets a running job end first. */
const GRACE = 45_000;

async function demo() {
  const { values } = options();
  if (values.help) return void console.log(help);
  await ensure();
  const missing = await ensurePrograms(PROGRAMS);
  if (missing.length > 0) {
    throw new Stop(`not installed: ${missing.join(', ')}. As root this command installs them on Debian and Ubuntu; or install them yourself:\n\n  sudo apt-get install ${debianPackages(missing).join(' ')}`);
  }
  await build();
  await quiet('cargo', agentBuild('dev').words, { label: 'building the agent (one to three minutes the first time)', env: environment() });
  return run();
}

function options() {
  try {
    return parseArgs({ options: { help: { type: 'boolean', short: 'h' } } });
  } catch (error) {
    throw new Stop(`${error.message}\n\n${help}`, 2);
  }
}

/** Runs the parts in a process group of their own until a signal, and resolves with their exit code. */
function run() {
  say('Starting the parts…');
  // The parts end when their standard input does: on Ctrl-C, and also if this process is killed.
  const child = spawn(nodeForWrangler(), [join(root, 'tests', 'cell', 'demo.mjs')], { cwd: root, env: environment(), stdio: ['pipe', 'inherit', 'inherit'], detached: true });
  child.stdin.on('error', () => {});
  let isStopping = false;
  const stop = () => {
    if (isStopping) return;
    isStopping = true;
    say('\nTaking everything down…');
    child.stdin.end();
    setTimeout(() => kill(child), GRACE).unref();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => {
      // Whatever is left of the group.
      kill(child);
      resolve(code ?? 1);
    });
  });
}

function kill(child) {
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group has ended.
  }
}

if (isMain(import.meta)) await main(demo);
