// `npm test` runs every check, one step after another, and prints a summary. CI runs the same command.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { forgetHosts } from './hosts.mjs';
import { inCi } from './lib/ci.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';
import { steps } from './lib/steps.mjs';
import { ensurePrograms } from './lib/system.mjs';
import { ensure } from './setup.mjs';

const help = `npm test -- [--only STEP]… [--keep-going] [--list]

  --only STEP    runs only this step; may be repeated, or take a list with commas
  --keep-going   does not stop at the first failure
  --list         prints the steps and runs none`;

async function test() {
  const values = options();
  if (values.help) return void console.log(help);
  if (values.list) return void steps.forEach(({ name, about }) => console.log(`${name.padEnd(14)}${about}`));
  const chosen = choose(values.only ?? []);

  await ensure();
  if (chosen === steps) forgetHosts();
  const remove = ownTemporaryFolder();
  try {
    return await performAll(chosen, values['keep-going']);
  } finally {
    remove();
  }
}

async function performAll(chosen, keepsGoing) {
  const results = [];
  let interrupted = false;
  process.once('SIGINT', () => (interrupted = true));
  let beside = Promise.resolve();
  for (const step of chosen) {
    // A failure is that of the step that builds the same again.
    if (step.beside && chosen === steps) beside = step.beside().catch(() => {});
    if (step.waits) await beside;
    const result = await perform(step);
    results.push(result);
    if (interrupted || (result.outcome === 'failed' && !keepsGoing)) break;
  }
  const code = summarize(results, chosen);
  await beside;
  return code;
}

/** Gives all that the steps start a temporary folder of their own, since a program that is killed leaves its files. Returns what removes it. */
function ownTemporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'tenants-tests-'));
  // wrangler keeps what it compiled in the temporary folder.
  process.env.NODE_COMPILE_CACHE ??= join(root, 'target', 'node-compile-cache');
  process.env.TMPDIR = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

function options() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: 'string', multiple: true },
        'keep-going': { type: 'boolean' },
        list: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    throw new Stop(`${error.message}\n\n${help}`, 2);
  }
}

function choose(only) {
  const names = only.flatMap((list) => list.split(','));
  const unknown = names.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) throw new Stop(`there is no step \`${unknown.join('`, `')}\`; \`npm test -- --list\` prints the steps`, 2);
  return names.length === 0 ? steps : steps.filter((step) => names.includes(step.name));
}

async function perform(step) {
  const started = Date.now();
  const ended = (outcome, why) => ({ name: step.name, outcome, why, seconds: (Date.now() - started) / 1000 });
  console.log(`\n── ${step.name}: ${step.about}`);
  const missing = await ensurePrograms([...(step.programs ?? []), ...(step.helpers ?? [])]);
  if (missing.length > 0) {
    // A pass in CI must mean that everything ran. A developer can try a change without a browser.
    if (inCi()) return ended('failed', `not installed: ${missing.join(', ')}`);
    if (missing.some((name) => step.programs?.includes(name))) return ended('skipped', `not installed: ${missing.join(', ')}`);
    console.log(`(not installed: ${missing.join(', ')}; the tests that need it are skipped)`);
  }
  try {
    const { skipped = 0 } = (await step.run()) ?? {};
    return ended('passed', skipped > 0 ? `${skipped} tests skipped, see above` : undefined);
  } catch (error) {
    say(error instanceof Stop ? error.message : error.stack);
    return ended('failed', 'see above');
  }
}

function summarize(results, chosen) {
  console.log('');
  for (const { name, outcome, why, seconds } of results) {
    console.log(`${outcome.padEnd(8)}${name.padEnd(14)}${seconds.toFixed(1).padStart(7)} s${why ? `   ${why}` : ''}`);
  }
  for (const { name } of chosen.slice(results.length)) console.log(`not run ${name}`);
  const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
  const skipped = count('skipped');
  console.log(`\n${count('passed')} passed, ${count('failed')} failed${skipped ? `, ${skipped} skipped` : ''}`);
  return count('failed') === 0 ? 0 : 1;
}

if (isMain(import.meta)) await main(test);
