// The adapter for Cloudflare's D1.

/**
 * @typedef {object} PreparedStatement
 * @property {(...values: any[]) => PreparedStatement} bind
 * @property {() => Promise<any>} raw
 */

/**
 * @template {PreparedStatement} S
 * @typedef {object} D1 The parts of `D1Database` that the adapter uses.
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
      try {
        // A single statement is a transaction by itself, and `raw` returns its rows as arrays.
        if (prepared.length === 1) return [await prepared[0].raw()]
        const results = await db.batch(prepared)
        // `batch` returns rows as objects. `Object.values` keeps the order of the columns, because no statement has two columns of the
        // same name or a column whose name is a number.
        return results.map(({ results }) => results.map((row) => Object.values(row)))
      } catch (/** @type {any} */ error) {
        throw isPassing(error) ? Object.assign(new Error(error.message, { cause: error }), { code: 'unavailable' }) : error
      }
    },
  }
}

/** Whether D1 may succeed in a moment. @param {any} error */
function isPassing(error) {
  const message = String(error?.message)
  return PASSING.some((part) => message.includes(part))
}

/**
 * Parts of the messages of errors that pass by themselves (https://developers.cloudflare.com/d1/observability/debug-d1/), and of a Durable Object's
 * (https://developers.cloudflare.com/durable-objects/observability/troubleshooting/), which each D1 database is. D1 gives its errors no code. A test
 * compares the list with the Worker's.
 */
const PASSING = [
  'D1 DB is overloaded',
  'Durable Object is overloaded',
  'Network connection lost',
  'caused object to be reset',
  'reset because its code was updated',
  'transient issue on remote node',
]
