// An edit where somebody else has changed the same thing meanwhile.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changes, doubled, merged } from '../src/parts/versions.ts'

const MEMBERS = ['hostname', 'is_enabled', 'labels', 'env']
const form = ({ hostname = 'a.example.com', is_enabled = true, labels = {}, env = {} } = {}) => ({ id: 'a', hostname, is_enabled, labels: Object.entries(labels), env: Object.entries(env) })
/** The body of the PATCH that follows on the other person's version. */
const body = (base, mine, theirs) => {
  const [was, is, now] = [base, mine, theirs].map(form)
  return changes(MEMBERS, now, merged(MEMBERS, was, is, now))
}

test('entries that only they have changed stay, and so do one’s own', () => {
  assert.deepEqual(body({ env: { A: '1', B: '1' } }, { env: { A: '2', B: '1' } }, { env: { A: '1', B: '2' } }), { env: { A: '2', B: '2' } })
  assert.deepEqual(body({ labels: {} }, { labels: { y: '1' } }, { labels: { x: '1' } }), { labels: { x: '1', y: '1' } })
  assert.deepEqual(body({ env: { A: '1' } }, { env: { A: '2' } }, { env: { A: '3' } }), { env: { A: '2' } }, 'of an entry that both have changed, one’s own')
})

test('entries that were taken away stay away, on either side', () => {
  assert.deepEqual(body({ labels: { a: '1', b: '1', c: '1' } }, { labels: { b: '1', c: '1' } }, { labels: { a: '1', b: '1' } }), { labels: { a: null, b: '1' } })
  assert.deepEqual(body({ env: { A: '1', B: '1' } }, { env: { B: '1' } }, { env: { A: '2', B: '2' } }), { env: { B: '2' } })
  assert.deepEqual(body({ env: { A: '1' } }, { env: { A: '2' } }, { env: {} }), { env: { A: '2' } }, 'one’s own change of what they took away')
})

test('other members are theirs unless they were changed here', () => {
  assert.deepEqual(body({}, { hostname: 'mine.example.com' }, { hostname: 'theirs.example.com', is_enabled: false }), { hostname: 'mine.example.com' })
  assert.deepEqual(merged(MEMBERS, form(), form({ hostname: 'mine.example.com' }), form({ is_enabled: false })), form({ hostname: 'mine.example.com', is_enabled: false }))
  assert.deepEqual(body({ env: { A: '1' } }, { env: { A: '1' } }, { env: { A: '2' } }), {})
})

test('a name of every object is an entry like others, and an empty row is none', () => {
  assert.deepEqual(body({}, { env: { constructor: 'x', '': '' } }, { env: { toString: 'y' } }), { env: { constructor: 'x', toString: 'y' } })
})

test('a name that two rows have is found, since only one value could be kept', () => {
  const rows = (...pairs) => ({ ...form(), labels: pairs })
  assert.deepEqual(doubled(MEMBERS, rows(['a', '1'], ['b', '1'], ['a', '2'], ['a', '3'])), ['/labels/a'])
  assert.deepEqual(doubled(MEMBERS, rows(['a/b~', '1'], ['a/b~', '1'])), ['/labels/a~1b~0'])
  assert.deepEqual(doubled(MEMBERS, rows(['', ''], ['', ''], ['a', ''])), [], 'an empty row is none')
})
