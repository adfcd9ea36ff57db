// Housekeeping checks that no compiler does.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './lib/run.mjs';
import { splitStatements } from './lib/sql.mjs';
import { WASM_BINDGEN_CLI, WORKER_BUILD } from './lib/versions.mjs';

const read = (path) => readFileSync(join(root, path), 'utf8');

/** Every file that git tracks or would add, except deleted ones. */
const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\0')
  .filter((path) => path !== '' && existsSync(join(root, path)));

const isLock = (path) => /(^|\/)(package-lock\.json|Cargo\.lock)$/.test(path);

const texts = files.filter((path) => !readFileSync(join(root, path)).includes(0));

test('the commands of package.json start without an installed package, since they install the packages themselves', () => {
  const { scripts } = JSON.parse(read('package.json'));
  const modules = new Set(Object.values(scripts).map((command) => /^node (\S+)$/.exec(command)[1]));
  assert.ok(modules.size > 5);
  for (const module of modules) {
    for (const [, from] of read(module).matchAll(/^(?:import|export)\b[^;'"]*? from ['"]([^'"]+)['"]/gm)) {
      if (from.startsWith('.')) modules.add(join(module, '..', from));
      else assert.match(from, /^node:/, `${module} imports ${from}, which may not be installed yet: use \`await import\``);
    }
  }
  assert.ok(modules.has('scripts/lib/licences.mjs'), 'the walk follows imports');
});

test('no file names a path of the machine on which it was written', () => {
  // The names are split into pieces, so that this file does not contain them.
  const strays = [['/wo', 'rk/'], ['/ro', 'ot/'], ['/home', '/(?!runner)[a-z]+/'], ['arti', 'factory'], ['registry.npm', 'js.org'], ['static.crates', '.io']];
  const stray = new RegExp(`(?<![\\w.})-])(${strays.map((pieces) => pieces.join('')).join('|')})`, 'i');
  const found = texts.flatMap((path) =>
    read(path).split('\n').flatMap((line, index) => (stray.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 120)}`] : [])),
  );
  assert.deepEqual(found, []);
});

test('no file has more than 800 lines', () => {
  // Tests write these.
  const isMade = (path) => ['docs/openapi.json', 'crates/core/tests/exchange/statements.sql'].includes(path);
  const long = texts.filter((path) => !isLock(path) && !isMade(path) && !path.startsWith('tests/vectors/')).filter((path) => read(path).split('\n').length > 801);
  assert.deepEqual(long, []);
});

test('the changelog has an entry for a release or for unreleased changes', () => {
  assert.match(read('CHANGELOG.md'), /^## \[?(Unreleased|\d+\.\d+\.\d+)/im);
});

test('package.json pins the version of every npm package', () => {
  const { dependencies = {}, devDependencies = {}, optionalDependencies = {} } = JSON.parse(read('package.json'));
  const rooms = ['tests/openapi/package.json', 'console/package.json'].map((path) => JSON.parse(read(path)));
  for (const room of rooms) Object.assign(dependencies, room.dependencies, room.devDependencies);
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
    assert.match(version, /^\d+\.\d+\.\d+[\w.-]*$/, name);
  }
});

test('package-lock.json names no registry, and lists the packages of every system', () => {
  const { packages } = JSON.parse(read('package-lock.json'));
  const rooms = ['tests/openapi/package-lock.json', 'console/package-lock.json'].map((path) => JSON.parse(read(path)).packages);
  for (const all of [packages, ...rooms]) assert.deepEqual(Object.keys(all).filter((path) => all[path].resolved), []);
  // If a registry lags behind, npm leaves some systems' packages out of the lock, and then `npm ci` fails on every system.
  for (const [path, entry] of Object.entries(packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      assert.ok(packages[`node_modules/${name}`] || packages[`${path}/node_modules/${name}`], `${name}, of ${path || 'package.json'}, is not in the lock`);
    }
  }
});

test('the pinned versions of the compiled tools match Cargo.lock', () => {
  const locked = (name) => read('Cargo.lock').match(new RegExp(`name = "${name}"\\nversion = "([^"]+)"`))?.[1];
  assert.equal(WASM_BINDGEN_CLI, locked('wasm-bindgen'));
  assert.equal(WORKER_BUILD, locked('worker'));
});

test('no crate depends on version `*`', () => {
  const loose = files.filter((path) => path.endsWith('Cargo.toml')).filter((path) => /=\s*"\*"|version\s*=\s*"\*"/.test(read(path)));
  assert.deepEqual(loose, []);
});

test('the tests run the version of miniflare that wrangler depends on', () => {
  // wrangler pins a beta of miniflare, and `latest` on npm is an older line: another version would install a second workerd.
  const { packages } = JSON.parse(read('package-lock.json'));
  assert.equal(JSON.parse(read('package.json')).devDependencies.miniflare, packages['node_modules/wrangler'].dependencies.miniflare);
});

/** Returns the lines of a migration that D1's query API might cut or read wrongly; tests/e2e/migrations_remote.test.mjs has the reason. */
function fragile(text) {
  const lines = text.split('\n').flatMap((line, index) => {
    const [code, ...comment] = line.split('--');
    const bad = [
      /[;'"`]/.test(comment.join('--')) && 'a comment has a semicolon or a quote',
      /\S/.test(comment.join('')) && /;/.test(code) && 'a comment follows a semicolon',
      /^\s*CREATE TRIGGER\b/i.test(code) && !/^CREATE TRIGGER (?:(?!\b(?:BEGIN|END|CASE)\b).)+ BEGIN (?:(?!\b(?:BEGIN|END|CASE)\b).)+; END;$/i.test(line) && 'a trigger is not one line, or has a CASE',
      /\r$/.test(line) && 'a line ends with a carriage return',
    ].filter(Boolean);
    return bad.map((why) => `${index + 1}: ${why}: ${line.slice(0, 80)}`);
  });
  const bare = (statement) => statement.replace(/\s+/g, ' ').replace(/;$/, '').trim();
  const cut = text.replace(/--.*$/gm, '').split(/(?<=;)[ \t]*\n/).map(bare).filter(Boolean);
  const whole = splitStatements(text).map(bare);
  return lines.concat(cut.filter((piece, index) => piece !== whole[index] || piece.split("'").length % 2 === 0).map((piece) => `a line within a statement, or a statement within a line, ends with a semicolon: ${piece.slice(0, 80)}`));
}

test('no migration depends on how D1 cuts it into statements', () => {
  const migrations = files.filter((path) => /^migrations\/.*\.sql$/.test(path));
  assert.notEqual(migrations.length, 0);
  assert.deepEqual(migrations.flatMap((path) => fragile(read(path)).map((line) => `${path}:${line}`)), []);
  const trigger = 'CREATE TRIGGER t AFTER INSERT ON a BEGIN DELETE FROM b; DELETE FROM c; END;\n';
  assert.deepEqual(fragile(`-- A comment.\nCREATE TABLE a (\n  b TEXT -- why\n);\n${trigger}`), []);
  for (const bad of [
    trigger.replace('b; ', 'b;\n'), trigger.replace(' BEGIN', '\nBEGIN'), trigger.replace('BEGIN', 'WHEN CASE 1 WHEN 1 THEN 1 END BEGIN'),
    "-- It's here.\n", '-- One; two.\n', '-- "x"\n', 'DROP TABLE a; -- gone\n', 'DROP TABLE a; DROP TABLE b;\n', "INSERT INTO a VALUES ('x;\n');\n", 'DROP TABLE a;\r\n',
  ]) assert.notDeepEqual(fragile(bad), [], bad);
});
