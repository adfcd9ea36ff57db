import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'smol-toml';
import { checkConsole, ensureConsole, withConsole } from './lib/console.mjs';
import { root } from './lib/run.mjs';

const text = readFileSync(join(root, 'wrangler.toml'), 'utf8');

test('wrangler.toml has the console as a comment, and is otherwise the same with it', () => {
  const { assets, ...others } = parse(withConsole(text));
  assert.deepEqual({ ...assets }, { directory: 'build/console', binding: 'ASSETS', run_worker_first: true, html_handling: 'none' });
  assert.deepEqual({ ...others }, { ...parse(text) });
  assert.equal(withConsole(withConsole(text)), withConsole(text));
  assert.throws(() => withConsole('name = "x"\n'), /no \[assets\]/);
});

test('nobody deploys a console without its files', () => {
  for (const value of ['true', true]) {
    assert.throws(() => checkConsole({ vars: { TENANTS_CONSOLE: value } }), /still a comment/);
    checkConsole({ vars: { TENANTS_CONSOLE: value }, assets: {} });
  }
  for (const config of [{}, { vars: {} }, { vars: { TENANTS_CONSOLE: 'false' } }, parse(text), parse(withConsole(text))]) checkConsole(config);
});

test('a page stands in for a console that was not built, and for no other', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenants-'));
  try {
    const console = join(folder, 'build', 'console');
    ensureConsole(console);
    const page = join(console, 'index.html');
    assert.ok(existsSync(page));
    writeFileSync(page, 'built');
    ensureConsole(console);
    assert.equal(readFileSync(page, 'utf8'), 'built');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
