import { finished } from 'node:stream/promises';
import type { Machine, MachineExit } from '../index.ts';
import type { Shell } from './shell.ts';

/** Ctrl-] */
const LEAVE = 0x1d;

/**
 * Joins this process's stdin and stdout with a machine's console until the machine ends; Ctrl-] on a terminal and an abort
 * end it. Afterwards the machine is gone and the terminal is as it was, whatever happened.
 */
export async function runConsole(machine: Machine, { stdin, stdout, signal }: Shell): Promise<MachineExit> {
  const { console } = machine;
  const raw = stdin.isTTY;
  const onInput = (chunk: Buffer): void => {
    const leave = raw ? chunk.indexOf(LEAVE) : -1;
    const typed = leave < 0 ? chunk : chunk.subarray(0, leave);
    if (typed.length > 0) machine.write(typed);
    if (leave >= 0) stop();
  };
  const stop = (): void => void machine.stop().catch(() => undefined);

  const shown = finished(console, { writable: false }).catch(() => undefined);
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (raw) stdin.setRawMode(true);
    console.pipe(stdout, { end: false });
    stdin.on('data', onInput);
    if (signal.aborted) stop();
    const exit = await machine.exited;
    await shown;
    return exit;
  } finally {
    signal.removeEventListener('abort', stop);
    stdin.off('data', onInput);
    stdin.pause();
    if (raw) stdin.setRawMode(false);
    console.unpipe(stdout);
    await machine.stop();
  }
}
