// Prints the table of hosts and how many requests of the conformance set each passed in the last run. The README shows the same
// table: after you add a host or a request, `node scripts/hosts.mjs --write` updates it.

import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inCi } from './lib/ci.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';

const folder = join(root, 'build', 'conformance');
const readme = join(root, 'README.md');
const heading = '| host | database | passed |\n|---|---|---|\n';

/** Deletes the results of earlier runs. */
export const forgetHosts = () => rmSync(folder, { recursive: true, force: true });

/** Prints the table. Throws if a host failed, or if the README's table differs. */
export function showHosts() {
  const results = read();
  if (results.length === 0) throw new Stop('no host has run the conformance set yet; run `npm test -- --only conformance` first');
  const width = (of) => Math.max(...results.map((result) => of(result).length));
  const [hosts, databases] = [width(({ host }) => host), width(({ database }) => database)];
  for (const result of results) {
    console.log(`${result.host.padEnd(hosts)}  ${result.database.padEnd(databases)}  ${passes(result).padEnd(12)}${result.version}`);
  }
  const failed = results.filter((result) => result.failed > 0);
  if (failed.length > 0) throw new Stop(`these hosts failed the conformance set: ${failed.map(({ host }) => host).join(', ')}`);
  compare(results);
}

function compare(results) {
  const shown = rowsOf(readFileSync(readme, 'utf8'));
  const run = results.map(row);
  const unknown = run.filter((line) => !shown.includes(line));
  const missing = shown.filter((line) => !run.includes(line));
  if (unknown.length === 0 && missing.length === 0) return;
  const message = [...unknown.map((line) => `not in the README: ${line}`), ...missing.map((line) => `in the README but not run: ${line}`)].join('\n');
  // A developer's machine may lack a browser; CI must have one.
  if (unknown.length > 0 || inCi()) throw new Stop(`${message}\nupdate the README's table with \`node scripts/hosts.mjs --write\``);
  say(message);
}

function read() {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  return names.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8'))).sort((a, b) => (row(a) < row(b) ? -1 : 1));
}

const passes = ({ passed, failed }) => `${passed} of ${passed + failed}`;
const row = (result) => `| ${result.host} | ${result.database} | ${passes(result)} |`;

function rowsOf(text) {
  const at = text.indexOf(heading);
  if (at < 0) throw new Stop('the README has no table of hosts');
  return text.slice(at + heading.length).split('\n\n')[0].trimEnd().split('\n');
}

function write() {
  const text = readFileSync(readme, 'utf8');
  const rows = rowsOf(text).join('\n');
  writeFileSync(readme, text.replace(heading + rows, () => heading + read().map(row).join('\n')));
}

if (isMain(import.meta)) await main(() => (process.argv.includes('--write') ? write() : showHosts()));
