#!/usr/bin/env node
import { runProgram } from './program.ts';
import { Interruption, type Shell } from './shell.ts';

/** How long what is still open after the command has ended may take to close. */
const GRACE_MS = 500;

const controller = new AbortController();

// The first signal asks the command to end and clean up; the second does not wait for that.
for (const [signal, number] of [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(signal, () => {
    if (controller.signal.aborted) process.exit(128 + number);
    controller.abort(new Interruption(signal, 128 + number));
  });
}

const shell: Shell = {
  get stdin() {
    return process.stdin;
  },
  get stdout() {
    return process.stdout;
  },
  get stderr() {
    return process.stderr;
  },
  env: process.env,
  signal: controller.signal,
};

// A reader that has left (`| head -1`) ends the command as SIGPIPE would, without a word.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') {
    controller.abort(new Interruption('a closed pipe', 141));
    return;
  }
  process.stderr.write(`OUTPUT: failed to write to stdout: ${error.message}\n`);
  process.on('exit', () => (process.exitCode = 1));
});
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

void runProgram(process.argv.slice(2), shell).then((exitCode) => {
  process.exitCode = exitCode;
  setTimeout(() => process.exit(), GRACE_MS).unref();
});
