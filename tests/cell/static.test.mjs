// The agent is one file that needs no library of the system.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { agentProgram, makeAgent, noCell, startRedis } from './parts.mjs'
import { startRegistry } from './registry.mjs'

const skip = noCell() || (process.platform !== 'linux' && 'the agent runs on Linux')

/** Returns whether a program of 64 bits names an interpreter or a dynamic library (the ELF specification: PT_INTERP, DT_NEEDED). */
function needsLibraries(file) {
  const bytes = readFileSync(file)
  assert.equal(bytes.subarray(0, 6).toString('latin1'), '\x7fELF\x02\x01', 'a program of 64 bits, little-endian')
  const number = (at) => Number(bytes.readBigUInt64LE(at))
  const headers = Array.from({ length: bytes.readUInt16LE(56) }, (_, n) => number(32) + n * bytes.readUInt16LE(54))
  return headers.some((at) => {
    const [type, offset, size] = [bytes.readUInt32LE(at), number(at + 8), number(at + 32)]
    const tags = () => Array.from({ length: size / 16 }, (_, n) => number(offset + n * 16))
    return type === 3 || (type === 2 && tags().includes(1))
  })
}

test('the agent is one file that needs no library, and it resolves names', { skip }, async () => {
  const program = agentProgram()
  assert.ok(needsLibraries(process.execPath), 'Node needs some')
  assert.ok(!needsLibraries(program), program)
  const [registry, redis] = await Promise.all([startRegistry(), startRedis()])
  const agent = makeAgent({ registry: { ...registry, url: registry.url.replace('127.0.0.1', 'localhost') }, redis })
  registry.put({ id: 'a' })
  const once = await agent.run('once')
  assert.equal(once.status, 0, once.stderr)
  assert.deepEqual((await redis.keys()).filter((key) => key.includes(':tenant:')), ['chv:_:tenant:a'])
})
