// `npm run deploy`: the Worker to Cloudflare, its database's tables first. docs/DEPLOY.md is the guide to it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from './build.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';
import { quietWrangler, wrangler } from './wrangler.mjs';

const help = `npm run deploy -- [--dry-run]

Builds the Worker, brings the tables of its D1 database up to date, and deploys it. docs/DEPLOY.md says what comes before.

  --dry-run   builds and packs what would be uploaded, and stops there; needs no account`;

/** Without these the Worker answers 503 to everything. */
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
  say('Bringing the tables of the remote database up to date…');
  const code = await wrangler(['d1', 'migrations', 'apply', 'DB', '--remote']);
  // A Worker must never meet tables older than itself.
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

function checkDatabase() {
  if (!readFileSync(join(root, 'wrangler.toml'), 'utf8').includes(placeholder)) return;
  throw new Stop(
    'wrangler.toml does not name your database yet. Make one,\n\n' +
      '  npm run -s wrangler -- d1 create tenants\n\n' +
      `and put the id it prints where wrangler.toml has database_id = "${placeholder}".`,
  );
}

/** On a deployed Worker it would let whoever claims a loopback address read the routing without a key. */
function checkNotDevelopment() {
  if (!/^\s*TENANTS_DEVELOPMENT\s*=/m.test(readFileSync(join(root, 'wrangler.toml'), 'utf8'))) return;
  throw new Stop('wrangler.toml sets TENANTS_DEVELOPMENT, which is for a developer\'s own machine alone. Take it out; .dev.vars is its place.');
}

async function checkSecrets() {
  let names = [];
  try {
    names = JSON.parse(await quietWrangler(['secret', 'list', '--format', 'json'])).map((secret) => secret.name);
  } catch (error) {
    // 10007: there is no such Worker yet, and so no secret either. Everything else (no account, no network) is the user's to see.
    if (/CLOUDFLARE_API_TOKEN|not authenticated|logged in/i.test(error.output ?? '')) {
      throw new Stop('you are not logged in at Cloudflare. Run `npm run -s wrangler -- login`, or set CLOUDFLARE_API_TOKEN.');
    }
    if (!/\b10007\b/.test(error.output ?? '')) throw error;
  }
  const missing = requiredSecrets.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  throw new Stop(
    `the Worker has no ${missing.join(', ')}. Set ${missing.length === 1 ? 'it' : 'them'} first, as docs/DEPLOY.md shows under "Set the secrets":\n\n` +
      missing.map((name) => `  openssl rand ${name === 'CHEVERETO_ENCRYPTION_KEY' ? '-base64' : '-hex'} 32   # a value for: npm run -s wrangler -- secret put ${name}`).join('\n'),
  );
}

if (isMain(import.meta)) await main(deploy);
