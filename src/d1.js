// The only code that knows D1: a batch in, its rows out. In two steps, so that one function awaits and not two: on a request's way
// each costs.

/** Runs a batch, each statement's text and its values in JSON, a line each, as one transaction; answers what `rowsOf` reads. */
export function run(db, lines) {
  const statements = []
  for (let i = 0; i < lines.length; i += 2) statements.push(db.prepare(lines[i]).bind(...JSON.parse(lines[i + 1])))
  // One statement is a transaction by itself; `raw` spares an object for each row.
  return statements.length === 1 ? statements[0].raw() : db.batch(statements)
}

/** The rows of such a batch's statements: `[[[value, …], …], …]` in JSON. */
export function rowsOf(lines, answer) {
  if (lines.length === 2) return `[${JSON.stringify(answer)}]`
  // Rows come as objects with their columns in order: no two columns of a statement have one name, and none is a number.
  return JSON.stringify(answer.map(({ results }) => results.map(Object.values)))
}
