// A copy of the project for its own commands, which write configuration, keys and a database into its folder.

import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { built } from '../../tests/e2e/cli.mjs'
import { ROOT } from '../../tests/e2e/harness.mjs'
import { atEnd } from '../../tests/lifetime.mjs'

/** The commands change these, or find the project by them. Everything else is linked. */
const COPIED = ['scripts', 'package.json', 'wrangler.toml']
/** Hidden files that are no state of the developer's. */
const TOOLS = ['.tools', '.cargo', '.npmrc']

/** Copies the project, with what is built. Returns its folder and the environment for its commands. */
export function copyProject() {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'tenants-project-'))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of readdirSync(ROOT)) {
    if ((name.startsWith('.') && !TOOLS.includes(name)) || name === 'wrangler.console.toml') continue
    if (COPIED.includes(name)) cpSync(path.join(ROOT, name), path.join(folder, name), { recursive: true })
    else symlinkSync(path.join(ROOT, name), path.join(folder, name))
  }
  // The command line program is there: a `cargo` that builds nothing spares minutes.
  const programs = path.join(folder, 'programs')
  const release = path.join(folder, 'cargo', 'release')
  for (const each of [programs, release]) mkdirSync(each, { recursive: true })
  copyFileSync(built(), path.join(release, path.basename(built())))
  writeFileSync(path.join(programs, 'cargo'), '#!/bin/sh\n[ "$1" = build ]\n')
  chmodSync(path.join(programs, 'cargo'), 0o755)
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CHEVERETO|TENANTS|CLOUDFLARE)_/.test(name)))
  return { folder, env: { ...own, CARGO_TARGET_DIR: path.dirname(release), PATH: [programs, process.env.PATH].join(path.delimiter), WRANGLER_SEND_METRICS: 'false' } }
}
