// `npm run deploy` migrates the remote database, then deploys the Worker to Cloudflare. docs/DEPLOY.md is the guide.

import { appendFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { buildConsole } from './console.mjs';
import { checkConsole } from './lib/console.mjs';
import { checkExposure, checkSecretNames, readConfig } from './lib/exposure.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';
import { secretNames } from './lib/secrets.mjs';
import { ensure } from './setup.mjs';
import { quietWrangler, wrangler } from './wrangler.mjs';

const help = `npm run deploy -- [--dry-run]

Checks wrangler.toml and the Worker's secrets, notes the database's bookmark in deployments.local, migrates the database and deploys
the Worker. Follow docs/DEPLOY.md before the first deployment.

  --dry-run   builds and bundles the Worker but uploads nothing; needs no account`;

/** The Worker answers every request with 503 until all of these are set. */
const requiredSecrets = ['CHEVERETO_TENANTS_API_KEY_SECRET', 'CHEVERETO_TENANTS_API_REQUEST_SECRET', 'CHEVERETO_ENCRYPTION_KEY'];

const placeholder = '00000000-0000-0000-0000-000000000000';

/** wrangler prefers a wrangler.json or a redirected configuration if there is one. The checks read this file, so this file is deployed. */
const configFile = ['--config', join(root, 'wrangler.toml')];

/** Every deployment adds a line, so that you find the bookmark to which you can restore the database. Git ignores the file. */
const historyFile = join(root, 'deployments.local');

async function deploy() {
  const values = options();
  if (values.help) return void console.log(help);
  await ensure({ rust: false });
  const config = await readConfig();
  checkExposure(config);
  checkConsole(config);
  await build();
  await buildConsole();
  if (values['dry-run']) return wrangler(['deploy', ...configFile, '--dry-run', '--outdir', join('.wrangler', 'dry-run')]);
  return deployTo(config, { run: wrangler, ask: quietWrangler, history: historyFile });
}

/**
 * Checks the account, migrates the database and deploys.
 * @param {object} cloudflare
 * @param {(args: string[]) => Promise<number>} cloudflare.run runs wrangler, resolves with its exit code
 * @param {(args: string[]) => Promise<string>} cloudflare.ask runs wrangler, resolves with its output
 * @param {string} cloudflare.history the file to which a line is added
 */
export async function deployTo(config, { run, ask, history }) {
  checkDatabase(config);
  const names = await secretNames(ask, configFile);
  checkSecretNames(names);
  checkRequiredSecrets(names);
  await noteBookmark(ask, history);
  say('Migrating the remote database…');
  const code = await run(['d1', 'migrations', 'apply', 'DB', '--remote', ...configFile]);
  // Never deploy a Worker on top of tables that are older than it expects.
  if (code !== 0) return code;
  return run(['deploy', ...configFile]);
}

/** Shows and keeps the bookmark of the database as it is now. D1 can restore the database to it. */
async function noteBookmark(ask, history) {
  const { bookmark } = JSON.parse(await ask(['d1', 'time-travel', 'info', 'DB', '--json', ...configFile]));
  if (typeof bookmark !== 'string') throw new Stop('D1 returned no Time Travel bookmark, so nothing would undo the migration. Nothing was deployed.');
  appendFileSync(history, `${new Date().toISOString()} ${bookmark}\n`, { mode: 0o600 });
  say(`The database's bookmark before this deployment, also in ${basename(history)}: ${bookmark}`);
}

function options() {
  try {
    return parseArgs({ options: { 'dry-run': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    throw new Stop(`${error.message}\n\n${help}`, 2);
  }
}

function checkDatabase(config) {
  if (!config.d1_databases?.some(({ database_id }) => database_id === placeholder)) return;
  throw new Stop(
    'wrangler.toml does not name your database yet. Create one:\n\n' +
      '  npm run -s wrangler -- d1 create tenants\n\n' +
      `Then replace database_id = "${placeholder}" in wrangler.toml with the id that the command prints.`,
  );
}

function checkRequiredSecrets(names) {
  const missing = requiredSecrets.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  throw new Stop(
    `the Worker has no ${missing.join(', ')}. Set ${missing.length === 1 ? 'it' : 'them'} first; docs/DEPLOY.md explains this under "Set the secrets":\n\n` +
      missing.map((name) => `  openssl rand ${name === 'CHEVERETO_ENCRYPTION_KEY' ? '-base64' : '-hex'} 32   # a value for: npm run -s wrangler -- secret put ${name}`).join('\n'),
  );
}

if (isMain(import.meta)) await main(deploy);
