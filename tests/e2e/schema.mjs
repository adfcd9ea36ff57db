// The schema of a database in a form that can be compared.
import { DatabaseSync } from 'node:sqlite'

/** Lists everything that a migration creates. The tables of D1 and SQLite themselves are left out. */
export const LIST = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name"

/** Removes comments and the differences in white space from the rows of LIST. */
export const normal = (rows) => rows.map((r) => ({ ...r, sql: r.sql?.replace(/--.*$/gm, '').replace(/\s+/g, ' ').replace(/ ?([(),]) ?/g, '$1').trim() }))

/** Returns the schema of a database. */
export const schemaOf = (db) => normal(db.prepare(LIST).all())

/** Runs these SQL texts in a new database, and returns its schema. */
export function schemaOfTexts(...texts) {
  const db = new DatabaseSync(':memory:')
  for (const text of texts) db.exec(text)
  const rows = schemaOf(db)
  db.close()
  return rows
}
