// The project's own commands with the console: `npm start` serves it, and a deployment does after one edit.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parse } from 'smol-toml'
import { buildConsole } from '../../scripts/console.mjs'
import { ROOT } from '../../tests/e2e/harness.mjs'
import { atEnd } from '../../tests/lifetime.mjs'
import { freePorts } from '../../tests/ports.mjs'
import { noBrowser, open, signIn } from './browser.mjs'
import { copyProject } from './project.mjs'

await buildConsole()
const project = copyProject()
const { scripts } = JSON.parse(readFileSync(path.join(project.folder, 'package.json'), 'utf8'))

test('npm start serves the console, prints its address, and leaves a key that signs in', { skip: noBrowser() || process.platform === 'win32' }, async () => {
  assert.equal(scripts.start, 'node scripts/start.mjs')
  const [port] = await freePorts(1)
  const server = spawn(process.execPath, ['scripts/start.mjs', '--port', String(port)], { cwd: project.folder, env: project.env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(server, 'exit')
  atEnd(() => {
    if (server.exitCode !== null || server.signalCode !== null) return
    // It ends wrangler, too.
    server.kill('SIGTERM')
    return ended
  })
  let output = ''
  const printed = new Promise((resolve, reject) => {
    const read = (data) => {
      output += data
      if (/^The console is at /m.test(output)) resolve()
    }
    server.stdout.on('data', read)
    server.stderr.on('data', read)
    ended.then(() => reject(new Error(`npm start ended:\n${output}`)))
  })
  await printed
  const [, address, file] = output.match(/^The console is at (\S+)\. A key for it is in (\S+)\.$/m)
  assert.equal(address, `http://127.0.0.1:${port}/console/`)
  const values = Object.fromEntries(readFileSync(path.join(project.folder, file), 'utf8').split('\n').filter((line) => line.includes('=')).map((line) => line.split(/=(.*)/s)))
  const { page, assertQuiet, close } = await open(address)
  await signIn(page, { api_key: values.TENANTS_API_KEY, signing_secret: values.TENANTS_SIGNING_SECRET })
  await page.getByText('There are no tenants yet').waitFor()
  assertQuiet()
  await close()
  server.kill('SIGINT')
  await ended
  await assert.rejects(fetch(address), 'the server ends with its command')
})

test('the edit of docs/DEPLOY.md makes a deployment serve the console', async () => {
  const guide = readFileSync(path.join(ROOT, 'docs', 'DEPLOY.md'), 'utf8').split('\n## The console\n')[1].split('\n## ')[0]
  const wanted = parse(guide.match(/^```toml\n([^]*?)^```/m)[1])
  const file = path.join(project.folder, 'wrangler.toml')
  const before = readFileSync(file, 'utf8')
  // "Remove the `# ` of [assets]", and add the variable.
  const after = before.replace(/^# \[assets\]\n(?:# .*\n)+/m, (block) => block.replace(/^# /gm, '')).replace('[vars]\n', '[vars]\nTENANTS_CONSOLE = "true"\n')
  const { assets, vars, ...others } = parse(after)
  assert.deepEqual({ ...assets }, { ...wanted.assets })
  assert.deepEqual({ ...vars }, { ...parse(before).vars, ...wanted.vars })
  assert.deepEqual(others, (({ vars, ...rest }) => rest)(parse(before)), 'nothing else changes')
  writeFileSync(file, after)
  const { stdout } = await promisify(execFile)(process.execPath, ['scripts/deploy.mjs', '--dry-run'], { cwd: project.folder, env: project.env })
  assert.match(stdout, /Read \d+ files from the assets directory \S+build.console\b/)
  assert.match(stdout, /env\.ASSETS +Assets/)
  assert.match(stdout, /env\.TENANTS_CONSOLE \("true"\)/)
  // With the variable alone nothing is deployed.
  writeFileSync(file, before.replace('[vars]\n', '[vars]\nTENANTS_CONSOLE = "true"\n'))
  await assert.rejects(promisify(execFile)(process.execPath, ['scripts/deploy.mjs', '--dry-run'], { cwd: project.folder, env: project.env }), ({ stderr }) => /\[assets\] is still a comment/.test(stderr))
})
