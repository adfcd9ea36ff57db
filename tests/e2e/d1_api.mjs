// A stand-in on loopback for Cloudflare's API, as far as `wrangler d1` needs it: one database, in SQLite.
//
// D1's query API takes several statements in one text and cuts the text itself. How it cuts is not documented, and it has been reported
// to cut inside triggers. The stand-in cuts as naively as a caller chooses, so a text that passes here does not depend on D1's cutter.
import http from 'node:http'
import { DatabaseSync } from 'node:sqlite'
import { after } from 'node:test'

/** Cuts a text after every line that ends with a semicolon, whatever the line is part of. */
export const cutAtLineEnds = (text) => pieces(text.split(/(?<=;[ \t]*)\r?\n/))

/** Cuts a text after every semicolon that is not between BEGIN and END. Knows neither strings nor comments. */
export function cutOutsideOfBlocks(text) {
  const cut = ['']
  let depth = 0
  for (const [token] of text.matchAll(/\w+|\W/g)) {
    if (token === 'BEGIN') depth += 1
    if (token === 'END') depth -= 1
    cut[cut.length - 1] += token
    if (token === ';' && depth === 0) cut.push('')
  }
  return pieces(cut)
}

const pieces = (cut) => cut.map((piece) => piece.trim()).filter((piece) => piece.replace(/^\s*--.*$/gm, '').trim() !== '')

/**
 * Starts the stand-in, which stops when the test file that started it ends.
 * @param {(text: string) => string[]} cut
 * @returns {Promise<{ url: string, db: DatabaseSync, sent: string[] }>} `sent` has the text of every query
 */
export async function startD1Api(cut) {
  const db = new DatabaseSync(':memory:')
  const sent = []
  const server = http.createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const answer = (status, body) => response.writeHead(status, { 'Content-Type': 'application/json' })
      .end(JSON.stringify({ result: null, success: status === 200, errors: [], messages: [], ...body }))
    if (request.method !== 'POST' || !/^\/accounts\/[^/]+\/d1\/database\/[^/]+\/query$/.test(request.url)) {
      return answer(404, { errors: [{ code: 7003, message: `Could not route to ${request.method} ${request.url}` }] })
    }
    const { sql } = JSON.parse(Buffer.concat(chunks).toString())
    sent.push(sql)
    try {
      answer(200, { result: runAll(db, cut(sql)) })
    } catch (error) {
      answer(400, { errors: [{ code: 7500, message: `${error.message}: SQLITE_ERROR` }] })
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  after(() => (server.close(), server.closeAllConnections(), db.close()))
  return { url: `http://127.0.0.1:${server.address().port}`, db, sent }
}

/** Runs statements in one transaction, as D1 does. SQLite prepares only the first statement of a text, so a piece with more fails here. */
function runAll(db, statements) {
  db.exec('BEGIN')
  try {
    const results = statements.map((text) => {
      const statement = db.prepare(text)
      if (rest(statement.sourceSQL, text) !== '') throw new Error(`more than one statement: ${text}`)
      return { results: statement.all(), success: true, meta: { duration: 0.1, changes: 0, rows_read: 0, rows_written: 0 } }
    })
    db.exec('COMMIT')
    return results
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}

/** The part of a text after its first statement, without comments. */
const rest = (first, text) => text.slice(text.indexOf(first) + first.length).replace(/--.*$/gm, '').trim()
