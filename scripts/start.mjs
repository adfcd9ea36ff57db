// `npm start` runs the API on this machine: the same Worker as deployed, in workerd, with a local D1 database.

import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { relative } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { buildConsole } from './console.mjs';
import { consoleConfigFile, writeConsoleConfig } from './lib/console.mjs';
import { completeDevVars, devVars } from './lib/dev-vars.mjs';
import { consoleKeyFile, developmentKey, ensureConsoleKey, keyFile, migrateLocally, newDevelopmentKey, sign } from './lib/development.mjs';
import { environment, nodeForWrangler, wranglerScript } from './lib/environment.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';

const DEFAULT_PORT = 8787;

const help = `npm start -- [--port N] [--no-console]

Starts the API on http://127.0.0.1:${DEFAULT_PORT}, with a local database and the console, and prints a request that works.
The first start installs tools and compiles (five to ten minutes on two cores); later starts take seconds.
The data stays in .wrangler/state, the secrets in .dev.vars and the key in .dev.key.local (git ignores all three).

  --port N      the port to listen on (default: the variable PORT, otherwise the first free port from ${DEFAULT_PORT} up)
  --no-console  does not serve the console
  --help        prints this text

Ctrl-C stops it.`;

async function start() {
  const { values } = options();
  if (values.help) return void console.log(help);
  const asked = values.port ?? process.env.PORT;
  const port = await choosePort(asked);
  await build();
  if (!values['no-console']) await buildConsole();
  const added = completeDevVars();
  if (added.length > 0) say(`Wrote ${added.join(', ')} to .dev.vars.`);
  await migrateLocally();
  const key = await developmentKey();
  if (!values['no-console']) await ensureConsoleKey();
  // The port may be taken meanwhile: the first start takes minutes.
  return serve((await isFree(port)) ? port : await choosePort(asked), key, !values['no-console']);
}

function options() {
  try {
    return parseArgs({ options: { port: { type: 'string' }, 'no-console': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
  } catch (error) {
    throw new Stop(`${error.message}\n\n${help}`, 2);
  }
}

async function choosePort(asked) {
  if (asked !== undefined && asked !== '') {
    const port = Number(asked);
    if (!/^\d+$/.test(asked) || port < 1 || port > 65535) throw new Stop(`expected a port number from 1 to 65535; got \`${asked}\``, 2);
    if (!(await isFree(port))) throw new Stop(`port ${port} is taken. Choose another: npm start -- --port ${port === 65535 ? 8787 : port + 1}`);
    return port;
  }
  for (let port = DEFAULT_PORT; port < DEFAULT_PORT + 20; port += 1) {
    if (!(await isFree(port))) continue;
    if (port !== DEFAULT_PORT) say(`Port ${DEFAULT_PORT} is taken; using ${port}. (npm start -- --port N chooses one.)`);
    return port;
  }
  throw new Stop(`ports ${DEFAULT_PORT} to ${DEFAULT_PORT + 19} are all taken. Choose another: npm start -- --port N`);
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** Runs `wrangler dev` until it ends, and resolves with its exit code. */
function serve(port, key, withConsole) {
  say('Starting the server…');
  const args = ['dev', '--ip', '127.0.0.1', '--port', String(port), '--inspector-port', '0', '--show-interactive-dev-session=false'];
  if (withConsole) {
    writeConsoleConfig();
    args.push('--config', consoleConfigFile, '--var', 'TENANTS_CONSOLE:true');
  }
  const child = spawn(nodeForWrangler(), [wranglerScript, ...args], {
    cwd: root,
    env: environment(),
    stdio: ['ignore', 'inherit', 'inherit'],
    // A process group of its own: we forward every signal to the group, so Ctrl-C must not reach wrangler a second time.
    detached: process.platform !== 'win32',
  });
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 143)));
  });
  stopWith(child, ended);
  greet(port, key, child, withConsole).catch((error) => {
    say(error instanceof Stop ? `\nerror: ${error.message}` : error.stack);
    signalGroup(child, 'SIGTERM');
    ended.then(() => process.exit(1));
  });
  return ended;
}

function stopWith(child, ended) {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      signalGroup(child, signal);
      // Give wrangler a few seconds to clean up, then kill it: a server that keeps running is worse than one that is cut off.
      const last = setTimeout(() => signalGroup(child, 'SIGKILL'), 5_000);
      ended.then(() => clearTimeout(last));
    });
  }
}

function signalGroup(child, signal) {
  try {
    if (process.platform === 'win32') child.kill(signal);
    else process.kill(-child.pid, signal);
  } catch {
    // It has already exited.
  }
}

/** Waits for the first response, checks that the key is accepted, and prints how to call the API. */
async function greet(port, key, child, withConsole) {
  const base = `http://127.0.0.1:${port}/_/api/4`;
  const secret = devVars().CHEVERETO_TENANTS_API_REQUEST_SECRET;
  let status = await firstAnswer(base, key, secret, child);
  if (status === undefined) return; // wrangler exited and printed its error
  if (status === 401) {
    // The key belongs to another database, or the secrets have changed.
    say(`The API no longer accepts the key in ${keyFile}.`);
    key = await newDevelopmentKey();
    if (withConsole) {
      rmSync(consoleKeyFile, { force: true });
      await ensureConsoleKey();
    }
    status = await callTenants(base, key, secret);
  }
  if (status !== 200) throw new Stop(`the server answered ${status} to a signed GET /tenants. Its log is above.`);
  console.log(instructions(base, secret));
  if (withConsole) console.log(`The console is at http://127.0.0.1:${port}/console/. A key for it is in ${relative(root, consoleKeyFile)}.\n`);
}

async function firstAnswer(base, key, secret, child) {
  const end = Date.now() + 180_000;
  while (Date.now() < end && child.exitCode === null && child.signalCode === null) {
    try {
      return await callTenants(base, key, secret);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  if (child.exitCode === null && child.signalCode === null) throw new Stop('the server did not answer within three minutes');
  return undefined;
}

async function callTenants(base, key, secret) {
  const answer = await fetch(`${base}/tenants`, {
    headers: { 'X-API-Key': key, 'X-Signature': sign(secret) },
    signal: AbortSignal.timeout(30_000),
  });
  await answer.arrayBuffer();
  return answer.status;
}

function instructions(base, secret) {
  const { origin, port } = new URL(base);
  // The command line uses this port by default.
  const address = port === String(DEFAULT_PORT) ? '' : `TENANTS_URL=${origin} `;
  return `
The Tenants API answers at ${base}. Paste one of these into another terminal, in this folder.

List the tenants (the signature covers an empty body):

  printf 'X-API-Key: %s\\nX-Signature: %s\\n' "$(cat .dev.key.local)" ${sign(secret)} | curl -s ${base}/tenants -H @-

Create one:

  BODY='{"id":"tenant123","hostname":"tenant123.example.com","is_enabled":true}'
  SIGNATURE=$(printf %s "$BODY" | npm run -s tenants -- sign)
  printf 'X-API-Key: %s\\nX-Signature: %s\\n' "$(cat .dev.key.local)" "$SIGNATURE" |
    curl -s -X POST ${base}/tenants -H @- -H 'Content-Type: application/json' -d "$BODY"

Or use the command line:

  ${address}npm run -s tenants -- list

The key is in .dev.key.local, the secrets are in .dev.vars, the data is in .wrangler/state. Ctrl-C stops the server.
`;
}

if (isMain(import.meta)) await main(start);
