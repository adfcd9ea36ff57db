// Shared by the adapters for synchronous SQLite libraries.

/** How long a batch waits for another connection's transaction, in milliseconds. */
const BUSY_TIMEOUT_MS = 5000

/** SQLite's primary result codes SQLITE_BUSY and SQLITE_LOCKED. */
const BUSY = [5, 6]

/**
 * Prepares a connection: enforces foreign keys, and waits for other connections' transactions unless the connection already does.
 * @param {(sql: string) => unknown} exec
 * @param {(sql: string) => unknown} value returns the only value of a query
 */
export function prepareConnection(exec, value) {
  if (Number(value('PRAGMA busy_timeout')) === 0) exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
  exec('PRAGMA foreign_keys = ON')
}

/**
 * Runs statements in one transaction: all of them take effect, or none. Takes the write lock at the start: a transaction that reads first
 * and then writes fails, instead of waiting, if another connection has written in between.
 * @template T
 * @param {(sql: string) => unknown} exec
 * @param {() => T} run
 * @returns {T}
 */
export function transaction(exec, run) {
  try {
    exec('BEGIN IMMEDIATE')
  } catch (error) {
    throw described(error)
  }
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
    throw described(error)
  }
}

/** Returns the error, marked as `unavailable` if another connection holds the database. @param {any} error */
function described(error) {
  return isBusy(error) ? Object.assign(new Error(error.message, { cause: error }), { code: 'unavailable' }) : error
}

/** @param {any} error an error of node:sqlite (`errcode`), bun:sqlite (`errno`), SQLite's wasm (`resultCode`) or better-sqlite3 (`code`) */
function isBusy(error) {
  // The low byte of an extended result code is its primary code.
  const code = error?.errcode ?? error?.resultCode ?? error?.errno
  return typeof code === 'number' ? BUSY.includes(code & 0xff) : /^SQLITE_(BUSY|LOCKED)/.test(String(error?.code))
}
