// Finds and installs the system programs that some tests need and that neither npm nor Cargo has: a browser, PHP and one of its
// libraries, openssl, and others.

import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { quiet, say } from './run.mjs';

/** Maps a program or library to its Debian packages. Those of the servers start no service. */
const packages = {
  chromium: 'chromium', chromedriver: 'chromium-driver', curl: 'curl', openssl: 'openssl', php: 'php-cli', phpseclib3: 'php-phpseclib3',
  'php-redis': 'php-redis', 'php-mysql': 'php-mysql', 'redis-server': 'redis-tools', mariadbd: 'mariadb-server-core mariadb-client-core',
  'ssh-keygen': 'openssh-client', fish: 'fish', dnsmasq: 'dnsmasq-base', zsh: 'zsh', 'python3-venv': 'python3-venv',
};

/** Maps a PHP library to one of its files, relative to PHP's include path. */
const libraries = { phpseclib3: 'phpseclib3/autoload.php' };

/** Maps a package of PHP to the extension that it has. */
const extensions = { 'php-redis': 'redis', 'php-mysql': 'pdo_mysql' };

/**
 * Checks that programs and libraries are installed. As root on a system with apt-get, installs the missing ones without asking.
 * @returns {Promise<string[]>} the names that are still missing
 */
export async function ensurePrograms(names) {
  const missing = names.filter((name) => !isThere(name));
  if (missing.length === 0) return [];
  if (process.getuid?.() === 0 && programPath('apt-get')) {
    say(`  installing ${missing.join(', ')} with apt-get (up to two minutes)…`);
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    try {
      // On a new machine the package lists are empty or old.
      await quiet('apt-get', ['update'], { label: 'apt-get update', env });
      await quiet('apt-get', ['install', '-y', '--no-install-recommends', ...debianPackages(missing)], { label: 'apt-get install', env });
    } catch (error) {
      say(error.message);
    }
  }
  return names.filter((name) => !isThere(name));
}

/** The Debian packages that have these programs and libraries. */
export const debianPackages = (names) => names.flatMap((name) => packages[name].split(' '));

function isThere(name) {
  // Debian's Python lacks the modules that create a virtual environment.
  if (name === 'python3-venv') return spawnSync('python3', ['-c', 'import ensurepip, venv']).status === 0;
  if (name in extensions) return spawnSync('php', ['-r', 'exit(extension_loaded($argv[1]) ? 0 : 1);', '--', extensions[name]]).status === 0;
  if (!(name in libraries)) return programPath(name) !== undefined;
  const code = 'exit(stream_resolve_include_path($argv[1]) === false ? 1 : 0);';
  return spawnSync('php', ['-r', code, '--', libraries[name]]).status === 0;
}

/**
 * Returns the path of a program on the PATH. Tries Chromium's other names too, and its place on macOS; the name under which Debian's
 * redis-tools has the server; and the folder of servers, which is only on root's PATH.
 */
export function programPath(name) {
  const others = { chromium: ['chromium-browser', 'google-chrome', 'google-chrome-stable'], 'redis-server': ['redis-check-rdb'] }[name] ?? [];
  const servers = ['mariadbd', 'dnsmasq'].includes(name) ? ['/usr/sbin'] : [];
  for (const candidate of [name, ...others]) {
    for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...servers]) {
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
