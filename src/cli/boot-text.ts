import type { MachinePlan } from '../index.ts';
import { plainLine } from './plain-text.ts';
import { formatFields } from './table.ts';

/** A machine that would be started, as facts and as the command that a shell could run. */
export function formatPlan(plan: MachinePlan): string {
  const command = [plan.command, ...plan.args].map(quote).join(' ');
  const facts: (readonly [string, string])[] = [
    ['vmm', `${plan.vmm} ${plan.vmmVersion}`],
    ['accelerator', plan.accelerator],
    ['machine', plan.machine],
    ['memory', `${plan.memoryMiB} MiB`],
    ['cpus', String(plan.vcpus)],
    ['kernel-args', plan.kernelCommandLine],
    ['command', command],
    ...(plan.configFile === undefined ? [] : [[plan.configFile.name, plan.configFile.text] as const]),
  ];
  return formatFields(facts.map(([name, value]) => [name, plainLine(value)] as const));
}

function quote(word: string): string {
  return /^[\w@%+=:,./{}-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
