// The console (docs/API.md §20): its folder, and the part of wrangler.toml that is a comment until somebody wants it.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Stop, root } from './run.mjs';

/** wrangler resolves the paths in a configuration from its folder, so this one is beside wrangler.toml. Git ignores it. */
export const consoleConfigFile = join(root, 'wrangler.console.toml');

/** Puts a page in the place of a console that was not built, so that wrangler finds the folder. */
export function ensureConsole(folder = join(root, 'build', 'console')) {
  const page = join(folder, 'index.html');
  if (existsSync(page)) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(page, '<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>Console</title><p>The console was not built.</p></html>\n');
}

/** Returns the text of wrangler.toml with its `[assets]`, whether or not that is a comment. */
export function withConsole(text) {
  if (/^\[assets\]$/m.test(text)) return text;
  const block = text.match(/^# \[assets\]\n(?:# \w+ = .*\n)+/m)?.[0];
  if (block === undefined) throw new Stop('wrangler.toml has no [assets], which the console needs. docs/CONFIGURATION.md has it under TENANTS_CONSOLE.');
  return text.replace(block, block.replace(/^# /gm, ''));
}

/** Writes the configuration of a local server with the console. */
export function writeConsoleConfig() {
  writeFileSync(consoleConfigFile, `# Written by \`npm start\`.\n${withConsole(readFileSync(join(root, 'wrangler.toml'), 'utf8'))}`);
}

/** Throws if a configuration that is to be deployed switches the console on, and does not bind its files. */
export function checkConsole({ vars, assets }) {
  if (String(vars?.TENANTS_CONSOLE) !== 'true' || assets !== undefined) return;
  throw new Stop('wrangler.toml sets TENANTS_CONSOLE, and its [assets] is still a comment, so the Worker would have no console to serve. Remove the `# ` of those five lines.');
}
