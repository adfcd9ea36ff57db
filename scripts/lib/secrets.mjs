// Checks a `wrangler secret` command before it runs. The Worker must not receive an API key, and the encryption key must not be replaced
// or deleted while rows in the database still need it: nothing else can decrypt them.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseVars } from './dev-vars.mjs';
import { FORBIDDEN } from './exposure.mjs';
import { Stop, root } from './run.mjs';

const KEY = 'CHEVERETO_ENCRYPTION_KEY';
const PREVIOUS = 'CHEVERETO_ENCRYPTION_KEY_PREVIOUS';

/** wrangler's options that take the next argument as their value. */
const VALUED = ['--secrets-file', '--name', '--env', '-e', '--config', '-c', '--cwd', '--env-file', '--message', '--tag', '--profile'];

/**
 * Splits wrangler's arguments.
 * @returns {{action: 'put' | 'delete' | 'bulk', subject?: string, options: Record<string, string>} | undefined} undefined if they do not change a secret
 */
export function secretCommand(args) {
  const words = [];
  const options = {};
  for (let at = 0; at < args.length; at += 1) {
    const [name, value] = args[at].split(/=(.*)/s);
    if (!name.startsWith('-') || args[at] === '-') words.push(args[at]);
    else if (value !== undefined) options[name] = value;
    else if (VALUED.includes(name)) options[name] = args[(at += 1)];
  }
  // `deploy` and `versions upload` take secrets along.
  if (options['--secrets-file'] !== undefined) return { action: 'bulk', subject: options['--secrets-file'], options };
  if (words[0] === 'versions') words.shift();
  const [noun, action, subject] = words;
  if (noun !== 'secret' || !['put', 'delete', 'bulk'].includes(action)) return undefined;
  return { action, subject, options };
}

/**
 * Parses the file of `secret bulk`, which is JSON or `NAME=value` lines. Throws if it holds what the Worker must not have.
 * @returns {Record<string, string | null>} null deletes a secret
 */
