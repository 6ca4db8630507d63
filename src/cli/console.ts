import { finished } from 'node:stream/promises';
import type { Machine, MachineExit } from '../index.ts';
import type { Shell } from './shell.ts';

/** Ctrl-] */
const LEAVE = 0x1d;

export interface ConsoleEnd extends MachineExit {
  /** Ctrl-] was typed. */
  readonly left: boolean;
}

/**
 * Joins this process's stdin and stdout with a machine's console until the machine ends; Ctrl-] on a terminal ends it. The end
 * of stdin does not. Afterwards the machine is gone and the terminal is as it was, whatever happened.
 */
export async function runConsole(machine: Machine, { stdin, stdout }: Shell): Promise<ConsoleEnd> {
  const raw = stdin.isTTY;
  let left = false;
  const onInput = (chunk: Buffer): void => {
    const leave = raw ? chunk.indexOf(LEAVE) : -1;
    machine.write(leave < 0 ? chunk : chunk.subarray(0, leave));
    if (leave < 0 || left) return;
    left = true;
    void machine.stop();
  };
  try {
    if (raw) stdin.setRawMode(true);
    machine.console.pipe(stdout, { end: false });
    stdin.on('data', onInput);
    const exit = await machine.exited;
    await finished(machine.console, { writable: false });
    return { ...exit, left };
  } finally {
    stdin.off('data', onInput);
    stdin.pause();
    if (raw) stdin.setRawMode(false);
    await machine.stop();
  }
}
