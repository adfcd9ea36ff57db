// The notices of Rust dependencies, which ship with what we compile.

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
