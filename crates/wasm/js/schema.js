// The tables of the registry, for a database that has none yet.
import { statements } from './schema-statements.js'

/** `schema.sql`, statement by statement. @type {readonly string[]} */
export const schema = statements

/**
 * Makes the tables in a fresh database; one that has them is left as it is. Answers whether it made them.
 * @param {import('./index.js').Database} database
 * @returns {Promise<boolean>}
 */
export async function prepareDatabase(database) {
  const [[found]] = await database.batch([{ sql: "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'api_keys'", params: [] }])
  if (Number(found?.[0]) !== 0) return false
  await database.batch(schema.map((sql) => ({ sql, params: [] })))
  return true
}
