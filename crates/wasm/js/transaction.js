// What the adapters of synchronous SQLites share.

/**
 * Runs statements in one transaction: all of them, or none.
 * @template T
 * @param {(sql: string) => unknown} exec
 * @param {() => T} run
 * @returns {T}
 */
export function transaction(exec, run) {
  exec('BEGIN IMMEDIATE')
  try {
    const results = run()
    exec('COMMIT')
    return results
  } catch (error) {
    try {
      exec('ROLLBACK')
    } catch {
      // Some errors have ended the transaction already, and then there is none to end. The first error is what counts.
    }
    throw error
  }
}
