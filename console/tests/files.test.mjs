// The built files: their size, and that nothing in them needs more than the Content-Security-Policy allows.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { SCRIPT_LIMIT_BYTES, buildConsole, scriptSize } from '../../scripts/console.mjs'
import { ROOT } from '../../tests/e2e/harness.mjs'

const folder = path.join(ROOT, 'build', 'console')
await buildConsole()
const files = readdirSync(folder, { recursive: true }).filter((name) => /\.(js|css|html|svg)$/.test(name))
const text = (name) => readFileSync(path.join(folder, name), 'utf8')

test('at most 150 KiB of JavaScript, gzipped', () => {
  const size = scriptSize()
  assert.ok(size > 10_000 && size <= SCRIPT_LIMIT_BYTES, String(size))
})

test('the page has no inline script or style, and loads nothing from elsewhere', () => {
  const page = text('index.html')
  assert.doesNotMatch(page, /<style|\sstyle=|<script(?![^>]*\ssrc=)/)
  const addresses = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address)
  assert.ok(addresses.length >= 3)
  for (const address of addresses) assert.match(address, /^\.\//)
  for (const name of files.filter((name) => name.endsWith('.css'))) assert.doesNotMatch(text(name), /@import|url\((?!["']?data:)/, name)
})

test('what is bundled is named with its licence', () => {
  const notices = text('NOTICES.txt')
  for (const name of ['solid-js', '@kobalte/core', 'uplot', 'hmac']) assert.match(notices, new RegExp(`^${name} \\d`, 'm'), name)
})
