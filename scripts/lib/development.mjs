// Prepares a local server: migrates its database and creates an API key that works.

import { createHash, createHmac } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tenantsOutput } from '../tenants.mjs';
import { quietWrangler } from '../wrangler.mjs';
import { devVars } from './dev-vars.mjs';
import { readConfig } from './exposure.mjs';
import { Stop, root, say } from './run.mjs';

/** wrangler keeps local D1 databases in this folder. */
const databaseFolder = join(root, '.wrangler', 'state', 'v3', 'd1');

/** Holds the development key in plain text, for the commands that `npm start` prints. The database has only its digest. Git ignores the file. */
export const keyFile = join(root, '.dev.key.local');

/** Migrates the local database. */
export async function migrateLocally() {
  const folder = join(root, 'migrations');
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)));
  // Another id in wrangler.toml is another local database.
  hash.update(JSON.stringify((await readConfig()).d1_databases ?? []));
  const wanted = hash.digest('hex');
  // wrangler needs two seconds to find that there is nothing to do, so remember the migrations already applied. The note is inside
  // the database's folder: to delete the database is to delete the note.
  const note = join(databaseFolder, 'migrated');
  if (existsSync(note) && readFileSync(note, 'utf8') === wanted) return;
  say('Migrating the local database…');
  await quietWrangler(['d1', 'migrations', 'apply', 'DB', '--local'], { label: 'migrations' });
  writeFileSync(note, wanted);
}

/** Reads the development key from its file; creates one if there is no file. */
export async function developmentKey() {
  if (existsSync(keyFile)) return readFileSync(keyFile, 'utf8').trim();
  return newDevelopmentKey();
}

/** Creates a key and writes it to its file. */
export async function newDevelopmentKey() {
  say('Creating an API key for development…');
  const answer = await tenantsOutput(['api:key:create', '--name', 'development', '--format', 'json'], asLocally());
  const key = answer.match(/chv_\d+_[A-Za-z0-9_-]+/)?.[0];
  if (key === undefined) throw new Stop(`\`tenants api:key:create\` printed no key:\n${answer}`);
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  chmodSync(keyFile, 0o600);
  return key;
}

/** Holds a bound key and its signing secret, for signing in to the local console. Git ignores the file. */
export const consoleKeyFile = join(root, '.dev.console.local');

/** Creates a bound key for the console, and writes it to its file, unless there is one. */
export async function ensureConsoleKey() {
  if (existsSync(consoleKeyFile)) return;
  say('Creating a bound API key for the console…');
  const answer = await tenantsOutput(['api:key:create', '--name', 'console', '--bound'], asLocally());
  if (!/^TENANTS_SIGNING_SECRET=/m.test(answer)) throw new Stop('`tenants api:key:create --bound` printed no signing secret');
  writeFileSync(consoleKeyFile, `${answer.trim()}\n`, { mode: 0o600 });
  chmodSync(consoleKeyFile, 0o600);
}

/** The environment in which the command line takes the local Worker's secrets, and no others that are exported. */
const asLocally = () => Object.fromEntries(Object.keys(devVars()).map((name) => [name, undefined]));

/** Signs a body: HMAC-SHA256 in hexadecimal. */
export function sign(secret, body = '') {
  return createHmac('sha256', secret).update(body).digest('hex');
}
