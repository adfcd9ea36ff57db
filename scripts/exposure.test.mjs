import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'smol-toml';
import { checkExposure, checkSecretNames, faults, readConfig } from './lib/exposure.mjs';
import { root } from './lib/run.mjs';

/** A configuration without a fault, and with `more` at its top level or in tables below. */
const good = (more = '') => `preview_urls = false\nobservability.enabled = true\nobservability.logs = { enabled = true, invocation_logs = false }\n${/workers_dev/.test(more) ? '' : 'workers_dev = true\n'}${more}`;
const found = (text) => faults(parse(text));

test('the project’s own wrangler.toml has no fault', async () => {
  assert.deepEqual(faults(await readConfig()), []);
  assert.deepEqual(found(good()), []);
});

test('TENANTS_DEVELOPMENT is found however it is written', () => {
  const forms = {
    'a section': '[vars]\nTENANTS_DEVELOPMENT = "true"',
    'a section with other names': '[vars]\nA = "1"\n  TENANTS_DEVELOPMENT="false" # a comment',
    'an inline table': 'vars = { A = "1", TENANTS_DEVELOPMENT = "true" }',
    'a dotted key': 'vars.TENANTS_DEVELOPMENT = "true"',
    'a quoted key': '[vars]\n"TENANTS_DEVELOPMENT" = "true"',
    'a literal key': "[vars]\n'TENANTS_DEVELOPMENT' = true",
    'an escaped key': '[vars]\n"\\u0054ENANTS_DEVELOPMENT" = "true"',
    'a quoted section': '["vars"]\nTENANTS_DEVELOPMENT = "true"',
    'dotted and quoted': '"vars" . "TENANTS_DEVELOPMENT" = "true"',
    'an environment': '[env.staging.vars]\nTENANTS_DEVELOPMENT = "true"',
    'an environment, inline': 'env.staging = { vars = { TENANTS_DEVELOPMENT = "true" } }',
    'an environment, dotted': '[env.staging]\nvars.TENANTS_DEVELOPMENT = "true"',
    'previews': '[previews.vars]\nTENANTS_DEVELOPMENT = "true"',
    'a table as its value': '[vars.TENANTS_DEVELOPMENT]\na = 1',
    'a binding of that name': '[[secrets_store_secrets]]\nbinding = "TENANTS_DEVELOPMENT"\nstore_id = "x"\nsecret_name = "y"',
    'an unsafe binding': '[[unsafe.bindings]]\nname = "TENANTS_DEVELOPMENT"\ntype = "plain_text"\ntext = "true"',
    'a required secret': '[secrets]\nrequired = ["CHEVERETO_ENCRYPTION_KEY", "TENANTS_DEVELOPMENT"]',
  };
  for (const [form, text] of Object.entries(forms)) {
    const faults = found(good(text));
    assert.equal(faults.length, 1, `${form}: ${faults.join('\n')}`);
    assert.match(faults[0], /^wrangler\.toml: .* sets TENANTS_DEVELOPMENT\. Remove it/, form);
    assert.throws(() => checkExposure(parse(good(text))), /TENANTS_DEVELOPMENT/, form);
  }
  for (const text of ['# TENANTS_DEVELOPMENT = "true"', '[vars]\nTENANTS_DEVELOPMENTS = "x"', '[vars]\nNOTE = "never set TENANTS_DEVELOPMENT = here"']) {
    assert.deepEqual(found(good(text)), [], text);
  }
});

test('an API key in wrangler.toml is found', () => {
  assert.match(found(good('[vars]\nTENANTS_API_KEY = "chv_1_x"'))[0], /vars\.TENANTS_API_KEY sets TENANTS_API_KEY/);
});

test('preview_urls must be false, in every environment', () => {
  for (const text of [good().replace('preview_urls = false', ''), good().replace('preview_urls = false', 'preview_urls = true'), good('[env.staging]\npreview_urls = true')]) {
    const faults = found(text);
    assert.equal(faults.length, 1, faults.join('\n'));
    assert.match(faults[0], /set preview_urls = false/);
  }
  assert.match(found(good('[env.staging]\npreview_urls = true'))[0], /^env\.staging: /);
  assert.deepEqual(found(good('[env.staging]\nname = "staging"')), []);
});

