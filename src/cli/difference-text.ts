import type { Changes, ImageDifference } from '../index.ts';
import { plainLine } from './plain-text.ts';
import { formatBytes } from './units.ts';

const SHOWN = 40;

/** What differs, a line for each: `-` was, `+` is, `~` changed; kinds of things that nobody publishes are said to be unknown. */
export function formatDifference(
  { from, to, artifacts, kernelOptions, packages }: ImageDifference,
  verbose: boolean,
): string {
  const lines = [`--- ${from}`, `+++ ${to}`];
  for (const { role, from: was, to: is } of artifacts) {
    lines.push(`~ ${role}: ${file(was)} -> ${file(is)}`);
  }
  lines.push(...changes('kernel option', 'CONFIG_', kernelOptions, verbose));
  lines.push(...changes('package', '', packages, verbose));
  if (lines.length === 2) lines.push('no difference');
  return lines.map((line) => `${plainLine(line)}\n`).join('');
}

function file(artifact: { readonly fileName: string; readonly bytes?: number } | undefined): string {
  if (artifact === undefined) return 'none';
  return artifact.bytes === undefined ? artifact.fileName : `${artifact.fileName} (${formatBytes(artifact.bytes)})`;
}

function changes(what: string, prefix: string, found: Changes | undefined, verbose: boolean): string[] {
  if (found === undefined) return [`${what}s: unknown, because one of the two does not publish them`];
  const { gained, lost, changed } = found;
  const lines = [
    ...Object.entries(lost).map(([name, value]) => `- ${prefix}${name} ${value}`),
    ...Object.entries(gained).map(([name, value]) => `+ ${prefix}${name} ${value}`),
    ...Object.entries(changed).map(([name, { from, to }]) => `~ ${prefix}${name} ${from} -> ${to}`),
  ];
  if (verbose || lines.length <= SHOWN) return lines;
  return [...lines.slice(0, SHOWN), `and ${lines.length - SHOWN} more ${what}s: see them with --verbose`];
}
