import { spawn, type ChildProcess } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { SmartVMError, messageOf } from '../errors.ts';
import { onPath } from './host.ts';
import { RUN_DIR, type MachinePlan } from './vmm.ts';

/** How a machine ended. */
export interface MachineExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A machine that runs: one supervised process and its console. It dies with the process that started it. */
export interface Machine {
  readonly plan: MachinePlan;
  readonly pid: number;
  /** When the process was started, on the clock of `performance.now()`. */
  readonly startedAtMs: number;
  /** What the guest writes to its console. What nobody reads is dropped beyond a few MiB; `consoleTail` still has the end. */
  readonly console: Readable;
  /** Settles when the process is gone and everything it left is cleared away. Never rejects. */
  readonly exited: Promise<MachineExit>;
  /** Types on the guest's console. */
  write(bytes: Uint8Array | string): void;
  /** The last 64 KiB that the console showed. */
  consoleTail(): string;
  /** The last 64 KiB that the VMM itself had to say. */
  vmmTail(): string;
  /** Ends the machine: asks the VMM, then kills it. Settles when it is gone. */
  stop(): Promise<MachineExit>;
}

export interface StartOptions {
  /** Where the machine keeps its files; it stands for `{{runDir}}` in the arguments of the plan. */
  readonly runDir: string;
  /** A descriptor that the child inherits and so keeps open while it lives. */
  readonly leaseFd: number;
  /** Called once the process is gone, before `exited` settles. */
  readonly onExit: () => Promise<void>;
  /** Aborting it ends the machine. */
  readonly signal?: AbortSignal | undefined;
}

const TAIL_BYTES = 64 * 1024;
const UNREAD_LIMIT_BYTES = 4 * 1024 * 1024;
const TERM_GRACE_MS = 2000;

/**
 * Starts the process of a plan. It is killed by the kernel when this process dies, however that happens; a terminal's Ctrl-C
 * does not reach it. Rejects with `VMM_UNAVAILABLE` when the program cannot be started.
 */
export async function startMachine(plan: MachinePlan, options: StartOptions): Promise<Machine> {
  options.signal?.throwIfAborted();
  if (plan.configFile !== undefined) {
    await writeFile(join(options.runDir, plan.configFile.name), plan.configFile.text, { mode: 0o600 });
  }
  const [command, ...args] = [...(await dyingWithUs()), plan.command, ...plan.args];
  const startedAtMs = performance.now();
  const child = spawn(
    command ?? plan.command,
    args.map((arg) => arg.replaceAll(RUN_DIR, options.runDir)),
    // A session of its own keeps the terminal's signals away from it.
    { stdio: ['pipe', 'pipe', 'pipe', options.leaseFd], detached: true },
  );
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => {
      const message = `Failed to start ${plan.command}: ${messageOf(cause)}`;
      reject(new SmartVMError(message, 'VMM_UNAVAILABLE', { cause }));
    });
  });
  return supervise(child, plan, startedAtMs, options);
}

/** The kernel sends the signal when the thread that forked ends; Node forks on its main thread, which is right. */
async function dyingWithUs(): Promise<readonly string[]> {
  const setpriv = await onPath('setpriv');
  return setpriv === undefined ? [] : [setpriv, '--pdeathsig', 'KILL'];
}

function supervise(
  child: ChildProcess,
  plan: MachinePlan,
  startedAtMs: number,
  { onExit, signal }: StartOptions,
): Machine {
  const consoleTail = new Tail();
  const vmmTail = new Tail();
  const console = new Readable({ read: () => undefined });
  child.stdout?.on('data', (chunk: Buffer) => {
    consoleTail.add(chunk);
    if (console.readableLength < UNREAD_LIMIT_BYTES) console.push(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => vmmTail.add(chunk));
  // A guest that is gone reads no more; its exit is what is told.
  child.stdin?.on('error', () => undefined);

  const gone = new Promise<MachineExit>((resolve) => {
    child.once('close', (code, exitSignal) => resolve({ code, signal: exitSignal }));
  });
  const stop = async (): Promise<MachineExit> => {
    child.kill('SIGTERM');
    const killing = setTimeout(() => child.kill('SIGKILL'), TERM_GRACE_MS);
    try {
      return await exited;
    } finally {
      clearTimeout(killing);
    }
  };
  const onAbort = (): void => void stop();
  signal?.addEventListener('abort', onAbort, { once: true });
  const exited = gone.then(async (exit) => {
    signal?.removeEventListener('abort', onAbort);
    console.push(null);
    await onExit();
    return exit;
  });
  if (signal?.aborted === true) onAbort();
  return {
    plan,
    pid: child.pid ?? 0,
    startedAtMs,
    console,
    exited,
    write: (bytes) => void child.stdin?.write(bytes),
    consoleTail: () => consoleTail.text(),
    vmmTail: () => vmmTail.text(),
    stop,
  };
}

/** The end of a stream of bytes. */
class Tail {
  #bytes = Buffer.alloc(0);

  add(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(-TAIL_BYTES);
  }

  text(): string {
    return this.#bytes.toString('utf8');
  }
}
