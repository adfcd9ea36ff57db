// Runs other programs, either with their output shown, or quietly with a progress line. Our own messages go to standard error,
// so that standard output holds only the output of the user's command (`npm run -s tenants -- list --format json`).

import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { basename, dirname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A failure that the user can fix: `main` prints only its message, without a stack trace. */
export class Stop extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** Runs a script's `body`, and turns an error into a message and an exit code. */
export async function main(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    say(error instanceof Stop ? `\nerror: ${error.message}` : error.stack);
    process.exitCode = error.exitCode ?? 1;
  }
}

/** Whether `meta` (an `import.meta`) is of the script that node was started with, not of an imported module. */
export function isMain(meta) {
  return process.argv[1] !== undefined && fileURLToPath(meta.url) === realpathSync(process.argv[1]);
}

/** Runs a program that shares our output (and, with `stdin: 'inherit'`, our input; `input` is text for it to read). Resolves with its exit code. */
export function show(command, args, { env = process.env, cwd = root, stdin = 'ignore', stdout = 'inherit', input } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: [input === undefined ? stdin : 'pipe', stdout, 'inherit'] });
    // A program that does not read its input may exit before all of it is written. Its exit code says whether it failed.
    child.stdin?.on('error', (error) => error.code === 'EPIPE' || reject(error)).end(input);
    // The child is in our process group, so Ctrl-C reaches it too. Ignore the signal here and wait until the child exits.
    const ignore = () => {};
    process.on('SIGINT', ignore);
    const forward = () => child.kill('SIGTERM');
    process.on('SIGTERM', forward);
    const done = () => {
      process.off('SIGINT', ignore);
      process.off('SIGTERM', forward);
    };
    child.on('error', (error) => (done(), reject(new Stop(`${command} could not be started: ${error.message}`))));
    child.on('close', (code, signal) => (done(), resolve(code ?? (signal === 'SIGINT' ? 130 : 1))));
  });
}

/**
 * Runs a program and shows its output only if it fails. With a `label`, prints a line every `everyMs` milliseconds with the
 * program's last line of output, so that a long compilation does not look like a hang.
 * @returns {Promise<string>} its standard output
 */
export function quiet(command, args, { env = process.env, cwd = root, label, everyMs = 15_000 } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const started = Date.now();
    let stdout = '';
    let both = '';
    child.stdout.setEncoding('utf8').on('data', (text) => ((stdout += text), (both += text)));
    child.stderr.setEncoding('utf8').on('data', (text) => (both += text));
    const heartbeat = label && setInterval(() => {
      const last = lastLine(both);
      say(`  … ${label}, ${Math.round((Date.now() - started) / 1000)} s${last && `: ${last}`}`);
    }, everyMs);
    const forward = (signal) => child.kill(signal);
    process.on('SIGTERM', forward);
    const done = () => (clearInterval(heartbeat), process.off('SIGTERM', forward));
    child.on('error', (error) => {
      done();
      reject(Object.assign(new Stop(`${command} could not be started: ${error.message}`), { code: error.code }));
    });
    child.on('close', (code, signal) => {
      done();
      if (code === 0) return resolve(stdout);
      const shown = both.trimEnd().split('\n').slice(-200).join('\n');
      reject(Object.assign(new Stop(`\`${inShort(command, args)}\` failed (${signal ?? `exit code ${code}`})\n${shown}`), { output: both }));
    });
  });
}

/** Formats a command as a person would type it: without the folders in front. */
export function inShort(command, args) {
  return [basename(command), ...args].join(' ').replaceAll(root + sep, '').replace('node node_modules/wrangler/bin/wrangler.js', 'wrangler');
}

function lastLine(text) {
  // Remove the colour codes.
  return text.replace(/\u001b\[[0-9;]*m/g, '').trimEnd().split(/[\r\n]/).pop().trim().slice(0, 80);
}
