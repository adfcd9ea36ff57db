// Finds the JavaScript runtimes in which the package is tested. npm installs their programs in packages beside `bun` and `deno`,
// so nobody has to run the install scripts of those two.

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Stop, root } from './run.mjs';

const exe = process.platform === 'win32' ? '.exe' : '';
const system = { win32: 'windows', linux: 'linux', darwin: 'darwin' }[process.platform];

/** The path of Bun. */
export const bun = () => found('Bun', `@oven/bun-${system}-${process.arch === 'arm64' ? 'aarch64' : process.arch}/bin/bun${exe}`, 'bun/bin/bun.exe');

/** The path of Deno. */
export const deno = () => found('Deno', `@deno/${process.platform}-${process.arch}${process.platform === 'linux' ? '-glibc' : ''}/deno${exe}`, `deno/deno${exe}`);

/** If npm ran the install script, it moved the program from the first place to the second. Otherwise the second holds a small stub, hence the check of the size. */
function found(name, ...places) {
  const path = places.map((place) => join(root, 'node_modules', place)).find((path) => existsSync(path) && statSync(path).size > 1_000_000);
  if (path === undefined) throw new Stop(`npm has not installed ${name} for ${process.platform}-${process.arch}; run \`npm ci\``);
  return path;
}
