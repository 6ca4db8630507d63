#!/usr/bin/env node
import { writeSync } from 'node:fs';
import { runProgram } from './program.ts';
import { Interruption, type Shell } from './shell.ts';

const STDOUT = 1;
/** How long what is still open after the command has ended may take to close. */
const GRACE_MS = 500;

const controller = new AbortController();
let isOver = false;
let usesOutput = false;

// The first signal asks the command to end and clean up; the second does not wait for that.
for (const [signal, number] of [
  ['SIGHUP', 1],
  ['SIGINT', 2],
  ['SIGTERM', 15],
] as const) {
  process.on(signal, () => {
    if (controller.signal.aborted || isOver) process.exit(128 + number);
    controller.abort(new Interruption(signal, 128 + number));
  });
}

const shell: Shell = {
  get stdin() {
    return process.stdin;
  },
  get stdout() {
    return output();
  },
  get stderr() {
    return errorOutput();
  },
  print,
  env: process.env,
  signal: controller.signal,
};

function errorOutput(): NodeJS.WriteStream {
  if (!process.stderr.listeners('error').includes(onErrorOutputError)) process.stderr.on('error', onErrorOutputError);
  return process.stderr;
}

function onErrorOutputError(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

function output(): NodeJS.WriteStream {
  usesOutput = true;
  if (!process.stdout.listeners('error').includes(onOutputError)) process.stdout.on('error', onOutputError);
  return process.stdout;
}

function print(text: string): void {
  let rest = Buffer.from(text);
  try {
    while (rest.byteLength > 0) rest = rest.subarray(writeSync(STDOUT, rest));
  } catch (error) {
    // A full pipe that does not block is for the stream to wait on.
    if (error instanceof Error && 'code' in error && error.code === 'EAGAIN') output().write(rest);
    // As late as a stream would say it: the command is over then.
    else setImmediate(() => onOutputError(error instanceof Error ? error : new Error(String(error))));
  }
}

// A reader that has left (`| head -1`) ends the command as SIGPIPE would, without a word.
function onOutputError(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') {
    controller.abort(new Interruption('a closed pipe', 141));
    return;
  }
  errorOutput().write(`OUTPUT: failed to write to stdout: ${error.message}\n`);
  process.on('exit', () => (process.exitCode = 1));
}

/** Until a reader, however slow, has taken all that was written to the stream of stdout, or has left. */
async function taken(): Promise<void> {
  if (usesOutput) await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
}

void runProgram(process.argv.slice(2), shell).then(async (exitCode) => {
  process.exitCode = exitCode;
  isOver = true;
  await taken();
  setTimeout(() => process.exit(), GRACE_MS).unref();
});
