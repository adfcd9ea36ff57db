// What a local server needs besides the program: its database's tables, and an API key that works.

import { createHash, createHmac } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tenantsOutput } from '../tenants.mjs';
import { quietWrangler } from '../wrangler.mjs';
import { Stop, root, say } from './run.mjs';

/** Where wrangler keeps local D1 databases. */
const databaseFolder = join(root, '.wrangler', 'state', 'v3', 'd1');

/** The development key in plain, for the lines that `npm start` prints. The database has only its digest. Ignored by git. */
export const keyFile = join(root, '.dev.key.local');

/** Brings the local database's tables up to date. */
export async function migrateLocally() {
  const folder = join(root, 'migrations');
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)));
  const wanted = hash.digest('hex');
  // wrangler takes two seconds to find that there is nothing to do. The note lies in the database's folder: gone with it.
  const note = join(databaseFolder, 'migrated');
  if (existsSync(note) && readFileSync(note, 'utf8') === wanted) return;
  say('Bringing the local database up to date…');
  await quietWrangler(['d1', 'migrations', 'apply', 'DB', '--local'], { label: 'migrations' });
  writeFileSync(note, wanted);
}

/** The development key, made where there is none on file. */
export async function developmentKey() {
  if (existsSync(keyFile)) return readFileSync(keyFile, 'utf8').trim();
  return newDevelopmentKey();
}

/** Makes a key and puts it on file. */
export async function newDevelopmentKey() {
  say('Making an API key for development…');
  const answer = await tenantsOutput(['api:key:create', '--name', 'development', '--format', 'json']);
  const key = answer.match(/chv_\d+_[A-Za-z0-9_-]+/)?.[0];
  if (key === undefined) throw new Stop(`\`tenants api:key:create\` printed no key:\n${answer}`);
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  chmodSync(keyFile, 0o600);
  return key;
}

/** The signature of a body: HMAC-SHA256 in hexadecimal. */
export function sign(secret, body = '') {
  return createHmac('sha256', secret).update(body).digest('hex');
}
