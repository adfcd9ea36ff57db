// The licences of Rust dependencies: which ones deny.toml allows, and the notices that ship with what we compile.

import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { environment } from './environment.mjs';
import { Stop, root } from './run.mjs';

/** Calls cargo and returns what it prints. */
function cargo(...args) {
  const { status, stdout, stderr, error } = spawnSync('cargo', args, { cwd: root, env: environment(), encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Stop(`cargo ${args[0]} failed: ${error?.message ?? stderr}`);
  return stdout;
}

/** All packages of Cargo.lock, as `cargo metadata` describes them. */
export const packages = () => JSON.parse(cargo('metadata', '--format-version', '1', '--locked')).packages;

/** Reads the rules of deny.toml. */
export async function rules() {
  // npm may have installed this package only a moment ago, after this module was loaded.
  const { parse } = await import('smol-toml');
  return parse(readFileSync(join(root, 'deny.toml'), 'utf8'));
}

/**
 * Whether an SPDX expression is true if exactly these licences are. `/` is an older form of OR. `A WITH B` is a licence of its own.
 * @param {(licence: string) => boolean} isAllowed
 */
export function isSatisfied(expression, isAllowed) {
  const tokens = expression.replaceAll('/', ' OR ').match(/[()]|[^\s()]+/g) ?? [];
  let at = 0;
  const either = () => {
    let result = both();
    // Read the other side even if the result is known, so that an expression that does not parse is always an error.
    while (tokens[at] === 'OR') result = [at++, both()][1] || result;
    return result;
  };
  const both = () => {
    let result = one();
    while (tokens[at] === 'AND') result = [at++, one()][1] && result;
    return result;
  };
  const one = () => {
    if (tokens[at] === '(') {
      at++;
      const result = either();
      if (tokens[at++] !== ')') throw new Stop(`no \`)\` in the licence expression \`${expression}\``);
      return result;
    }
    const name = tokens[at++];
    if (name === undefined || [')', 'AND', 'OR', 'WITH'].includes(name)) throw new Stop(`cannot read the licence expression \`${expression}\``);
    return isAllowed(tokens[at] === 'WITH' ? `${name} WITH ${tokens[(at += 2) - 1]}` : name);
  };
  const result = either();
  if (at !== tokens.length) throw new Stop(`cannot read the licence expression \`${expression}\``);
  return result;
}

/** Lists how packages break the rules: licences, sources, banned crates and wildcards. */
export function violations(packages, { licenses, bans, sources }) {
  const used = new Set();
  const isAllowed = (licence) => {
    const allowed = licenses.allow.includes(licence);
    if (allowed) used.add(licence);
    return allowed;
  };
  const registries = sources['allow-registry'].map((url) => `registry+${url}`);
  const banned = bans.deny.map(({ crate }) => crate);
  const found = [];
  for (const { name, version, license, source, dependencies } of packages) {
    const crate = `${name} ${version}`;
    if (!license) found.push(`${crate} names no licence`);
    else if (!isSatisfied(license, isAllowed)) found.push(`${crate} has the licence ${license}, which deny.toml does not allow`);
    if (source !== null && !registries.includes(source)) found.push(`${crate} comes from ${source}, which deny.toml does not allow`);
    if (banned.includes(name)) found.push(`${crate} is banned by deny.toml`);
    for (const { name: dependency, req, path } of source === null ? dependencies : []) {
      if (req === '*' && path === undefined) found.push(`${crate} takes any version of ${dependency}`);
    }
  }
  for (const licence of licenses.allow) if (!used.has(licence)) found.push(`deny.toml allows ${licence}, which no crate has`);
  return found;
}

/**
 * The crates that are compiled into a package for WebAssembly, apart from our own. Procedural macros and build scripts run on the
 * developer's machine and are no part of the result.
 * @returns {Set<string>} `name version` of each
 */
export function compiledInto(name, features = []) {
  const text = cargo('tree', '--locked', '-p', name, '--target', 'wasm32-unknown-unknown', '-e', 'normal', '--no-dedupe', '--prefix', 'depth', '--format', ' {p}', ...features);
  const found = new Set();
  let macro = Infinity;
  for (const line of text.trim().split('\n')) {
    const [, depth, crate, version, rest] = line.match(/^(\d+) (\S+) v(\S+)(.*)$/) ?? [];
    if (crate === undefined) throw new Stop(`cannot read a line of cargo tree: ${line}`);
    if (Number(depth) > macro) continue;
    macro = rest.includes('(proc-macro)') ? Number(depth) : Infinity;
    if (macro === Infinity && !/\(.*[/\\].*\)/.test(rest)) found.add(`${crate} ${version}`);
  }
  return found;
}

/** The text of the notices for these crates. Throws if one of them has no licence file. */
export function notices(crates, packages) {
  const texts = new Map();
  for (const { name, version, license, repository, manifest_path: manifest } of packages) {
    const crate = `${name} ${version}`;
    if (!crates.has(crate)) continue;
    const folder = dirname(manifest);
    const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice|unlicense|copyright)/i.test(file) && statSync(join(folder, file)).isFile()).sort();
    if (files.length === 0) throw new Stop(`${crate} (${license}) has no licence file`);
    for (const file of files) {
      const text = readFileSync(join(folder, file), 'utf8').replaceAll('\r\n', '\n').trim();
      // Crates of one author have the same texts, apart from spaces.
      const key = text.replace(/\s+/g, ' ');
      const entry = texts.get(key) ?? { text, crates: [] };
      entry.crates.push(`${crate} (${license}) ${repository ?? ''}`.trim());
      texts.set(key, entry);
    }
  }
  const rule = '-'.repeat(80);
  const parts = [...texts.values()].map(({ text, crates }) => `${crates.join('\n')}\n\n${text}`).sort();
  return [
    'Third-party notices', '',
    'The WebAssembly in this package is compiled from our own code, from the standard library of Rust (MIT OR Apache-2.0,',
    'https://github.com/rust-lang/rust), and from the crates below. Each licence text follows the names of the crates that carry it.', '',
    ...parts.flatMap((part) => [rule, '', part, '']),
  ].join('\n');
}
