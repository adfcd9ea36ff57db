// Reads the schema, and splits SQL files into statements.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Returns the whole schema of a registry. `folder` is that of the project. */
export const readSchema = (folder) => ['schema.sql', 'schema_writes.sql'].map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');

/** Returns the statements of a text, without comments. Assumes that no string contains `--`, and that a trigger ends with `END;`. */
export function splitStatements(text) {
  const statements = [];
  let pending = '';
  for (const piece of text.replace(/--.*$/gm, '').split(/(?<=;)/)) {
    pending += piece;
    const inTrigger = /^\s*CREATE\s+TRIGGER\b/i.test(pending) && !/\bEND\s*;$/i.test(pending);
    if (!pending.endsWith(';') || inTrigger) continue;
    statements.push(pending.trim().slice(0, -1).replace(/\s+\n/g, '\n'));
    pending = '';
  }
  if (pending.trim() !== '') throw new Error(`a statement has no semicolon at its end: ${pending.trim().slice(0, 80)}`);
  return statements;
}
