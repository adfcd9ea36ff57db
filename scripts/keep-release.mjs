// `node scripts/keep-release.mjs`: keeps the Worker and the schema of a release in tests/e2e/last_release/, for the test that runs them
// beside the current ones. CONTRIBUTING.md, "Release", says when. Its argument is the folder of another checkout, in which the Worker is
// built; without one, the script builds this checkout.

import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { parse as parseToml } from 'smol-toml';
import { build } from './build.mjs';
import { bundle } from './lib/bundle.mjs';
import { Stop, isMain, main, quiet, root, say } from './lib/run.mjs';
import { readSchema, splitStatements } from './lib/sql.mjs';

const target = join(root, 'tests', 'e2e', 'last_release');

async function keep(from) {
  const git = (...args) => quiet('git', ['-C', from, ...args]);
  const changed = await git('status', '--porcelain', '--untracked-files=no');
  if (changed !== '') throw new Stop(`the checkout has changes that are not committed, so no commit has its state:\n${changed}`);
  if (from === root) await build();

  const text = (...path) => readFileSync(join(from, ...path), 'utf8');
  const config = parseToml(text('wrangler.toml'));
  const { modules } = await bundle(join(from, config.main));
  const migrations = readdirSync(join(from, config.d1_databases[0].migrations_dir)).filter((name) => name.endsWith('.sql')).sort();
  const release = {
    version: JSON.parse(text('package.json')).version,
    commit: (await git('rev-parse', 'HEAD')).trim(),
    compatibility_date: config.compatibility_date,
    migrations,
  };

  for (const name of readdirSync(target)) if (name.endsWith('.gz')) rmSync(join(target, name));
  for (const [name, { contents }] of Object.entries(modules)) {
    writeFileSync(join(target, `${name}.gz`), gzipSync(withoutCargoHome(Buffer.from(contents)), { level: 9 }));
  }
  writeFileSync(join(target, 'release.json'), `${JSON.stringify(release, null, 2)}\n`);
  // Without comments: people read the schema itself.
  writeFileSync(join(target, 'schema.sql'), `${splitStatements(readSchema(from)).join(';\n')};\n`);
  say(`Kept ${release.version} (${release.commit.slice(0, 7)}) in tests/e2e/last_release/.`);
}

/**
 * Blanks cargo's folder in a module. rustc writes the paths of the crates' files into it, and the folder may have a person's name. The
 * length stays, since offsets depend on it.
 */
function withoutCargoHome(bytes) {
  const home = Buffer.from(process.env.CARGO_HOME ?? join(homedir(), '.cargo'));
  const blank = Buffer.from('~'.repeat(home.length));
  for (let at = bytes.indexOf(home); at !== -1; at = bytes.indexOf(home, at)) blank.copy(bytes, at);
  return bytes;
}

if (isMain(import.meta)) await main(() => keep(resolve(process.argv[2] ?? root)));
