import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { completeDevVars, devVars, parseVars } from './lib/dev-vars.mjs';

function inFolder(body) {
  const folder = mkdtempSync(join(tmpdir(), 'tenants-'));
  try {
    body(join(folder, '.dev.vars'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('the first run generates every secret and TENANTS_DEVELOPMENT, in a file that only its owner can read', () => {
  inFolder((file) => {
    assert.equal(completeDevVars(file).length, 4);
    const vars = devVars(file);
    assert.match(vars.CHEVERETO_TENANTS_API_KEY_SECRET, /^[0-9a-f]{64}$/);
    assert.match(vars.CHEVERETO_TENANTS_API_REQUEST_SECRET, /^[0-9a-f]{64}$/);
    assert.equal(Buffer.from(vars.CHEVERETO_ENCRYPTION_KEY, 'base64').length, 32);
    assert.equal(vars.TENANTS_DEVELOPMENT, 'true');
    if (process.platform !== 'win32') assert.equal(statSync(file).mode & 0o777, 0o600);
  });
});

test('a second run changes nothing', () => {
  inFolder((file) => {
    completeDevVars(file);
    const before = readFileSync(file, 'utf8');
    assert.deepEqual(completeDevVars(file), []);
    assert.equal(readFileSync(file, 'utf8'), before);
  });
});

test('completeDevVars keeps the user’s lines and adds only the missing names', () => {
  inFolder((file) => {
    writeFileSync(file, '# mine\nCHEVERETO_TENANTS_API_KEY_SECRET="abc"\nCHEVERETO_ENCRYPTION_KEY=\nOTHER=1\nTENANTS_DEVELOPMENT=false');
    assert.deepEqual(completeDevVars(file), ['CHEVERETO_TENANTS_API_REQUEST_SECRET']);
    assert.ok(readFileSync(file, 'utf8').startsWith('# mine\nCHEVERETO_TENANTS_API_KEY_SECRET="abc"\nCHEVERETO_ENCRYPTION_KEY=\nOTHER=1\nTENANTS_DEVELOPMENT=false\n'));
    assert.deepEqual({ ...devVars(file), CHEVERETO_TENANTS_API_REQUEST_SECRET: '' }, {
      CHEVERETO_TENANTS_API_KEY_SECRET: 'abc',
      CHEVERETO_ENCRYPTION_KEY: '',
      OTHER: '1',
      TENANTS_DEVELOPMENT: 'false',
      CHEVERETO_TENANTS_API_REQUEST_SECRET: '',
    });
  });
});

test('completeDevVars adds TENANTS_DEVELOPMENT to an older file that has only the secrets', () => {
  inFolder((file) => {
    const before = 'CHEVERETO_TENANTS_API_KEY_SECRET=a\nCHEVERETO_TENANTS_API_REQUEST_SECRET=b\nCHEVERETO_ENCRYPTION_KEY=c\n';
    writeFileSync(file, before);
    assert.deepEqual(completeDevVars(file), ['TENANTS_DEVELOPMENT']);
    assert.equal(readFileSync(file, 'utf8'), `${before}TENANTS_DEVELOPMENT=true\n`);
  });
});

test('parseVars reads comments, quotes and the `=` of base64 as wrangler does', () => {
  assert.deepEqual(parseVars('# A=1\nA=x==\nB = "y # z" # w\nexport C=\'v\'\nD=u # t\n'), { A: 'x==', B: 'y # z', C: 'v', D: 'u' });
});
