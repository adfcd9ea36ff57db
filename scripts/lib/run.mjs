// Running other programs: with their output on show, or quietly with a sign of life. Everything said here goes to standard error,
// so that standard output belongs to the command the user asked for (`npm run -s tenants -- list --format json`).

import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { basename, dirname, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** A failure the user can do something about: its message is all that is shown. */
export class Stop extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** Runs a script's `body` and turns what it throws into a message and an exit code. */
export async function main(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    say(error instanceof Stop ? `\nerror: ${error.message}` : error.stack);
    process.exitCode = error.exitCode ?? 1;
  }
}

/** True where `meta` (an `import.meta`) is the script that node was started with, and not one imported by another. */
export function isMain(meta) {
  return process.argv[1] !== undefined && fileURLToPath(meta.url) === realpathSync(process.argv[1]);
}

/** Runs a program with its output (and, with `stdin: 'inherit'`, its input) on ours. Resolves with its exit code. */
export function show(command, args, { env = process.env, cwd = root, stdin = 'ignore', stdout = 'inherit' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: [stdin, stdout, 'inherit'] });
    // Ctrl-C reaches the child by itself, being in our process group: wait for what it makes of it.
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
 * Runs a program without showing its output, unless it fails. With a `label`, one line says every `everyMs` milliseconds that it
 * is still going and what it last said: nobody should wonder whether a compilation hangs.
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

/** A command as a person would have written it: without the folders in front. */
export function inShort(command, args) {
  return [basename(command), ...args].join(' ').replaceAll(root + sep, '').replace('node node_modules/wrangler/bin/wrangler.js', 'wrangler');
}

function lastLine(text) {
  // Without the colour codes.
  return text.replace(/\u001b\[[0-9;]*m/g, '').trimEnd().split(/[\r\n]/).pop().trim().slice(0, 80);
}
