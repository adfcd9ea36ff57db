// `node scripts/prose.mjs`: the share of sentences that begin with a what-clause, for each folder, and every such sentence.
// `npm test` fails above the limit (prose.test.mjs).

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasProse, isWhatClause, sentencesOf } from './lib/prose.mjs';
import { isMain, main, root } from './lib/run.mjs';

/** The share of all sentences that may begin with a what-clause. */
export const LIMIT = 0.01;

/** Reads every page and every comment of the project. Returns how many sentences each folder has, and those that begin with a what-clause. */
export function readProse() {
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  const folders = new Map();
  const found = [];
  for (const path of listed.split('\0')) {
    // Vectors quote other people's documents.
    if (!hasProse(path) || path.startsWith('tests/vectors/') || !existsSync(join(root, path))) continue;
    const folder = folderOf(path);
    const counts = folders.get(folder) ?? { sentences: 0, clauses: 0 };
    folders.set(folder, counts);
    for (const { line, text } of sentencesOf(path, readFileSync(join(root, path), 'utf8'))) {
      counts.sentences += 1;
      if (!isWhatClause(text)) continue;
      counts.clauses += 1;
      found.push(`${path}:${line}: ${text}`);
    }
  }
  const sum = (of) => [...folders.values()].reduce((total, counts) => total + of(counts), 0);
  const total = { sentences: sum(({ sentences }) => sentences), clauses: sum(({ clauses }) => clauses) };
  return { folders, found, total, share: total.clauses / total.sentences };
}

/** Returns the folder that a file is counted under: the crate, the folder of tests, or the top folder. */
function folderOf(path) {
  const parts = path.split('/');
  if (parts.length === 1) return '(top)';
  return parts.slice(0, ['crates', 'tests', 'examples'].includes(parts[0]) && parts.length > 2 ? 2 : 1).join('/');
}

/** Returns the table of folders, and the total below it. */
export function table({ folders, total }) {
  const line = (name, { sentences, clauses }) =>
    `${name.padEnd(20)}${String(clauses).padStart(5)} of ${String(sentences).padStart(5)}  ${((100 * clauses) / Math.max(sentences, 1)).toFixed(1).padStart(5)} %`;
  return [...[...folders].sort().map(([name, counts]) => line(name, counts)), line('all', total)].join('\n');
}

if (isMain(import.meta)) {
  await main(() => {
    const prose = readProse();
    console.log(`${prose.found.join('\n')}\n\n${table(prose)}`);
    return prose.share > LIMIT ? 1 : 0;
  });
}
