// A front for `startApi`: it counts the rows that D1 reads.

/** Makes the Worker count the rows that D1 reads for a request, and add them to the response. */
export const COUNTING = `
  import worker from './shim.mjs'
  export default {
    scheduled: (...args) => worker.scheduled(...args),
    async fetch(request, env, ctx) {
      let read = 0
      const DB = {
        prepare: (text) => env.DB.prepare(text),
        async batch(statements) {
          const results = await env.DB.batch(statements)
          for (const { meta } of results) read += meta.rows_read
          return results
        },
      }
      const response = await worker.fetch(request, { ...env, DB }, ctx)
      const headers = new Headers(response.headers)
      headers.set('x-test-rows-read', String(read))
      return new Response(response.body, { status: response.status, headers })
    },
  }`
