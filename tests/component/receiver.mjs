// A real HTTP receiver on this machine, for the service's own requests.
import { once } from 'node:events'
import { createServer } from 'node:http'

/**
 * Starts a receiver, which answers each path in its own way. `got` has the requests, and `connections()` is the number of connections, also of those without
 * a request.
 */
export async function receiver() {
  const got = []
  let connections = 0
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text) => { body += text }).on('end', () => {
      const { method, url, headers } = request
      got.push({ method, url, headers, body })
      if (url === '/redirect') response.writeHead(302, { location: '/secret' }).end('moved')
      else if (url === '/long') response.end('x'.repeat(100_000))
      else if (url === '/half') response.writeHead(200, { 'content-length': 10 }).write('half', () => response.destroy())
      else if (url === '/slow') drip(response)
      else if (url.startsWith('/dns?')) response.end(JSON.stringify({ Status: 3 }))
      else response.end('thanks')
    })
  }).listen(0, '127.0.0.1')
  server.on('connection', () => { connections += 1 })
  await once(server, 'listening')
  return { got, connections: () => connections, port: server.address().port, url: `http://127.0.0.1:${server.address().port}`, stop: () => server.close().closeAllConnections() }
}

/** Sends a byte now and then, so that no pause between two of them is long. */
function drip(response) {
  const timer = setInterval(() => response.write('.'), 50)
  response.on('close', () => clearInterval(timer))
}
