import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inCi, skipUnlessCi } from './lib/ci.mjs';
import { environment } from './lib/environment.mjs';
import { root } from './lib/run.mjs';

test('inCi is true for every value of CI but an empty one, 0 and false', () => {
  for (const CI of ['true', '1', 'yes', 'True', 'github']) assert.equal(inCi({ CI }), true, CI);
  for (const env of [{}, { CI: '' }, { CI: '0' }, { CI: 'false' }]) assert.equal(inCi(env), false, JSON.stringify(env));
});

test('skipUnlessCi returns the reason on a developer’s machine and throws it in CI', () => {
  assert.equal(skipUnlessCi('zsh is not installed', {}), 'zsh is not installed');
  assert.throws(() => skipUnlessCi('zsh is not installed', { CI: '1' }), /zsh is not installed; CI must have it/);
});

test('with CI=1 a missing program, browser or Traefik is a failure, not a reason to skip', (t) => {
  // The folder is empty, so no program is on the PATH and no Traefik is installed.
  const empty = mkdtempSync(join(tmpdir(), 'tenants-'));
  t.after(() => rmSync(empty, { recursive: true }));
  const code = (call) => `
    const failed = async (call) => { try { return 'returned ' + (await call()) } catch (error) { return error.message } };
    const { missing } = await import('./tests/e2e/harness.mjs');
    const { noBrowser } = await import('./tests/browser.mjs');
    const { noTraefik } = await import('./tests/e2e/traefik.mjs');
    console.log(JSON.stringify(await failed(() => ${call})));
    process.exit();`;
  const run = (call, CI) => JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', code(call)], {
    cwd: root, encoding: 'utf8', env: { ...environment(), PATH: empty, CI, TENANTS_TRAEFIK_FOLDER: join(empty, 'traefik') },
  }));
  for (const [call, why] of [["missing('curl', '--version')", /curl is not installed/], ['noBrowser()', /chromium is not installed/], ['noTraefik()', /no traefik/]]) {
    assert.match(run(call, '1'), new RegExp(`^(?!returned )[^]*${why.source}[^]*; CI must have it$`), call);
    assert.match(run(call, ''), new RegExp(`^returned [^]*${why.source}`), call);
  }
});

test('no test reads CI by itself', () => {
  const listed = execFileSync('git', ['ls-files', '-z', '*.mjs'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);
  const own = ['scripts/lib/ci.mjs', 'scripts/ci.test.mjs'];
  const found = listed.filter((path) => !own.includes(path) && /process\.env\.CI\b/.test(readFileSync(join(root, path), 'utf8')));
  assert.deepEqual(found, []);
});
