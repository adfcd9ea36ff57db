import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compiledInto, isSatisfied, notices, packages, rules, violations } from './lib/licences.mjs';

test('a licence expression is satisfied by the licences that it asks for', () => {
  const allowed = (...licences) => (expression) => isSatisfied(expression, (licence) => licences.includes(licence));
  const mit = allowed('MIT');
  for (const yes of ['MIT', 'MIT OR Apache-2.0', 'Apache-2.0/MIT', '(Apache-2.0 OR MIT)', 'A AND B OR MIT', 'Apache-2.0 WITH LLVM-exception OR MIT']) assert.equal(mit(yes), true, yes);
  for (const no of ['Apache-2.0', 'MIT AND BSD-3-Clause', '(MIT OR A) AND B', 'MIT WITH X', 'mit']) assert.equal(mit(no), false, no);
  assert.equal(allowed('A WITH B')('A WITH B AND A'), false);
  assert.equal(allowed('MIT', 'Unicode-3.0')('(MIT OR Apache-2.0) AND Unicode-3.0'), true);
  for (const bad of ['', '(MIT', 'MIT OR', 'MIT MIT', 'AND']) assert.throws(() => mit(bad), /licence expression/, bad);
});

test('each way to break the rules is found', async () => {
  const own = { name: 'own', version: '1.0.0', license: 'MIT', source: null, dependencies: [{ name: 'a', req: '*' }, { name: 'near', req: '*', path: '/near' }] };
  const registry = 'registry+https://github.com/rust-lang/crates.io-index';
  const crate = (name, license, source = registry) => ({ name, version: '2.0.0', license, source, dependencies: [{ name: 'any', req: '*' }] });
  const { licenses, bans, sources } = await rules();
  assert.deepEqual(violations([own, crate('a', 'GPL-3.0-only'), crate('openssl', 'MIT'), crate('b', null), crate('c', 'MIT', 'git+https://example.com/c')], { licenses: { allow: ['MIT', 'Zlib'] }, bans, sources }), [
    'own 1.0.0 takes any version of a',
    'a 2.0.0 has the licence GPL-3.0-only, which deny.toml does not allow',
    'openssl 2.0.0 is banned by deny.toml',
    'b 2.0.0 names no licence',
    'c 2.0.0 comes from git+https://example.com/c, which deny.toml does not allow',
    'deny.toml allows Zlib, which no crate has',
  ]);
  assert.ok(licenses.allow.length > 0);
});

test('the notices have the licence of each crate that is compiled in, and of no macro', () => {
  const crates = compiledInto('tenants-wasm');
  const names = [...crates].map((crate) => crate.split(' ')[0]);
  for (const name of ['curve25519-dalek', 'ed25519-dalek', 'subtle', 'wasm-bindgen', 'serde_json']) assert.ok(names.includes(name), name);
  for (const name of ['syn', 'serde_derive', 'tenants-core', 'tenants-wasm', 'rusqlite']) assert.ok(!names.includes(name), name);
  const text = notices(crates, packages());
  for (const crate of crates) assert.ok(text.includes(`\n${crate} (`), crate);
  assert.match(text, /subtle \S+ \(BSD-3-Clause\)[^]*?Redistributions in binary form must reproduce the above copyright\s+notice/);
  assert.throws(() => notices(new Set(['x 1.0.0']), [{ name: 'x', version: '1.0.0', license: 'MIT', manifest_path: `${import.meta.dirname}/../tests/vectors/none.toml` }]), /x 1\.0\.0 \(MIT\) has no licence file/);
});
