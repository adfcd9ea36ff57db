import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compiledInto, notices, packages } from './lib/licences.mjs';
import { root } from './lib/run.mjs';
import { deny } from './licences.mjs';
import { ensureCargoDeny } from './setup.mjs';

test('a licence, a source and a crate that deny.toml does not allow are found', async () => {
  await ensureCargoDeny();
  const rules = readFileSync(join(root, 'deny.toml'), 'utf8');
  const folder = mkdtempSync(join(tmpdir(), 'tenants-deny-'));
  try {
    for (const [part, there, instead, found] of [
      ['licenses', '"BSD-3-Clause",', '', 'subtle'],
      ['bans', 'crate = "openssl"', 'crate = "serde"', 'serde'],
      ['sources', 'https://github.com/rust-lang/crates.io-index', 'https://example.com/index', 'crates.io-index'],
    ]) {
      assert.ok(rules.includes(there), there);
      const file = join(folder, `${part}.toml`);
      writeFileSync(file, rules.replace(there, instead));
      const { ok, output } = deny('--config', file, 'check', part);
      assert.equal(ok, false, part);
      assert.ok(output.includes(found), output);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
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
