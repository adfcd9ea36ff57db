// A log begins with its oldest entry, and its newest ones are shown.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newest } from '../src/pages/tenant-history.ts'

/** A log of numbers, in pages of ten. `asked` has the cursors that were asked for. */
const log = (length, asked = []) => async (after = '0') => {
  asked.push(after)
  const [from, to] = [Number(after), Math.min(Number(after) + 10, length)]
  return { entries: Array.from({ length: to - from }, (_, at) => from + at + 1), next: to < length ? String(to) : undefined }
}

test('a short log is shown whole, the newest entry first', async () => {
  assert.deepEqual(await newest(log(3), { keep: 5, pages: 2 }), { entries: [3, 2, 1], hasOlder: false, hasNewer: false })
  assert.deepEqual(await newest(log(0), { keep: 5, pages: 2 }), { entries: [], hasOlder: false, hasNewer: false })
})

test('of a longer one the newest entries are kept, and it is said that there are older ones', async () => {
  const asked = []
  assert.deepEqual(await newest(log(25, asked), { keep: 5, pages: 5 }), { entries: [25, 24, 23, 22, 21], hasOlder: true, hasNewer: false })
  assert.deepEqual(asked, ['0', '10', '20'])
})

test('a log that is too long to be read is not taken for its end', async () => {
  const asked = []
  assert.deepEqual(await newest(log(25, asked), { keep: 50, pages: 2 }), { entries: Array.from({ length: 20 }, (_, at) => 20 - at), hasOlder: false, hasNewer: true })
  assert.equal(asked.length, 2)
  assert.equal((await newest(log(20), { keep: 50, pages: 2 })).hasNewer, false, 'one that ends there is read whole')
})
