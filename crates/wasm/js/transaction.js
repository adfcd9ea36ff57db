// Shared by the adapters for synchronous SQLite libraries.

/**
 * Runs statements in one transaction: all of them take effect, or none.
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
      // Some errors already end the transaction, and then ROLLBACK fails too. The first error is the one to report.
    }
    throw error
  }
}
