import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from './lab.ts';
import { commandLine } from './shell.ts';

/** What a command did to the network and to a folder. */
export interface Trace {
  /** Attempts to connect to anything but a socket of this machine's file system. */
  readonly connections: number;
  /** Files of the folder that were opened for writing, made, renamed, linked or removed. */
  readonly writes: number;
}

const CALLS =
  'connect,sendto,open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,unlink,unlinkat';
const OPENING = /\b(?:open|openat|openat2)\(/;
const FOR_WRITING = /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/;

/** Runs a command once under strace, all of its threads and children included. */
export async function traceOf(lab: Lab, argv: readonly string[], folder: string): Promise<Trace> {
  const log = join(lab.dir, 'trace');
  await lab.run({
    name: 'strace',
    command: commandLine(['strace', '-f', '-qq', '-s', 4096, '-e', `trace=${CALLS}`, '-o', log, ...argv]),
  });
  const lines = (await readFile(log, 'utf8')).split('\n');
  const touching = lines.filter((line) => line.includes(`"${folder}`));
  return {
    connections: lines.filter((line) => /\bconnect\(/.test(line) && !line.includes('AF_UNIX')).length,
    writes: touching.filter((line) => !OPENING.test(line) || FOR_WRITING.test(line)).length,
  };
}