test('workers_dev must be stated, and false beside a domain of its own', () => {
  assert.match(found(good().replace('workers_dev = true', ''))[0], /set workers_dev: false if/);
  const domain = 'routes = [{ pattern = "tenants.example.com", custom_domain = true }]';
  assert.match(found(good(domain))[0], /set workers_dev = false\./);
  assert.match(found(good('route = "tenants.example.com/*"'))[0], /set workers_dev = false\./);
  assert.match(found(good(`workers_dev = false\n${domain}\n[env.staging]\nworkers_dev = true`))[0], /^env\.staging: set workers_dev = false\./);
  assert.deepEqual(found(good(`workers_dev = false\n${domain}`)), []);
  assert.deepEqual(found(good('workers_dev = false')), []);
  assert.match(found(good(`workers_dev = false\n${domain.replace('true }', 'true, previews_enabled = true }')}`))[0], /remove previews_enabled/);
});

test('invocation_logs must be false unless nothing is logged', () => {
  const without = good().replace(', invocation_logs = false', '');
  for (const text of [without, without.replace('observability.logs', '# observability.logs'), good('[env.staging.observability]\nenabled = true')]) {
    const faults = found(text);
    assert.equal(faults.length, 1, faults.join('\n'));
    assert.match(faults[0], /set invocation_logs = false/);
  }
  assert.deepEqual(found('preview_urls = false\nworkers_dev = true\nobservability.enabled = false'), []);
  assert.match(found('preview_urls = false\nworkers_dev = true\nobservability = { enabled = false, logs = { enabled = true } }')[0], /invocation_logs/);
});

test('keep_vars is refused, since it keeps variables that wrangler.toml does not show', () => {
  assert.match(found(good('keep_vars = true'))[0], /remove keep_vars/);
});

test('a secret of a forbidden name is found in the list of the Worker’s secrets', () => {
  checkSecretNames(['CHEVERETO_ENCRYPTION_KEY']);
  assert.throws(() => checkSecretNames(['CHEVERETO_ENCRYPTION_KEY', 'TENANTS_DEVELOPMENT']), /secret delete TENANTS_DEVELOPMENT/);
  assert.throws(() => checkSecretNames(['TENANTS_API_KEY']), /secret delete TENANTS_API_KEY/);
});

test('a wrangler.toml that does not parse is an error that names the file', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tenants-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'wrangler.toml'), 'vars = {');
  await assert.rejects(readConfig(join(folder, 'wrangler.toml')), /wrangler\.toml: /);
});

test('wrangler’s schema has every key that the checks read', () => {
  const { definitions } = JSON.parse(readFileSync(join(root, 'node_modules', 'wrangler', 'config-schema.json'), 'utf8'));
  for (const key of ['preview_urls', 'workers_dev', 'keep_vars', 'route', 'routes', 'observability']) assert.ok(key in definitions.RawConfig.properties, key);
  assert.ok('invocation_logs' in definitions.Observability.properties.logs.properties);
  assert.ok('previews_enabled' in definitions.CustomDomainRoute.properties);
});

test('git ignores secrets and dumps of the database, but none of the project’s own files', () => {
  const ignored = (path) => spawnSync('git', ['check-ignore', '--quiet', '--no-index', path], { cwd: root }).status === 0;
  for (const path of ['.dev.vars', '.dev.vars.staging', '.env', '.env.production', '.production.local', 'backup.sql', 'docs/dump.sql', 'tests/e2e/x.local', 'migrations/.env']) assert.ok(ignored(path), path);
  for (const path of ['schema.sql', 'schema_writes.sql', 'migrations/0099_next.sql', 'tests/vectors/x.sql', 'crates/core/tests/exchange/statements.sql', 'wrangler.toml']) assert.ok(!ignored(path), path);
  assert.equal(execFileSync('git', ['ls-files', '--cached', '--ignored', '--exclude-standard'], { cwd: root, encoding: 'utf8' }), '');
});
