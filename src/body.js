// A request's body, never more of it than the limit.

const EMPTY = new Uint8Array()

/** The body's bytes, or a promise of them or of their buffer; `undefined` where it is longer than `limit`. */
export function readBody(request, limit) {
  // What hardly ever has one is asked first whether it has.
  if (request.method === 'GET' && request.body === null) return EMPTY
  const declared = request.headers.get('content-length')
  if (declared === null) return request.body === null ? EMPTY : readStream(request.body, limit)
  const length = Number(declared)
  if (length === 0) return EMPTY
  // Not `bytes()`, which costs the runtime twice as much.
  return length > limit ? undefined : request.arrayBuffer()
}

async function readStream(stream, limit) {
  const chunks = []
  let length = 0
  for await (const chunk of stream) {
    length += chunk.length
    // Leaving the loop cancels the stream.
    if (length > limit) return undefined
    chunks.push(chunk)
  }
  if (chunks.length === 1) return chunks[0]
  const all = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}
