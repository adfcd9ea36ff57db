import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkSecretChange, secretCommand, secretsIn } from './lib/secrets.mjs';
import { root } from './lib/run.mjs';

const folder = mkdtempSync(join(tmpdir(), 'tenants-'));
after(() => rmSync(folder, { recursive: true }));
let files = 0;
function file(text, mode = 0o600) {
  const path = join(folder, `${(files += 1)}.local`);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

const KEY = 'CHEVERETO_ENCRYPTION_KEY';
const PREVIOUS = 'CHEVERETO_ENCRYPTION_KEY_PREVIOUS';
const apiKey = `chv_1_${'a'.repeat(64)}`;

test('secretCommand recognises every command that changes a secret, wherever its options are', () => {
  const parsed = (line) => {
    const command = secretCommand(line.split(' '));
    return command && [command.action, command.subject];
  };
  assert.deepEqual(parsed('secret bulk a.local'), ['bulk', 'a.local']);
  assert.deepEqual(parsed('secret bulk'), ['bulk', undefined]);
  assert.deepEqual(parsed('secret put NAME --env staging'), ['put', 'NAME']);
  assert.deepEqual(parsed('--env staging secret --name=x put NAME'), ['put', 'NAME']);
  assert.deepEqual(parsed('-c wrangler.toml versions secret delete NAME'), ['delete', 'NAME']);
  for (const line of ['secret list', 'deploy', 'd1 execute DB --command secret', 'tail']) assert.equal(parsed(line), undefined, line);
  assert.deepEqual(secretCommand(['secret', 'put', 'NAME', '--env=staging', '-c', 'x.toml']).options, { '--env': 'staging', '-c': 'x.toml' });
});

test('secretsIn refuses an API key, under any name and in every form that wrangler reads', () => {
  const refused = [
    `A=b\nTENANTS_API_KEY=${apiKey}`, 'export TENANTS_API_KEY="x"', 'TENANTS_API_KEY: x', '  TENANTS_API_KEY =', `OTHER=${apiKey}`, `OTHER='${apiKey}'`,
    '{"TENANTS_API_KEY": "x"}', '{"\\u0054ENANTS_API_KEY": "x"}', `{"OTHER": "${apiKey}"}`, 'TENANTS_DEVELOPMENT=true', 'CLOUDFLARE_API_TOKEN=x',
  ];
  for (const text of refused) assert.throws(() => secretsIn(text, 'a.local'), /a\.local contains .* No secret was uploaded/, text);
  assert.deepEqual(secretsIn(`# TENANTS_API_KEY=${apiKey}\nA=b==\n`, 'a.local'), { A: 'b==' });
  assert.deepEqual(secretsIn('{"A": "b", "C": null}', 'a.local'), { A: 'b', C: null });
});

/** The members of what `env:reseal --dry-run --format json` prints. */
const TABLES = ['tenants', 'plans', 'answers', 'jobs', 'deleted', 'webhooks'];

/** Runs the check against a Worker that has `names`, and a database of which `lost` rows of a table would not decrypt. */
async function check(line, { input, names = [KEY], lost = 0, table: lostFrom = 'tenants', vars = `${KEY}=old\n` } = {}) {
  const surveyed = [];
  await checkSecretChange(secretCommand(line.split(' ')), {
    input,
    varsFile: vars === null ? join(folder, 'none') : file(vars),
    names: async () => names,
    survey: async (keys) => {
      surveyed.push(keys);
      return Object.fromEntries(TABLES.map((table) => [table, { current: 1, previous: 0, other: table === lostFrom ? lost : 0 }]));
    },
  });
  return surveyed;
}

test('a command that does not touch the encryption key is not held up by a survey', async () => {
  assert.deepEqual(await check('secret put CHEVERETO_TENANTS_API_REQUEST_SECRET', { input: 'x', lost: 9 }), []);
  assert.deepEqual(await check(`secret bulk ${file('CHEVERETO_TENANTS_API_KEY_SECRET=x\n')}`, { lost: 9 }), []);
});

test('the first encryption key, and a previous one where there is none, need no survey', async () => {
  assert.deepEqual(await check(`secret bulk ${file(`${KEY}=new\n`)}`, { names: [], vars: null, lost: 9 }), []);
  assert.deepEqual(await check(`secret put ${PREVIOUS}`, { input: 'new', names: [KEY], lost: 9 }), []);
});

test('a change is surveyed with the keys that the Worker will have after it', async () => {
  const both = [KEY, PREVIOUS];
  assert.deepEqual(await check(`secret put ${PREVIOUS}`, { input: 'new\n', names: both }), [{ [KEY]: 'old', [PREVIOUS]: 'new' }]);
  assert.deepEqual(await check(`secret bulk ${file(`${KEY}=new\n${PREVIOUS}=old\n`)}`, { names: both }), [{ [KEY]: 'new', [PREVIOUS]: 'old' }]);
  assert.deepEqual(await check('secret bulk', { input: `${KEY}=new\n`, names: both, vars: `${KEY}=old\n${PREVIOUS}=older\n` }), [{ [KEY]: 'new', [PREVIOUS]: 'older' }]);
  // A previous key that only the file has does not count.
  assert.deepEqual(await check(`secret put ${KEY}`, { input: 'new', names: [KEY], vars: `${KEY}=old\n${PREVIOUS}=older\n` }), [{ [KEY]: 'new' }]);
  assert.deepEqual(await check(`secret delete ${PREVIOUS}`, { names: both, vars: `${KEY}=new\n${PREVIOUS}=old\n` }), [{ [KEY]: 'new' }]);
  assert.deepEqual(await check(`secret bulk ${file(`{"${PREVIOUS}": null}`)}`, { names: both, vars: `${KEY}=new\n` }), [{ [KEY]: 'new' }]);
});

test('a change after which a row would not decrypt is refused', async () => {
  const both = [KEY, PREVIOUS];
  for (const [line, input] of [[`secret put ${PREVIOUS}`, 'new'], [`secret put ${KEY}`, 'new'], [`secret delete ${PREVIOUS}`], ['secret bulk', `${KEY}=new\n`], [`versions secret delete ${PREVIOUS}`]]) {
    await assert.rejects(check(line, { input, names: both, lost: 2 }), /2 rows in the database would not decrypt any more .*No secret was changed/, line);
  }
  for (const table of TABLES) {
    await assert.rejects(check(`secret delete ${PREVIOUS}`, { names: both, lost: 1, table }), new RegExp(`1 row in the database would not decrypt any more \\(${table}: 1\\)`), table);
  }
  await assert.rejects(check(`secret delete ${KEY}`, { names: both }), /cannot be deleted/);
});

test('a change that cannot be checked is refused', async () => {
  await assert.rejects(check(`secret delete ${PREVIOUS}`, { names: [KEY, PREVIOUS], vars: null }), /has no CHEVERETO_ENCRYPTION_KEY/);
  await assert.rejects(check(`secret put ${KEY}`, { names: [KEY] }), /pipe the value/);
});

test('what wrangler would take and this check would not see is refused', async () => {
  for (const line of [`${KEY}: new`, 'x', `A=1\n${KEY}\t: new`]) await assert.rejects(check(`secret bulk ${file(`# a comment\n\n${line}\n`)}`, { lost: 9 }), /line \d: expected NAME=value. No secret was uploaded/, line);
  await assert.rejects(check('secret bulk', { input: `${KEY}: new\n` }), /the input, line 1/);
  await assert.rejects(check(`deploy --secrets-file ${file(`${KEY}=new\n`)}`, { names: [KEY], lost: 2 }), /2 rows in the database would not decrypt/);
  await assert.rejects(check(`versions upload --secrets-file=${file(`TENANTS_API_KEY=${apiKey}\n`)}`), /contains TENANTS_API_KEY/);
  for (const name of [KEY, 'CHEVERETO_TENANTS_API_REQUEST_SECRET']) await assert.rejects(check(`secret put ${name}`, { input: '\n' }), /the input is empty/);
});

test('an API key cannot be put under another name, and a forbidden name cannot be put', async () => {
  await assert.rejects(check('secret put OTHER', { input: apiKey }), /contains an API key/);
  await assert.rejects(check('secret put TENANTS_DEVELOPMENT', { input: 'true' }), /must not be a secret of the Worker/);
});

test('a file that others may read is refused', { skip: process.platform === 'win32' && 'Windows has no such modes' }, async () => {
  await assert.rejects(check(`secret bulk ${file('A=b\n', 0o644)}`), /other users of this machine may read .*`chmod 600/);
});

test('npm run wrangler refuses before wrangler runs', () => {
  const run = (args, input = '') => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts', 'wrangler.mjs'), ...args], { encoding: 'utf8', input, env: { ...process.env, CLOUDFLARE_API_TOKEN: 'x', CLOUDFLARE_ACCOUNT_ID: 'x', CLOUDFLARE_API_BASE_URL: 'http://127.0.0.1:9' } });
    return { status, stderr };
  };
  const bulk = run(['secret', 'bulk', file(`A=b\nTENANTS_API_KEY=${apiKey}\n`)]);
  assert.equal(bulk.status, 1, bulk.stderr);
  assert.match(bulk.stderr, /contains TENANTS_API_KEY/);
  assert.ok(!bulk.stderr.includes(apiKey), bulk.stderr);
  const piped = run(['secret', 'put', 'OTHER'], apiKey);
  assert.equal(piped.status, 1, piped.stderr);
  assert.match(piped.stderr, /contains an API key/);
});
