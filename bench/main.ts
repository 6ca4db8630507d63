import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench } from './harness/bench.ts';
import { Lab } from './harness/lab.ts';
import { currentLoad, machineFacts } from './harness/machine.ts';
import { compilePrograms } from './harness/programs.ts';
import { writeReport } from './harness/report.ts';
import type { BenchResult } from './harness/result.ts';
import { LEAST_ROUNDS, isWorthKeeping, writeResult } from './harness/store.ts';
import { formatResult } from './harness/table.ts';
import { cold } from './cold.ts';
import { distant } from './distant.ts';
import { floor } from './floor.ts';
import { flaky } from './flaky.ts';
import { limited } from './limited.ts';
import { many } from './many.ts';
import { warm } from './warm.ts';

const BENCHES: readonly Bench[] = [cold, limited, distant, flaky, warm, many, floor];
const ROOT = fileURLToPath(new URL('..', import.meta.url));

const rounds = numberFrom('SMARTVM_BENCH_ROUNDS', LEAST_ROUNDS);
const scale = numberFrom('SMARTVM_BENCH_SCALE', 1);
const names = process.argv.slice(2);

if (names[0] === 'report') {
  say(`wrote ${await writeReport(ROOT)}`);
} else {
  const chosen = names.length === 0 ? BENCHES : names.map(benchOf);
  const programs = await compilePrograms(ROOT);
  for (const bench of chosen) {
    if (process.exitCode === undefined) await runBench(bench, programs);
  }
}

async function runBench(bench: Bench, programs: string): Promise<void> {
  const loadBefore = currentLoad();
  const takenAt = new Date().toISOString();
  const lab = await Lab.open({ rounds, scale, programs });
  const interrupted = (): void => lab.interrupt();
  process.on('SIGINT', interrupted).on('SIGTERM', interrupted);
  try {
    const findings = await bench.run(lab);
    const machine = machineFacts(lab.dir, loadBefore);
    const command = `npm run bench -- ${bench.name}`;
    const { name, title } = bench;
    const result: BenchResult = { bench: name, title, command, takenAt, rounds, scale, machine, ...findings };
    process.stdout.write(`\n## ${title}\n\n${formatResult(result)}\n\n`);
    const path = await writeResult(ROOT, result);
    say(`${bench.name}: wrote ${path}`);
    if (isWorthKeeping(result)) say(`${bench.name}: wrote ${basename(await writeReport(ROOT))}`);
    else say(`${bench.name}: a rehearsal; kept are ${LEAST_ROUNDS} rounds or more at full size`);
  } catch (error) {
    if (!lab.isInterrupted) throw error;
    process.exitCode = 130;
  } finally {
    process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    await lab.close();
  }
}

function benchOf(name: string): Bench {
  const bench = BENCHES.find((one) => one.name === name);
  if (bench !== undefined) return bench;
  throw new Error(`there is no bench ${name}: ${BENCHES.map((one) => one.name).join(', ')}, or report`);
}

function numberFrom(variable: string, otherwise: number): number {
  const text = process.env[variable];
  if (!text) return otherwise;
  const number = Number(text);
  if (number > 0) return number;
  throw new Error(`${variable} must be a number above 0, got ${text}`);
}

function say(words: string): void {
  process.stderr.write(`${words}\n`);
}
