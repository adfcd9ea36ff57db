// Bundles a Worker's modules.

import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { build } from 'esbuild';

/**
 * Bundles a Worker's modules as `wrangler deploy` does: one JavaScript module, and each .wasm beside it.
 * @param {string} main the path of the main module
 * @param {string} [front] the source of a module in front of it, which imports it by its name
 */
export async function bundle(main, front) {
  const modules = {};
  const { outputFiles: [{ text }] } = await build({
    ...(front ? { stdin: { contents: front, resolveDir: dirname(main) } } : { entryPoints: [main] }),
    bundle: true,
    // The output has no paths of this machine.
    absWorkingDir: dirname(main),
    write: false,
    format: 'esm',
    target: 'es2024',
    conditions: ['workerd', 'worker'],
    external: ['cloudflare:*', 'node:*'],
    logLevel: 'silent',
    plugins: [{
      name: 'wasm',
      setup: (b) => b.onResolve({ filter: /\.wasm(\?module)?$/ }, (args) => {
        const file = resolve(args.resolveDir, args.path.replace(/\?.*$/, ''));
        const name = basename(file);
        modules[name] = { type: 'wasm', contents: new Uint8Array(readFileSync(file)) };
        return { path: `./${name}`, external: true };
      }),
    }],
  });
  return { mainModule: 'worker.js', modules: { 'worker.js': { type: 'esm', contents: text }, ...modules } };
}
