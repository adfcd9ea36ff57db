// `npm run -s wrangler -- <command>` runs the project's wrangler under a Node that it accepts, whichever Node is installed.

import { environment, nodeForWrangler, wranglerScript } from './lib/environment.mjs';
import { isMain, main, quiet, show } from './lib/run.mjs';
import { ensure } from './setup.mjs';

/** Runs wrangler and shows its output. Resolves with its exit code. */
export function wrangler(args, options = {}) {
  return show(nodeForWrangler(), [wranglerScript, ...args], { env: environment(), ...options });
}

/** Runs wrangler and shows its output only if it fails. Resolves with its standard output. */
export function quietWrangler(args, options = {}) {
  // With CI set, wrangler does not prompt: it uses its default answers.
  return quiet(nodeForWrangler(), [wranglerScript, ...args], { env: environment({ CI: 'true' }), ...options });
}

if (isMain(import.meta)) {
  await main(async () => {
    await ensure({ rust: false });
    return wrangler(process.argv.slice(2), { stdin: 'inherit' });
  });
}
