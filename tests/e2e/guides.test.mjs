// Runs the guides' own commands that call the API, in a shell, and checks that no program's arguments contain a key, a secret or a signature.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, test } from 'node:test'
import { built } from './cli.mjs'
import { missing, ROOT, run, startApi } from './harness.mjs'
import { programPath } from '../../scripts/lib/system.mjs'

const skip = missing('curl', '--version') || missing('bash', '--version')
const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-guides-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** The shell blocks of a section of a page. */
function blocks(page, heading) {
  const text = readFileSync(path.join(ROOT, page), 'utf8')
  const from = text.indexOf(`\n## ${heading}\n`)
  assert.ok(from >= 0, `${page} has a section ${heading}`)
  const section = text.slice(from + 4).split('\n## ')[0]
  return [...section.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block]) => block)
}

/** Runs a guide's commands in the folder, with every program's arguments recorded. Returns the output and the recorded arguments. */
async function type(script, api) {
  const record = path.join(folder, 'arguments')
  writeFileSync(record, '')
  // Each stands before the real program on the PATH.
  for (const [name, real] of [['curl', programPath('curl')], ['tenants-built', built()]]) {
    const shim = path.join(folder, name)
    writeFileSync(shim, `#!/bin/sh\nprintf '%s\\n' "${name} $*" >> '${record}'\nexec '${real}' "$@"\n`)
    chmodSync(shim, 0o755)
  }
  const front = `cd '${folder}'\nexport PATH='${folder}':"$PATH"\nnpm() { [ "$1 $2 $3 $4" = 'run -s tenants --' ] || exit 9; shift 4; TENANTS_PROJECT='${folder}' tenants-built "$@"; }\n`
  const output = await run('bash', ['-ec', front + script])
  const seen = readFileSync(record, 'utf8')
  assert.match(seen, /^curl /m)
  assert.match(seen, /^tenants-built sign/m)
  for (const secret of [api.key, api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET, api.sign(Buffer.alloc(0))]) assert.ok(!seen.includes(secret), seen)
  assert.doesNotMatch(seen, /[0-9a-f]{64}/, 'no signature is an argument')
  return output
}

test("the README's requests work, and show no secret to other users", { skip }, async () => {
  const api = await startApi()
  writeFileSync(path.join(folder, '.dev.key.local'), `${api.key}\n`)
  writeFileSync(path.join(folder, '.dev.vars'), `CHEVERETO_TENANTS_API_REQUEST_SECRET=${api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET}\n`)
  writeFileSync(path.join(folder, 'wrangler.toml'), '')
  const script = blocks('README.md', 'A local server').filter((block) => block.includes('curl')).join('\n')
  const output = await type(script.replace('http://127.0.0.1:8787', api.url), api)
  assert.match(output, /^\[\]/, 'first an empty list')
  assert.match(output, /"id":"tenant123"/)
  assert.equal((await api.expect(200, 'GET', '/tenants/tenant123')).json.plan_id, 'basic_plan')
})

test("DEPLOY.md's requests work, and show no secret to other users", { skip }, async () => {
  const api = await startApi()
  writeFileSync(path.join(folder, '.caller.local'), `TENANTS_URL=${api.url}\nCHEVERETO_TENANTS_API_REQUEST_SECRET=${api.secrets.CHEVERETO_TENANTS_API_REQUEST_SECRET}\nTENANTS_API_KEY=${api.key}\n`)
  const output = await type(blocks('docs/DEPLOY.md', '6. Call it').join('\n').replace('https://tenants.example.workers.dev', api.url), api)
  assert.match(output, /"valid":true/)
  assert.match(output, /"id":"tenant123"/)
})

test("DEPLOY.md's files of secrets can be read by their owner only", { skip: process.platform === 'win32' && 'Windows has no such modes' }, () => {
  const made = blocks('docs/DEPLOY.md', '3. Set the secrets').concat(blocks('docs/DEPLOY.md', '5. Create the first API key')).join('\n')
    .split('\n').filter((line) => !line.startsWith('npm run -s wrangler')).join('\n')
  const own = mkdtempSync(path.join(folder, 'files-'))
  execFileSync('bash', ['-ec', `umask 022\ncd '${own}'\nnpm() { echo chv_1_x; }\n${made}`])
  for (const [name, last] of [['.production.local', /^CHEVERETO_ENCRYPTION_KEY=\S{44}$/], ['.caller.local', /^TENANTS_API_KEY=chv_1_x$/]]) {
    const file = path.join(own, name)
    assert.equal(statSync(file).mode & 0o777, 0o600, name)
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    assert.equal(lines.length, 3, name)
    assert.match(lines[2], last, name)
  }
})
