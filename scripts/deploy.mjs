// `npm run deploy` migrates the remote database, then deploys the Worker to Cloudflare. docs/DEPLOY.md is the guide.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';
import { quietWrangler, wrangler } from './wrangler.mjs';

const help = `npm run deploy -- [--dry-run]

Builds the Worker, migrates its D1 database and deploys the Worker. Follow docs/DEPLOY.md before the first deployment.

  --dry-run   builds and bundles the Worker but uploads nothing; needs no account`;

/** The Worker answers every request with 503 until all of these are set. */
const requiredSecrets = ['CHEVERETO_TENANTS_API_KEY_SECRET', 'CHEVERETO_TENANTS_API_REQUEST_SECRET', 'CHEVERETO_ENCRYPTION_KEY'];

const placeholder = '00000000-0000-0000-0000-000000000000';

async function deploy() {
  const values = options();
  if (values.help) return void console.log(help);
  await build();
  if (values['dry-run']) return wrangler(['deploy', '--dry-run', '--outdir', join('.wrangler', 'dry-run')]);

  checkNotDevelopment();
  checkDatabase();
  await checkSecrets();
  await noteBookmark();
  say('Migrating the remote database…');
  const code = await wrangler(['d1', 'migrations', 'apply', 'DB', '--remote']);
  // Never deploy a Worker on top of tables that are older than it expects.
  if (code !== 0) return code;
  return wrangler(['deploy']);
}

function options() {
  try {
    return parseArgs({ options: { 'dry-run': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } }).values;
  } catch (error) {
    throw new Stop(`${error.message}\n\n${help}`, 2);
  }
}

/** Shows the bookmark to which Time Travel can take the database back. docs/BACKUP.md says how. */
async function noteBookmark() {
  const text = await quietWrangler(['d1', 'time-travel', 'info', 'DB', '--json']);
  const { bookmark } = JSON.parse(text.slice(text.indexOf('{')));
  say(`The database's bookmark is ${bookmark}. Note it: docs/BACKUP.md says how to return to it.`);
}

function checkDatabase() {
  if (!readFileSync(join(root, 'wrangler.toml'), 'utf8').includes(placeholder)) return;
  throw new Stop(
    'wrangler.toml does not name your database yet. Create one:\n\n' +
      '  npm run -s wrangler -- d1 create tenants\n\n' +
      `Then replace database_id = "${placeholder}" in wrangler.toml with the id that the command prints.`,
  );
}

/** TENANTS_DEVELOPMENT on a deployed Worker would let any client that claims a loopback address read the routing without a key. */
function checkNotDevelopment() {
  if (!/^\s*TENANTS_DEVELOPMENT\s*=/m.test(readFileSync(join(root, 'wrangler.toml'), 'utf8'))) return;
  throw new Stop('wrangler.toml sets TENANTS_DEVELOPMENT, which is only for local development. Remove it there and set it in .dev.vars instead.');
}

async function checkSecrets() {
  let names = [];
  try {
    names = JSON.parse(await quietWrangler(['secret', 'list', '--format', 'json'])).map((secret) => secret.name);
  } catch (error) {
    // Error 10007 means that the Worker does not exist yet, so it has no secrets either. Show the user any other error (no account, no network).
    if (/CLOUDFLARE_API_TOKEN|not authenticated|logged in/i.test(error.output ?? '')) {
      throw new Stop('you are not logged in to Cloudflare. Run `npm run -s wrangler -- login`, or set CLOUDFLARE_API_TOKEN.');
    }
    if (!/\b10007\b/.test(error.output ?? '')) throw error;
  }
  const missing = requiredSecrets.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  throw new Stop(
    `the Worker has no ${missing.join(', ')}. Set ${missing.length === 1 ? 'it' : 'them'} first; docs/DEPLOY.md explains this under "Set the secrets":\n\n` +
      missing.map((name) => `  openssl rand ${name === 'CHEVERETO_ENCRYPTION_KEY' ? '-base64' : '-hex'} 32   # a value for: npm run -s wrangler -- secret put ${name}`).join('\n'),
  );
}

if (isMain(import.meta)) await main(deploy);