export function secretsIn(text, file) {
  const json = parsedJson(text);
  const values = json ?? parseVars(text);
  // wrangler reads `NAME: value` too, so look for the names anywhere outside comments.
  const shown = json ? JSON.stringify(json) : text.replace(/^\s*#.*$/gm, '');
  for (const [name, why] of Object.entries(FORBIDDEN)) {
    if (new RegExp(`(?<![\\w])${name}(?![\\w])`).test(shown)) throw new Stop(`${file} contains ${name}: ${why}. Keep it in another file. No secret was uploaded.`);
  }
  if (/(?<!\w)chv_\d+_/.test(shown)) throw new Stop(`${file} contains an API key (chv_…): ${FORBIDDEN.TENANTS_API_KEY}. Keep it in another file. No secret was uploaded.`);
  return values;
}

function parsedJson(text) {
  try {
    const value = JSON.parse(text);
    return value !== null && typeof value === 'object' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Throws if other users of this machine may read a file of secrets. */
export function checkMode(file) {
  if (process.platform === 'win32' || (statSync(file).mode & 0o077) === 0) return;
  throw new Stop(`other users of this machine may read ${file}. Run \`chmod 600 ${file}\`. If it is not new, replace the secrets in it. No secret was uploaded.`);
}

/**
 * Checks a command that changes secrets.
 * @param {NonNullable<ReturnType<typeof secretCommand>>} command
 * @param {object} world
 * @param {string | undefined} world.input the command's standard input; undefined if it is a terminal
 * @param {string} world.varsFile the file with the deployed Worker's current secrets
 * @param {() => Promise<string[]>} world.names lists the secrets that the Worker has
 * @param {(keys: Record<string, string>) => Promise<{tenants: {other: number}, plans: {other: number}}>} world.survey counts the rows that these keys do not decrypt
 */
export async function checkSecretChange({ action, subject }, world) {
  const change = changeOf(action, subject, world.input);
  const keys = [KEY, PREVIOUS].filter((name) => name in change);
  if (keys.length === 0) return;
  const names = await world.names();
  // A secret that is not there yet cannot be lost.
  if (!keys.some((name) => names.includes(name))) return;
  await checkRows(change, names, world);
}

/** The names that a command changes, with their new values. null means deleted; undefined means that wrangler will ask for the value. */
function changeOf(action, subject, input) {
  if (action === 'bulk') {
    if (subject === undefined && input === undefined) throw new Stop('`secret bulk` needs a file, or the secrets on its standard input', 2);
    if (subject === undefined) return linesIn(input, 'the input');
    const file = resolve(root, subject);
    if (!existsSync(file)) throw new Stop(`there is no file ${subject}`);
    checkMode(file);
    return linesIn(readFileSync(file, 'utf8'), subject);
  }
  if (subject === undefined) return {};
  if (action === 'delete') return { [subject]: null };
  if (subject in FORBIDDEN) throw new Stop(`${subject} must not be a secret of the Worker: ${FORBIDDEN[subject]}.`);
  if (input !== undefined && input.trim() === '') throw new Stop('the input is empty. No secret was changed.');
  if (input !== undefined) secretsIn(`VALUE=${input}`, 'the input');
  return { [subject]: input?.trim() };
}

/** The same as `secretsIn`, and throws at a line that is not `NAME=value`: wrangler takes `NAME: value` too, which would pass unchecked. */
function linesIn(text, file) {
  const values = secretsIn(text, file);
  const at = parsedJson(text) ? -1 : text.split('\n').findIndex((line) => !/^\s*(#.*)?$|^\s*(export\s+)?[A-Za-z_]\w*\s*=/.test(line));
  if (at !== -1) throw new Stop(`${file}, line ${at + 1}: expected NAME=value. No secret was uploaded.`);
  return values;
}

/** Throws if the database has a row that the Worker could not decrypt after the change. */
async function checkRows(change, names, { varsFile, survey }) {
  const kept = existsSync(varsFile) ? parseVars(readFileSync(varsFile, 'utf8')) : {};
  const after = {};
  for (const name of [KEY, PREVIOUS]) {
    if (name in change && change[name] === undefined) throw new Stop(`pipe the value into the command (… secret put ${name} < file), so that it can be checked before it replaces a key`);
    const value = name in change ? change[name] : names.includes(name) ? kept[name] : undefined;
    if (value) after[name] = value;
  }
  if (after[KEY] === undefined) {
    throw new Stop(
      change[KEY] === null
        ? `${KEY} cannot be deleted: nothing would decrypt what it has encrypted`
        : `${varsFile} has no ${KEY}. It must hold the Worker's current secrets, so that this command can check which key the rows need. (TENANTS_VARS_FILE names another file.)`,
    );
  }
  const lost = Object.entries(await survey(after)).filter(([, { other }]) => other !== 0);
  if (lost.length === 0) return;
  const rows = lost.reduce((sum, [, { other }]) => sum + other, 0);
  throw new Stop(
    `after this change, ${rows === 1 ? '1 row' : `${rows} rows`} in the database would not decrypt any more (${lost.map(([table, { other }]) => `${table}: ${other}`).join(', ')}). ` +
      'No secret was changed. First encrypt them again under the current key: docs/ROTATION.md, "The encryption key".',
  );
}

/**
 * Lists the names of the Worker's secrets, [] if there is no Worker yet.
 * @param {(args: string[]) => Promise<string>} ask runs wrangler and resolves with its output
 */
export async function secretNames(ask, more = []) {
  try {
    return JSON.parse(await ask(['secret', 'list', '--format', 'json', ...more])).map((secret) => secret.name);
  } catch (error) {
    // Error 10007 means that the Worker does not exist yet, so it has no secrets either. Show the user any other error (no account, no network).
    if (/CLOUDFLARE_API_TOKEN|not authenticated|logged in/i.test(error.output ?? '')) {
      throw new Stop('you are not logged in to Cloudflare. Run `npm run -s wrangler -- login`, or set CLOUDFLARE_API_TOKEN.');
    }
    if (!/\b10007\b/.test(error.output ?? '')) throw error;
    return [];
  }
}
