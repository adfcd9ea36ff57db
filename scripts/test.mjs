// `npm test` runs every check, one step after another, and prints a summary. CI runs the same command.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { parseArgs } from 'node:util';
import { forgetHosts } from './hosts.mjs';
import { inCi } from './lib/ci.mjs';
import { Stop, isMain, main, root, say } from './lib/run.mjs';
import { nodeTestFiles, steps } from './lib/steps.mjs';
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
  for (let at = 0; at < chosen.length; at = results.length) {
    const step = chosen[at];
    // A failure is that of the step that builds the same again.
    if (step.beside && chosen === steps) beside = step.beside().catch(() => {});
    if (step.waits) await beside;
    if (step.folder) results.push(...await performTogether(chosen.slice(at).filter(({ folder }) => folder)));
    else results.push(await perform(step));
    if (interrupted || (results.some(({ outcome }) => outcome === 'failed') && !keepsGoing)) break;
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
  console.log(`\n── ${step.name}: ${step.about}`);
  return measured(step, async () => {
    const lacking = await lacks(step);
    if (lacking) return lacking;
    const { skipped = 0 } = (await step.run()) ?? {};
    return passed(skipped);
  });
}

/** Performs steps that are folders of Node's tests. */
async function performTogether(together) {
  const built = [];
  for (const step of together) {
    console.log(`\n── ${step.name}: ${step.about}`);
    built.push(await measured(step, async () => (await lacks(step)) ?? void (await step.build())));
  }
  const folders = together.map(({ folder }) => folder).filter((_, at) => built[at].outcome === undefined);
  console.log('');
  const began = Date.now();
  const told = await nodeTestFiles(folders).catch((error) => {
    say(error instanceof Stop ? error.message : error.stack);
    return undefined;
  });
  const all = (Date.now() - began) / 1000;
  return built.map((result, at) => {
    if (result.outcome !== undefined) return result;
    if (!told) return { ...result, outcome: 'failed', why: 'see above' };
    const isOwn = (file) => file.startsWith(join(root, together[at].folder) + sep);
    // Its share of the time that all took together.
    const sum = (files) => files.reduce((total, file) => total + told.took[file], 0);
    const files = Object.keys(told.took);
    const seconds = result.seconds + (all * sum(files.filter(isOwn))) / sum(files);
    const isFailed = told.failed.some(isOwn);
    return { ...result, seconds, ...(isFailed ? { outcome: 'failed', why: 'see above' } : passed(told.skipped.filter(isOwn).length)) };
  });
}

/** What becomes of a step that lacks programs, if it cannot run without them. */
async function lacks(step) {
  const missing = await ensurePrograms([...(step.programs ?? []), ...(step.helpers ?? [])]);
  if (missing.length === 0) return undefined;
  // A pass in CI must mean that everything ran. A developer can try a change without a browser.
  if (inCi()) return { outcome: 'failed', why: `not installed: ${missing.join(', ')}` };
  if (missing.some((name) => step.programs?.includes(name))) return { outcome: 'skipped', why: `not installed: ${missing.join(', ')}` };
  console.log(`(not installed: ${missing.join(', ')}; the tests that need it are skipped)`);
  return undefined;
}

const passed = (skipped) => ({ outcome: 'passed', why: skipped > 0 ? `${skipped} tests skipped, see above` : undefined });

/** Does the work of a step, or a part of it. */
async function measured({ name }, work) {
  const started = Date.now();
  const ended = (what) => ({ name, seconds: (Date.now() - started) / 1000, ...what });
  try {
    return ended(await work());
  } catch (error) {
    say(error instanceof Stop ? error.message : error.stack);
    return ended({ outcome: 'failed', why: 'see above' });
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
