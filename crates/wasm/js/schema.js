// Creates the registry's tables in a new database.
import { statements } from './schema-statements.js'

/** The statements of `schema.sql`. @type {readonly string[]} */
export const schema = statements

/**
 * Creates the tables in a new database. Leaves a database that has them unchanged. Resolves with whether it created them.
 * @param {import('./index.js').Database} database
 * @returns {Promise<boolean>}
 */
export async function prepareDatabase(database) {
  const [[found]] = await database.batch([{ sql: "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'api_keys'", params: [] }])
  if (Number(found?.[0]) !== 0) return false
  await database.batch(schema.map((sql) => ({ sql, params: [] })))
  return true
}
