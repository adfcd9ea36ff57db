// Other users of a machine can read the arguments of every program, and files that were written without `umask 077`. No command of our
// guides puts a secret into either.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from './lib/run.mjs';

const pages = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.md'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean);

/** Every command of a page's shell blocks, with continued lines joined. */
const commands = (text) =>
  [...text.matchAll(/^ *```(?:sh|bash|shell|console)\n([^]*?)^ *```/gm)].flatMap(([, block]) => block.replace(/\\\n/g, ' ').split('\n')).map((line) => line.trim()).filter((line) => line && !line.startsWith('#'));

const leaks = [
  [/-hmac|-macopt/, 'openssl shows its key as an argument'],
  [/-H +["']?X-API-Key/i, 'curl shows the key as an argument; use -H @-'],
  [/-H +["']?X-Signature/i, 'curl shows the signature as an argument; use -H @-'],
  [/--(api-key|request-secret|key-secret)\b/, 'the option shows a secret'],
  [/--key +(?!- )/, 'the option shows the key; use --key -'],
  [/(-x|--password) +(?!-( |$))/, 'the option shows the password; use -x -'],
];

/** Why a command shows a secret, or leaves it in a file that others may read. */
function faultsOf(command) {
  const found = leaks.filter(([pattern]) => pattern.test(command)).map(([, why]) => why);
  const makesSecret = /openssl (rand|genpkey)|api:key:create|\.production\.local *>|_SECRET=|_KEY=/.test(command);
  if (makesSecret && /(?<![<=>])>(?!>) *(?!\/dev)|-out /.test(command.replace(/2>&1/g, '')) && !command.includes('umask 077')) found.push('others may read the file; use (umask 077; …)');
  return found;
}

/** Shows how HMAC works with the well-known key `secret`, which is none. */
const harmless = ["printf '' | openssl dgst -sha256 -hmac secret"];

test('no command of a guide shows a secret to other users of the machine', () => {
  const all = pages.flatMap((page) => commands(readFileSync(join(root, page), 'utf8')).map((command) => ({ page, command })));
  assert.ok(all.length > 100, `${all.length} commands`);
  const found = all.filter(({ command }) => !harmless.includes(command)).flatMap(({ page, command }) => faultsOf(command).map((why) => `${page}: ${command}: ${why}`));
  assert.deepEqual(found, []);
  for (const command of harmless) assert.ok(all.some((each) => each.command === command), `${command} is in no guide any more`);
});

test('the check above finds each way to show a secret', () => {
  for (const command of [
    'openssl dgst -sha256 -hmac "$SECRET"', 'openssl dgst -sha256 -mac HMAC -macopt hexkey:$S', 'curl "$API" -H "X-API-Key: $KEY"', "curl -H 'x-api-key: chv_1_x'", 'curl -H "X-Signature: $(sign)"',
    'tenants list --api-key chv_1_x', 'tenants api:key:verify --key chv_1_x', 'tenants install -x "$PASSWORD"', 'tenants install --password hunter2 -u admin',
    'openssl rand -hex 32 > new.local', 'openssl genpkey -algorithm ed25519 -out legacy.local', 'tenants api:key:create > key.local',
  ]) assert.equal(faultsOf(command).length, 1, command);
  for (const command of ['(umask 077; openssl rand -hex 32 > new.local)', 'tenants api:key:verify --key - < key.local', 'tenants install -x - < password', 'openssl rand -hex 32 | npm run -s wrangler -- secret put X', 'curl -H @-']) {
    assert.deepEqual(faultsOf(command), [], command);
  }
});
