// Where npm puts the JavaScript runtimes that the package is tested in: beside `bun` and `deno`, whose install scripts nobody needs to run.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Stop, root } from './run.mjs';

const exe = process.platform === 'win32' ? '.exe' : '';
const system = { win32: 'windows', linux: 'linux', darwin: 'darwin' }[process.platform];

/** Bun's program. */
export const bun = () => found('Bun', `@oven/bun-${system}-${process.arch === 'arm64' ? 'aarch64' : process.arch}/bin/bun${exe}`, 'bun/bin/bun.exe');

/** Deno's program. */
export const deno = () => found('Deno', `@deno/${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}/deno${exe}`, `deno/deno${exe}`);

/** An npm that ran the install script has moved the program from the first place to the second, which else holds a stand-in of a few lines. */
function found(name, ...places) {
  const path = places.map((place) => join(root, 'node_modules', place)).find((path) => existsSync(path) && statSync(path).size > 1_000_000);
  if (path === undefined) throw new Stop(`npm has installed no ${name} for ${process.platform}-${process.arch}; \`npm ci\` installs what package-lock.json names`);
  return path;
}
