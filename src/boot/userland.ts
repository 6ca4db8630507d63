import { SmartVMError } from '../errors.ts';
import { ConsoleWatch, type Sight } from '../vmm/console-watch.ts';
import type { Machine } from '../vmm/process.ts';

export interface UserlandOptions {
  readonly expect: string | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

export interface Userland {
  readonly marker: string;
  readonly kernelLine: string | undefined;
}

type Outcome = Sight | { readonly kind: 'ended' } | { readonly kind: 'timeout' } | { readonly kind: 'aborted' };

/** A panic is followed by the lines that explain it. */
const LAST_WORDS_MS = 300;
const SILENCE_MS = 2000;
const SHOWN_LINES = 12;

/**
 * Waits until the guest shows that it is up. Rejects with `MACHINE_BOOT_FAILED`, the last lines of the console and a way out when
 * it is past hope, ends or stays silent; with the signal's reason when aborted. Leaves the machine as it is.
 */
export async function awaitUserland(bundleId: string, machine: Machine, options: UserlandOptions): Promise<Userland> {
  const watch = new ConsoleWatch(options.expect);
  const outcome = await firstOf(machine, watch, options);
  options.signal?.throwIfAborted();
  switch (outcome.kind) {
    case 'up':
      return { marker: outcome.marker, kernelLine: watch.kernelLine };
    case 'dying':
      throw failed(bundleId, machine, outcome.line, outcome.hint);
    case 'timeout':
      throw failed(
        bundleId,
        machine,
        `${waitedFor(options)} did not show up within ${options.timeoutMs / 1000} s`,
        SLOW,
      );
    default: {
      const exit = await machine.exited;
      const how = exit.signal === null ? `status ${exit.code ?? 'none'}` : exit.signal;
      throw failed(
        bundleId,
        machine,
        `${machine.plan.vmm} ended with ${how} before ${waitedFor(options)} showed up`,
        EARLY,
      );
    }
  }
}

const SLOW =
  'Give it more time (--timeout), say what it prints when it is up (--expect), or watch it: smartvm boot without --check.';
const EARLY = 'The last lines say why; the exit status of a VMM cannot tell a panic from a power-off.';

async function firstOf(machine: Machine, watch: ConsoleWatch, options: UserlandOptions): Promise<Outcome> {
  const timers: NodeJS.Timeout[] = [];
  const after = (delayMs: number, act: () => void): void => void timers.push(setTimeout(act, delayMs));
  let onAbort: () => void = () => undefined;
  try {
    return await new Promise<Outcome>((resolve) => {
      let silence: NodeJS.Timeout | undefined;
      machine.console.setEncoding('utf8').on('data', (piece: string) => {
        clearTimeout(silence);
        const sight = watch.see(piece);
        if (sight?.kind === 'up') resolve(sight);
        if (sight?.kind !== 'dying') return;
        if (sight.sure) after(LAST_WORDS_MS, () => resolve(sight));
        else timers.push((silence = setTimeout(resolve, SILENCE_MS, sight)));
      });
      after(options.timeoutMs, () => resolve({ kind: 'timeout' }));
      onAbort = () => resolve({ kind: 'aborted' });
      options.signal?.addEventListener('abort', onAbort, { once: true });
      // A dying guest ends its VMM; what it said before is the better answer.
      void machine.exited.then(() => {
        const sight = watch.see('');
        resolve(sight?.kind === 'dying' ? sight : { kind: 'ended' });
      });
    });
  } finally {
    timers.forEach(clearTimeout);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

function waitedFor({ expect }: UserlandOptions): string {
  return expect === undefined ? 'a login prompt' : JSON.stringify(expect);
}

function failed(bundleId: string, machine: Machine, what: string, hint: string): SmartVMError {
  const said = [machine.vmmTail(), machine.consoleTail()].flatMap(lines).slice(-SHOWN_LINES);
  const tail = said.length === 0 ? 'The console showed nothing.' : `The last lines:\n  ${said.join('\n  ')}`;
  return new SmartVMError(
    `Failed to boot ${bundleId} on ${machine.plan.vmm} (${machine.plan.accelerator}): ${what}\n${tail}`,
    'MACHINE_BOOT_FAILED',
    { hint },
  );
}

/** Lines without the control sequences of a terminal. */
function lines(text: string): string[] {
  return text
    .replace(/\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f]/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '');
}
