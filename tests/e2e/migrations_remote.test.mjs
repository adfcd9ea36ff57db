// `wrangler d1 migrations apply --remote` sends each migration to D1's query API as one text, and D1 cuts it into statements. The
// migrations must lead to schema.sql however naively it cuts them.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { environment, nodeForWrangler, wranglerScript } from '../../scripts/lib/environment.mjs'
import { readSchema } from '../../scripts/lib/sql.mjs'
import { cutAtLineEnds, cutOutsideOfBlocks, startD1Api } from './d1_api.mjs'
import { migrations, ROOT } from './harness.mjs'
import { schemaOf, schemaOfTexts } from './schema.mjs'

const names = migrations().map((file) => path.basename(file))
const cutters = { 'at every line that ends with a semicolon': cutAtLineEnds, 'at every semicolon outside of BEGIN and END': cutOutsideOfBlocks }

/** Applies the migrations of `folder` to the stand-in, as `npm run deploy` does. */
const apply = (api, folder = ROOT) => new Promise((resolve) => {
  const args = [wranglerScript, 'd1', 'migrations', 'apply', 'DB', '--remote', '--config', path.join(folder, 'wrangler.toml')]
  const env = environment({ CI: 'true', CLOUDFLARE_API_BASE_URL: api.url, CLOUDFLARE_API_TOKEN: 'none', CLOUDFLARE_ACCOUNT_ID: '0'.repeat(32) })
  execFile(nodeForWrangler(), args, { cwd: folder, env }, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout + stderr }))
})

/** Copies wrangler.toml and the migrations to a temporary folder. `change` may edit the text of a migration. */
function copy(change) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-migrations-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  cpSync(path.join(ROOT, 'wrangler.toml'), path.join(folder, 'wrangler.toml'))
  cpSync(path.join(ROOT, 'migrations'), path.join(folder, 'migrations'), { recursive: true })
  for (const name of names) {
    const file = path.join(folder, 'migrations', name)
    writeFileSync(file, change(readFileSync(file, 'utf8')))
  }
  return folder
}

for (const [where, cut] of Object.entries(cutters)) {
  test(`the migrations lead to schema.sql if D1 cuts ${where}`, async () => {
    const api = await startD1Api(cut)
    const { code, output } = await apply(api)
    assert.equal(code, 0, output)
    assert.deepEqual(schemaOf(api.db).filter((object) => object.tbl_name !== 'd1_migrations'), schemaOfTexts(readSchema(ROOT)))
    const applied = api.db.prepare('SELECT name FROM d1_migrations ORDER BY id').all().map((row) => row.name)
    assert.deepEqual(applied, names)
    // The whole file is one query, so this test sees what D1 sees.
    for (const file of migrations()) assert.equal(api.sent.filter((sql) => sql.startsWith(readFileSync(file, 'utf8'))).length, 1, file)
    const before = api.sent.length
    const again = await apply(api)
    assert.equal(again.code, 0, again.output)
    assert.match(again.output, /No migrations to apply/)
    assert.ok(!api.sent.slice(before).some((sql) => sql.includes('CREATE TRIGGER')), 'a migration was sent again')
  })

  test(`Windows line ends change nothing if D1 cuts ${where}`, async () => {
    const api = await startD1Api(cut)
    const { code, output } = await apply(api, copy((text) => text.replaceAll('\n', '\r\n')))
    assert.equal(code, 0, output)
  })
}

test('the stand-in refuses a trigger of several lines, as D1 was seen to do', async () => {
  const api = await startD1Api(cutAtLineEnds)
  const { code, output } = await apply(api, copy((text) => text.replaceAll('; ', ';\n')))
  assert.notEqual(code, 0)
  assert.match(output, /incomplete input/)
  const applied = api.db.prepare('SELECT name FROM d1_migrations').all().map((row) => row.name)
  assert.deepEqual(applied, [names[0]], 'a migration that fails leaves nothing behind')
  assert.ok(!schemaOf(api.db).some((object) => object.type === 'view'), 'a migration that fails leaves nothing behind')
})
