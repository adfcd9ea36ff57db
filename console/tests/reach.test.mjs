// Which tenants an edit of a plan reaches: a setting that the tenant itself has, or that the operator enforces, stays.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { changedNames, reach } from '../src/pages/plan-reach.ts'

const tenant = (id, limits = {}, env = {}) => ({ id, hostname: `${id}.example.com`, limits, env })
const changesOf = (tenants, before, after, enforced) => Object.fromEntries(reach(tenants, before, after, enforced).map(({ id, changes }) => [id, changes.map(({ name, before, after }) => [name, before, after])]))

test('a limit reaches the tenants that have no value of their own for it', () => {
  const before = { limits: { USERS: '5', FILES: '10' }, env: null }
  const after = { limits: { USERS: '9', FILES: '10' }, env: null }
  assert.deepEqual(changedNames(before, after), ['USERS'])
  assert.deepEqual(changesOf([tenant('a'), tenant('own-limit', { USERS: '7' }), tenant('own-env', {}, { USERS: '8' })], before, after), { a: [['USERS', '5', '9']], 'own-limit': [], 'own-env': [] })
})

test('the plan’s env is above a tenant’s limits, and below its env', () => {
  const before = { limits: { USERS: '5' }, env: {} }
  const after = { limits: { USERS: '5' }, env: { USERS: '1' } }
  assert.deepEqual(changesOf([tenant('a'), tenant('own-limit', { USERS: '7' }), tenant('own-env', {}, { USERS: '8' })], before, after), {
    a: [['USERS', '5', '1']], 'own-limit': [['USERS', '7', '1']], 'own-env': [],
  })
})

test('a limit under the plan’s own env changes nothing, and neither does an enforced name', () => {
  assert.deepEqual(changesOf([tenant('a')], { limits: { USERS: '5' }, env: { USERS: '1' } }, { limits: { USERS: '6' }, env: { USERS: '1' } }), { a: [] })
  assert.deepEqual(changesOf([tenant('a')], { limits: { USERS: '5' }, env: null }, { limits: { USERS: '6' }, env: null }, new Set(['USERS'])), { a: [] })
})

test('a name that goes, and one that comes, are changes', () => {
  assert.deepEqual(changesOf([tenant('a')], { limits: { OLD: '1' }, env: null }, { limits: { NEW: '' }, env: null }), { a: [['NEW', undefined, ''], ['OLD', '1', undefined]] })
  // A name of every object is no setting.
  assert.deepEqual(changesOf([tenant('a')], { limits: null, env: null }, { limits: { toString: 'x' }, env: null }), { a: [['toString', undefined, 'x']] })
})
