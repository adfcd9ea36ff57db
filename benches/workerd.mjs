// The processor time of a workerd that the tests' harness has started.
import { readFileSync, readdirSync } from 'node:fs'
import { startApi } from '../tests/e2e/harness.mjs'

/** The kernel counts in steps of 10 ms, which are too coarse for a single request: so requests are measured in blocks. */
const TICK_MS = 10
const BLOCK = 20

/** The processes named workerd that this one has started. */
const workerds = () => readdirSync('/proc').filter((pid) => {
  try {
    const [, name, , parent] = /^\d+ \((.*)\) (\S) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
    return name?.startsWith('workerd') && Number(parent) === process.pid
  } catch {
    return false // It ended meanwhile, or is no process.
  }
})

/** Starts the built Worker, as `startApi` does. `cpu` returns the milliseconds of processor time that it has used. */
export async function start(options) {
  const before = workerds()
  const api = await startApi(options)
  const pid = workerds().find((pid) => !before.includes(pid))
  const cpu = () => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_MS
  }
  return { api, cpu }
}

/**
 * Sends each kind of request to each of the sides: a block to one, then a block to the other, and the other way round the next time.
 * @param {Record<string, { cpu: () => number }>} sides by their names
 * @param {Record<string, (side: object, i: number) => Promise<unknown>>} kinds by their names. `i` is another one in each round.
 * @param {number} rounds how many requests of each kind each side gets
 * @returns the milliseconds that one request takes, by kind and side
 */
export async function inTurn(sides, kinds, rounds) {
  const used = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, Object.fromEntries(Object.keys(sides).map((side) => [side, 0]))]))
  const blocks = Math.ceil(rounds / BLOCK)
  const order = Object.entries(sides)
  for (let block = 0; block < blocks; block++) {
    order.reverse()
    for (const [kind, send] of Object.entries(kinds)) {
      for (const [name, side] of order) {
        const before = side.cpu()
        for (let i = 0; i < BLOCK; i++) await send(side, block * BLOCK + i)
        used[kind][name] += (side.cpu() - before) / (blocks * BLOCK)
      }
    }
  }
  return used
}
