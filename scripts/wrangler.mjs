// `npm run -s wrangler -- <command>`: the project's wrangler under a Node it accepts, whichever Node is installed.

import { environment, nodeForWrangler, wranglerScript } from './lib/environment.mjs';
import { isMain, main, quiet, show } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** Runs wrangler with its output on show; resolves with its exit code. */
export function wrangler(args, options = {}) {
  return show(nodeForWrangler(), [wranglerScript, ...args], { env: environment(), ...options });
}

/** Runs wrangler without showing anything, unless it fails; resolves with its standard output. */
export function quietWrangler(args, options = {}) {
  // CI: wrangler asks nothing, and takes the answers it prints.
  return quiet(nodeForWrangler(), [wranglerScript, ...args], { env: environment({ CI: 'true' }), ...options });
}

if (isMain(import.meta)) {
  await main(async () => {
    await ensure({ rust: false });
    return wrangler(process.argv.slice(2), { stdin: 'inherit' });
  });
}
