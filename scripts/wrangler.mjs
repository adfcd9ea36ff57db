// `npm run -s wrangler -- <command>` runs the project's wrangler under a Node that it accepts, whichever Node is installed.
//
// Before a command that changes the Worker's secrets, it checks that no API key is among them and that no key is lost which rows need.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureConsole } from './lib/console.mjs';
import { environment, nodeForWrangler, wranglerScript } from './lib/environment.mjs';
import { isMain, main, quiet, root, say, show } from './lib/run.mjs';
import { checkSecretChange, secretCommand, secretNames } from './lib/secrets.mjs';
import { ensure } from './setup.mjs';
import { tenantsOutput } from './tenants.mjs';

/** Runs wrangler and shows its output. Resolves with its exit code. */
export function wrangler(args, options = {}) {
  return show(nodeForWrangler(), [wranglerScript, ...args], { env: environment(), ...options });
}

/** Runs wrangler and shows its output only if it fails. Resolves with its standard output. */
export function quietWrangler(args, options = {}) {
  // With CI set, wrangler does not prompt: it uses its default answers.
  return quiet(nodeForWrangler(), [wranglerScript, ...args], { env: environment({ CI: 'true' }), ...options });
}

/** Checks a command that changes secrets, then runs it. */
async function changeSecrets(args, command) {
  const input = command.action !== 'delete' && !process.stdin.isTTY && !(command.action === 'bulk' && command.subject) ? await text(process.stdin) : undefined;
  const { '--env': env = command.options['-e'], '--config': config = command.options['-c'], '--name': name } = command.options;
  const sameWorker = [...(env === undefined ? [] : ['--env', env]), ...(config === undefined ? [] : ['--config', config]), ...(name === undefined ? [] : ['--name', name])];
  await checkSecretChange(command, {
    input,
    varsFile: process.env.TENANTS_VARS_FILE ?? join(root, '.production.local'),
    names: () => secretNames(quietWrangler, sameWorker),
    survey: (keys) => survey(keys, { env, config }),
  });
  return wrangler(args, input === undefined ? { stdin: 'inherit' } : { input });
}

/** Counts the rows of the remote database by the key that encrypted them. */
async function survey(keys, { env, config }) {
  say('Checking which encryption key the rows in the database need…');
  const folder = mkdtempSync(join(tmpdir(), 'tenants-'));
  const stop = () => {
    rmSync(folder, { recursive: true });
    process.exit(130);
  };
  process.once('SIGINT', stop);
  try {
    const file = join(folder, 'keys.local');
    writeFileSync(file, Object.entries(keys).map(([name, value]) => `${name}=${value}\n`).join(''), { mode: 0o600 });
    const more = config === undefined ? [] : ['--config', config];
    return JSON.parse(await tenantsOutput(['env:reseal', '--dry-run', '--remote', '--format', 'json', '--vars-file', file, ...more], {
      // Only the keys of the file count.
      CHEVERETO_ENCRYPTION_KEY: undefined,
      CHEVERETO_ENCRYPTION_KEY_PREVIOUS: undefined,
      ...(env === undefined ? {} : { CLOUDFLARE_ENV: env }),
    }));
  } finally {
    process.off('SIGINT', stop);
    rmSync(folder, { recursive: true });
  }
}

async function text(stream) {
  let all = '';
  for await (const part of stream.setEncoding('utf8')) all += part;
  return all;
}

if (isMain(import.meta)) {
  await main(async () => {
    await ensure({ rust: false });
    ensureConsole();
    const args = process.argv.slice(2);
    const command = secretCommand(args);
    return command === undefined ? wrangler(args, { stdin: 'inherit' }) : changeSecrets(args, command);
  });
}
