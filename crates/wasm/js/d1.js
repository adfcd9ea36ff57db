// Cloudflare's D1.

/**
 * @typedef {object} PreparedStatement
 * @property {(...values: any[]) => PreparedStatement} bind
 * @property {() => Promise<any>} raw
 */

/**
 * @template {PreparedStatement} S
 * @typedef {object} D1 What is used of a `D1Database`.
 * @property {(sql: string) => S} prepare
 * @property {(statements: S[]) => Promise<{results: any[]}[]>} batch
 */

/**
 * @param {D1<any>} db the binding
 * @returns {import('./index.js').Database}
 */
export function d1(db) {
  return {
    async batch(statements) {
      const prepared = statements.map(({ sql, params }) => db.prepare(sql).bind(...params))
      // One statement is a transaction by itself, and D1 answers it with the rows as they are wanted.
      if (prepared.length === 1) return [await prepared[0].raw()]
      const results = await db.batch(prepared)
      // Rows come as objects with their columns in order: no two columns of a statement have one name, and none is a number.
      return results.map(({ results }) => results.map((row) => Object.values(row)))
    },
  }
}
