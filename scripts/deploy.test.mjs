import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deployTo } from './deploy.mjs';

const secrets = ['CHEVERETO_TENANTS_API_KEY_SECRET', 'CHEVERETO_TENANTS_API_REQUEST_SECRET', 'CHEVERETO_ENCRYPTION_KEY'];
const config = { d1_databases: [{ binding: 'DB', database_id: 'an id' }] };

/** A stand-in for wrangler that records its commands. `answers` overrides its exit codes and outputs, by the first words of a command. */
function stand(t, answers = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tenants-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const calls = [];
  const usual = { 'secret list': JSON.stringify(secrets.map((name) => ({ name }))), 'd1 time-travel': '{"bookmark":"00000001-b"}', 'd1 migrations': 0, deploy: 0, ...answers };
  const answer = async (args) => {
    assert.ok(args.join(' ').includes('--config '), `${args}: names its configuration`);
    const command = Object.keys(usual).find((words) => args.join(' ').startsWith(words));
    calls.push(command);
    if (usual[command] instanceof Error) throw usual[command];
    return usual[command];
  };
  return { calls, history: join(folder, 'deployments.local'), run: answer, ask: answer };
}

test('a deployment notes the bookmark, then migrates, then deploys', async (t) => {
  const cloudflare = stand(t);
  assert.equal(await deployTo(config, cloudflare), 0);
  assert.equal(await deployTo(config, cloudflare), 0);
  assert.deepEqual(cloudflare.calls.slice(0, 4), ['secret list', 'd1 time-travel', 'd1 migrations', 'deploy']);
  assert.match(readFileSync(cloudflare.history, 'utf8'), /^(20\S+Z 00000001-b\n){2}$/);
  if (process.platform !== 'win32') assert.equal(statSync(cloudflare.history).mode & 0o777, 0o600);
});

test('nothing is deployed after a migration that failed', async (t) => {
  const cloudflare = stand(t, { 'd1 migrations': 1 });
  assert.equal(await deployTo(config, cloudflare), 1);
  assert.ok(!cloudflare.calls.includes('deploy'));
});

test('the database is not touched if a check fails or there is no bookmark', async (t) => {
  const names = (...more) => JSON.stringify([...secrets, ...more].map((name) => ({ name })));
  const failure = (output) => Object.assign(new Error('wrangler failed'), { output });
  for (const [answers, message] of [
    [{ 'secret list': names('TENANTS_DEVELOPMENT') }, /secret delete TENANTS_DEVELOPMENT/],
    [{ 'secret list': names('TENANTS_API_KEY') }, /secret delete TENANTS_API_KEY/],
    [{ 'secret list': '[]' }, /the Worker has no CHEVERETO_TENANTS_API_KEY_SECRET, CHEVERETO_TENANTS_API_REQUEST_SECRET, CHEVERETO_ENCRYPTION_KEY/],
    [{ 'secret list': failure('This Worker does not exist on your account. [code: 10007]') }, /the Worker has no /],
    [{ 'secret list': failure('You are not authenticated') }, /not logged in/],
    [{ 'secret list': failure('fetch failed') }, /wrangler failed/],
    [{ 'd1 time-travel': failure('fetch failed') }, /wrangler failed/],
    [{ 'd1 time-travel': '{}' }, /no Time Travel bookmark/],
  ]) {
    const cloudflare = stand(t, answers);
    await assert.rejects(deployTo(config, cloudflare), message);
    assert.ok(!cloudflare.calls.includes('d1 migrations') && !cloudflare.calls.includes('deploy'), String(message));
  }
});

test('a wrangler.toml that still has the placeholder of the database is refused', async (t) => {
  const cloudflare = stand(t);
  await assert.rejects(deployTo({ d1_databases: [{ binding: 'DB', database_id: '00000000-0000-0000-0000-000000000000' }] }, cloudflare), /d1 create tenants/);
  assert.deepEqual(cloudflare.calls, []);
});
