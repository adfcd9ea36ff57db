// Ports for programs that are told theirs, and listen only later.
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'

/** Returns ports that are free now. They are below those that systems give away (from 32768 on Linux), so that no other test's server gets one meanwhile. */
export async function freePorts(count) {
  const ports = []
  while (ports.length < count) {
    const port = randomInt(10_000, 32_768)
    if (!ports.includes(port) && await isFree(port)) ports.push(port)
  }
  return ports
}

async function isFree(port) {
  const server = net.createServer().listen(port, '127.0.0.1')
  try {
    await once(server, 'listening')
  } catch {
    return false
  }
  server.close()
  await once(server, 'close')
  return true
}
