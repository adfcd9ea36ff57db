// A stand-in on loopback for Cloudflare's API, as far as `wrangler d1` needs it: one database, in SQLite, with its migrations, export and import.
//
// D1's query API takes several statements in one text and cuts the text itself. How it cuts is not documented, and it has been reported
// to cut inside triggers. The stand-in cuts as naively as a caller chooses, so a text that passes here does not depend on D1's cutter.
import { createHash, randomUUID } from 'node:crypto'
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
 * @param {(text: string) => string[]} cut how it cuts a query
 * @param {(text: string) => string[]} [cutFile] how it cuts an imported file
 * @returns {Promise<{ url: string, db: DatabaseSync, sent: string[] }>} `sent` has the text of every query
 */
export async function startD1Api(cut, cutFile = cut) {
  const db = new DatabaseSync(':memory:')
  const sent = []
  const server = http.createServer(async (request, response) => {
    const chunks = []
    for await (const chunk of request) chunks.push(chunk)
    const answer = (status, body) => response.writeHead(status, { 'Content-Type': 'application/json' })
      .end(JSON.stringify({ result: null, success: status === 200, errors: [], messages: [], ...body }))
    const body = Buffer.concat(chunks)
    // Uploads and downloads go to other addresses than the API itself, without its form of responses.
    if (request.url.startsWith('/file?')) {
      const name = request.url.slice('/file?'.length)
      if (request.method === 'GET') return response.end(files.get(name))
      files.set(name, body.toString())
      return response.writeHead(200, { ETag: `"${createHash('md5').update(body).digest('hex')}"` }).end()
    }
    const handler = routes(db, cutFile)[`${request.method} ${request.url.replace(/^\/accounts\/[^/]+\/d1\/database\/[^/]+/, '').replace(/\?$/, '')}`]
    if (handler) {
      try {
        return handler(body, answer, response, `http://${request.headers.host}`)
      } catch (error) {
        return answer(400, { errors: [{ code: 7500, message: `${error.message}: SQLITE_ERROR` }] })
      }
    }
    if (request.method !== 'POST' || !/^\/accounts\/[^/]+\/d1\/database\/[^/]+\/query$/.test(request.url)) {
      return answer(404, { errors: [{ code: 7003, message: `Could not route to ${request.method} ${request.url}` }] })
    }
    const { sql } = JSON.parse(body.toString())
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

/** The longest statement that D1 takes, in bytes. */
const MAX_STATEMENT_BYTES = 100_000

/** Texts that were uploaded to be imported, or exported to be downloaded, by name. */
const files = new Map()

/** Export, import and Time Travel, as far as wrangler asks for them. */
const routes = (db, cut) => ({
  'GET ': (_, answer) => answer(200, { result: { version: 'production' } }),
  'GET /time_travel/bookmark': (_, answer) => answer(200, { result: { bookmark: '00000001-00000002-00000003' } }),
  'POST /export': (_, answer, response, origin) => {
    const name = randomUUID()
    files.set(name, [...exported(db)].join('\n'))
    answer(200, { result: { success: true, status: 'complete', messages: [], at_bookmark: '1', result: { filename: 'x.sql', signed_url: `${origin}/file?${name}` } } })
  },
  'POST /import': (body, answer, response, origin) => {
    const { action, etag } = JSON.parse(body.toString())
    if (action === 'init') return answer(200, { result: { success: true, upload_url: `${origin}/file?${etag}`, filename: 'x.sql', messages: [] } })
    const statements = cut(files.get(etag))
    for (const text of statements) if (Buffer.byteLength(text) > MAX_STATEMENT_BYTES) throw new Error('statement too long')
    runAll(db, statements)
    const meta = { duration: 1, rows_read: 0, rows_written: 0, size_after: 0 }
    answer(200, { result: { success: true, status: 'complete', messages: [], at_bookmark: '1', result: { num_queries: statements.length, final_bookmark: '1', meta } } })
  },
})

/** Writes a database as D1 does: `INSTEAD OF` triggers before their views, a row in one statement, line ends as escapes. */
function* exported(db) {
  const quoted = (name) => `"${name.replaceAll('"', '""')}"`
  yield 'PRAGMA defer_foreign_keys=TRUE;'
  for (const { name, sql } of db.prepare("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY tbl_name = 'sqlite_sequence', rowid").all()) {
    if (name === 'sqlite_sequence') yield 'DELETE FROM sqlite_sequence;'
    else yield sql.startsWith('CREATE TABLE "') ? `CREATE TABLE IF NOT EXISTS ${sql.slice(13)};` : `${sql};`
    const columns = db.prepare(`PRAGMA table_info(${quoted(name)})`).all().map((column) => quoted(column.name)).join(',')
    for (const row of db.prepare(`SELECT ${columns} FROM ${quoted(name)}`).iterate()) yield `INSERT INTO ${quoted(name)} (${columns}) VALUES(${Object.values(row).map(literal).join(',')});`
  }
  for (const { sql } of db.prepare("SELECT sql FROM sqlite_master WHERE type IN ('index', 'trigger', 'view') AND sql NOT NULL ORDER BY type").all()) yield `${sql};`
}

function literal(value) {
  if (value === null) return 'NULL'
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'string') return `X'${Buffer.from(value).toString('hex')}'`
  let text = `'${value.replace(/'|\n|\r/g, (c) => ({ "'": "''", '\n': '\\n', '\r': '\\r' })[c])}'`
  if (value.includes('\r')) text = `replace(${text},'\\r',char(13))`
  if (value.includes('\n')) text = `replace(${text},'\\n',char(10))`
  return text
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
