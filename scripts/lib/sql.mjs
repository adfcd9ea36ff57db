// Splits SQL files into statements.

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
