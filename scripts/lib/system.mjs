// Programs of the system that some tests need and that no registry of ours has: a browser, PHP and a library of it, openssl.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { quiet, say } from './run.mjs';

/** program, or library -> Debian's package of it */
const packages = { chromium: 'chromium', chromedriver: 'chromium-driver', curl: 'curl', openssl: 'openssl', php: 'php-cli', phpseclib3: 'php-phpseclib3', 'ssh-keygen': 'openssh-client', fish: 'fish', zsh: 'zsh', 'python3-venv': 'python3-venv' };

/** library of PHP -> a file of it, as PHP's own search finds it */
const libraries = { phpseclib3: 'phpseclib3/autoload.php' };

/**
 * Makes sure that programs and libraries are there: installs what is missing where that is possible without asking (root, on Debian and its kin).
 * @returns {Promise<string[]>} those that are still missing
 */
export async function ensurePrograms(names) {
  const missing = names.filter((name) => !isThere(name));
  if (missing.length === 0) return [];
  if (process.getuid?.() === 0 && programPath('apt-get')) {
    say(`  installing ${missing.join(', ')} with apt-get (up to two minutes)…`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    try {
      // A new machine's package lists are empty or old.
      await quiet('apt-get', ['update'], { label: 'apt-get update', env });
      await quiet('apt-get', ['install', '-y', '--no-install-recommends', ...missing.map((name) => packages[name])], { label: 'apt-get install', env });
    } catch (error) {
      say(error.message);
    }
  }
  return names.filter((name) => !isThere(name));
}

function isThere(name) {
  // Debian's Python comes without the modules that make a virtual environment.
  if (name === 'python3-venv') return spawnSync('python3', ['-c', 'import ensurepip, venv']).status === 0;
  if (!(name in libraries)) return programPath(name) !== undefined;
  const code = 'exit(stream_resolve_include_path($argv[1]) === false ? 1 : 0);';
  return spawnSync('php', ['-r', code, '--', libraries[name]]).status === 0;
}

/** Where a program is: on the PATH, or, for Chrome's two, under its other names too. */
export function programPath(name) {
  const others = { chromium: ['chromium-browser', 'google-chrome', 'google-chrome-stable'] }[name] ?? [];
  for (const candidate of [name, ...others]) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, candidate);
      if (folder !== '' && isProgram(path)) return path;
    }
  }
  const mac = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';
  return name === 'chromium' && existsSync(mac) ? mac : undefined;
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
