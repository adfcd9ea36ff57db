// `node scripts/licences.mjs` checks that dependencies have only licences and sources that deny.toml allows, and no known vulnerability.

import { spawnSync } from 'node:child_process';
import { environment } from './lib/environment.mjs';
import { packages, rules, violations } from './lib/licences.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';

export async function checkLicences() {
  const all = packages();
  const found = violations(all, await rules());
  if (found.length > 0) throw new Stop(found.join('\n'));
  say(`  ${all.length} crates have licences and sources that deny.toml allows`);
  checkAdvisories();
}

/** Needs cargo-deny and its database of advisories, which it fetches with Git. Without them, says so and checks nothing. */
function checkAdvisories() {
  const deny = (...args) => spawnSync('cargo', ['deny', ...args], { cwd: root, env: environment(), encoding: 'utf8' });
  if (deny('--version').status !== 0) return say('  advisories are not checked: cargo-deny is not installed (`cargo install --locked cargo-deny`)');
  if (deny('fetch', 'db').status !== 0) return say('  advisories are not checked: cargo-deny cannot fetch its database');
  const { status, stderr } = deny('--locked', 'check', 'advisories');
  if (status !== 0) throw new Stop(stderr);
  say('  no crate has a known advisory');
}

if (isMain(import.meta)) await main(checkLicences);
