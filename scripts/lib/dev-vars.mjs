// .dev.vars: the local Worker's secrets and that it is local, where wrangler looks for them. Made once, ignored by git, for this machine alone.

import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

export const devVarsFile = join(root, '.dev.vars');

const header = `# For local development, made by \`npm start\`. Any value may be changed; what is missing is made again.
# Whoever changes CHEVERETO_ENCRYPTION_KEY loses what is sealed in the local database, and CHEVERETO_TENANTS_API_KEY_SECRET its keys.
`;

const makers = {
  CHEVERETO_TENANTS_API_KEY_SECRET: () => randomBytes(32).toString('hex'),
  CHEVERETO_TENANTS_API_REQUEST_SECRET: () => randomBytes(32).toString('hex'),
  CHEVERETO_ENCRYPTION_KEY: () => randomBytes(32).toString('base64'),
  // Never on a deployed Worker: there nobody is on loopback.
  TENANTS_DEVELOPMENT: () => 'true',
};

/**
 * Adds what is not there, and leaves everything else as it is.
 * @returns {string[]} the names of those that were added
 */
export function completeDevVars(file = devVarsFile) {
  const text = existsSync(file) ? readFileSync(file, 'utf8') : header;
  // An empty value is a decision too (it switches something off): only a name that is not there at all is missing.
  const missing = Object.keys(makers).filter((name) => !(name in parseVars(text)));
  if (missing.length === 0) return [];
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`;
  writeFileSync(file, before + missing.map((name) => `${name}=${makers[name]()}\n`).join(''), { mode: 0o600 });
  // The mode above is only for a new file.
  chmodSync(file, 0o600);
  return missing;
}

/** The values of .dev.vars, {} where there is none. */
export function devVars(file = devVarsFile) {
  return existsSync(file) ? parseVars(readFileSync(file, 'utf8')) : {};
}

/** `NAME=value` lines as wrangler reads them: comments, blanks and one pair of quotes are not part of it. */
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
