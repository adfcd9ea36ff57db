// Runs test files with Node's test runner: `node node_tests.mjs NOTES FILE…`. The files that took longest the last time begin first, so that no
// long one is left alone at the end. NOTES is the JSON file that remembers their times, and how many tests were skipped.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** A file that takes longer hangs: the slowest takes some three minutes on a busy machine. */
const TIMEOUT_MS = 1_200_000;

const [notes, ...files] = process.argv.slice(2);
const { took: before = {} } = existsSync(notes) ? JSON.parse(readFileSync(notes, 'utf8')) : {};
// One that was never measured may be long.
const expected = (file) => before[file] ?? Infinity;
const took = {};
let skipped = 0;
const ended = ({ file, nesting, skip, details }) => {
  if (skip !== undefined) skipped += 1;
  if (nesting === 0 && file) took[file] = (took[file] ?? 0) + details.duration_ms;
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
    process.exitCode = 1;
  })
  .on('end', () => {
    mkdirSync(dirname(notes), { recursive: true });
    writeFileSync(notes, JSON.stringify({ took: { ...before, ...took }, skipped }));
  })
  .compose(spec)
  .pipe(process.stdout);
