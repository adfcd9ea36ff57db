// Every English text is in src/texts.ts: the pages have none of their own.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import { ROOT } from '../../tests/e2e/harness.mjs'

const folder = path.join(ROOT, 'console', 'src')
/** People read or hear these attributes. */
const ATTRIBUTES = ['aria-label', 'title', 'label', 'placeholder', 'alt', 'help', 'lead', 'action', 'text']
/** Forms of values, which are the same in every language. */
const FORMS = ['YYYY-MM-DD HH:MM:SS', 'CHEVERETO_…', 'tenant.create', 'https://', 'chv_…']

/** The texts of a page that are written in its own file. */
function texts(name, source) {
  const found = []
  const isText = (text) => /\p{L}{2}/u.test(text) && !FORMS.includes(text.trim())
  const visit = (node) => {
    if (ts.isJsxText(node) && isText(node.text)) found.push(node.text.trim())
    if (ts.isJsxAttribute(node) && ATTRIBUTES.includes(node.name.getText()) && node.initializer) {
      const value = ts.isJsxExpression(node.initializer) ? node.initializer.expression : node.initializer
      if (value && ts.isStringLiteralLike(value) && isText(value.text)) found.push(value.text)
    }
    if (ts.isCallExpression(node) && node.expression.getText() === 'note' && ts.isStringLiteralLike(node.arguments[0])) found.push(node.arguments[0].text)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(name, source, ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX))
  return found
}

test('the search finds a text of a page', () => {
  assert.deepEqual(texts('x.tsx', `const x = <p title="A title" class="not this">{t.a} Hello <b aria-label={'there'}>1 ✕</b></p>; note('done')`), ['A title', 'Hello', 'there', 'done'])
})

test('no page has an English text of its own', () => {
  const files = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.tsx'))
  assert.ok(files.length > 20)
  const found = files.flatMap((name) => texts(name, readFileSync(path.join(folder, name), 'utf8')).map((text) => `${name}: ${text}`))
  assert.deepEqual(found, [])
})
