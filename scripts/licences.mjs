// `node scripts/licences.mjs` checks that dependencies have only licences and sources that deny.toml allows, and no known vulnerability.

import { spawnSync } from 'node:child_process';
import { environment, tool } from './lib/environment.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';
import { ensureCargoDeny } from './setup.mjs';

/** Runs cargo-deny, two minutes at most. Returns whether it found nothing, and its output. */
export function deny(...args) {
  const { status, stderr, error } = spawnSync(tool('cargo-deny'), ['--workspace', '--locked', ...args], { cwd: root, env: environment(), encoding: 'utf8', maxBuffer: 1 << 28, timeout: 120_000 });
  return { ok: status === 0, output: error?.message ?? stderr };
}

export async function checkLicences() {
  await ensureCargoDeny();
  const rules = deny('check', 'licenses', 'bans', 'sources');
  if (!rules.ok) throw new Stop(rules.output);
  say('  every crate has a licence and a source that deny.toml allows');
  // The advisories are on GitHub, which not every network reaches.
  const fetched = deny('fetch', 'db');
  if (!fetched.ok) return say(`  advisories are not checked: their database, https://github.com/RustSec/advisory-db, cannot be fetched\n${fetched.output.trim().replace(/^/gm, '    ')}`);
  const advisories = deny('check', 'advisories');
  if (!advisories.ok) throw new Stop(advisories.output);
  say('  no crate has a known advisory');
}

if (isMain(import.meta)) await main(checkLicences);
