// Runs test files with Node's test runner: `node node_tests.mjs RESULT FILE…`. The files that took longest the last time begin first, so that no long
// one is left alone at the end. RESULT is the JSON file to write: the files of tests that `failed` or were `skipped`, and the seconds that each file `took`.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** A file that takes longer hangs: the slowest takes some three minutes on a busy machine. */
const TIMEOUT_MS = 1_200_000;

const [result, ...files] = process.argv.slice(2);
/** How long files took, in this run and in earlier ones. */
const memory = join(dirname(result), 'node-tests-took.json');
const before = existsSync(memory) ? JSON.parse(readFileSync(memory, 'utf8')) : {};
// One that was never measured may be long.
const expected = (file) => before[file] ?? Infinity;
const [failed, skipped, took] = [[], [], {}];
const ended = ({ file, nesting, skip, details }) => {
  if (skip !== undefined) skipped.push(file);
  if (nesting === 0 && file) took[file] = (took[file] ?? 0) + details.duration_ms / 1000;
};
run({
  files: files.toSorted((a, b) => expected(b) - expected(a)),
  // The tests wait for servers more than they compute. By default the runner leaves one core unused, which is half of two.
  concurrency: availableParallelism() + 1,
  timeout: TIMEOUT_MS,
})
  .on('test:pass', ended)
  .on('test:fail', (event) => {
    ended(event);
    if (event.nesting === 0) failed.push(event.file ?? event.name);
    process.exitCode = 1;
  })
  .on('end', () => {
    writeFileSync(memory, JSON.stringify({ ...before, ...took }));
    writeFileSync(result, JSON.stringify({ failed, skipped, took }));
  })
  .compose(spec)
  .pipe(process.stdout);
