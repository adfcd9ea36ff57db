// Writes and reads .dev.vars, from which wrangler reads the local Worker's secrets and TENANTS_DEVELOPMENT. Git ignores the file.

import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

export const devVarsFile = join(root, '.dev.vars');

const header = `# For local development, written by \`npm start\`. You may change any value; \`npm start\` generates the names that are missing.
# A new CHEVERETO_ENCRYPTION_KEY cannot decrypt the rows in the local database. A new CHEVERETO_TENANTS_API_KEY_SECRET invalidates its API keys.
`;

const makers = {
  CHEVERETO_TENANTS_API_KEY_SECRET: () => randomBytes(32).toString('hex'),
  CHEVERETO_TENANTS_API_REQUEST_SECRET: () => randomBytes(32).toString('hex'),
  CHEVERETO_ENCRYPTION_KEY: () => randomBytes(32).toString('base64'),
  // Never set this on a deployed Worker: a genuine client there never has a loopback address.
  TENANTS_DEVELOPMENT: () => 'true',
};

/**
 * Adds the missing variables and leaves everything else as it is.
 * @returns {string[]} the names that were added
 */
export function completeDevVars(file = devVarsFile) {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : header;
  // An empty value is a decision too (it switches something off), so add a variable only if its name is absent.
  const missing = Object.keys(makers).filter((name) => !(name in parseVars(text)));
  if (missing.length === 0) return [];
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  writeFileSync(file, before + missing.map((name) => `${name}=${makers[name]()}\n`).join(''), { mode: 0o600 });
  // `mode` above applies only to a new file.
  chmodSync(file, 0o600);
  return missing;
}

/** The values of .dev.vars, or {} if there is no such file. */
export function devVars(file = devVarsFile) {
  return existsSync(file) ? parseVars(readFileSync(file, 'utf8')) : {};
}

/** Parses `NAME=value` lines as wrangler does: ignores comments and surrounding blanks, and removes one pair of quotes. */
export function parseVars(text) {
  const vars = {};
  for (const line of text.split('\n')) {
    const [, name, value] = line.match(/^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/) ?? [];
    if (name === undefined) continue;
    const quoted = value.match(/^(["'`])(.*)\1/);
    vars[name] = quoted ? quoted[2] : value.replace(/\s*#.*$/, '');
  }
  return vars;
}
