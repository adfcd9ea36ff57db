// Files of SQL, statement by statement.

/** The statements of a text, without its comments. No text in them holds `--`, and a trigger's body ends with a line `END;`. */
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
  if (pending.trim() !== '') throw new Error(`a statement without an end: ${pending.trim().slice(0, 80)}`);
  return statements;
}
