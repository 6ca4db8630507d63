import { HELP_FLAG } from './command-arguments.ts';
import type { Verb } from './verb.ts';

/** What `smartvm --help` prints: every verb, with an example of each. */
export function formatHelp(verbs: readonly Verb[]): string {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  const examples = verbs.map(({ examples: [{ command }] }) => `  ${command}\n`);
  return [
    'A kernel and a root file system that boot, proven and kept.\n',
    '\nUsage: smartvm <command> [arguments] [flags]\n',
    '\nCommands:\n',
    ...verbs.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`),
    '\nExamples:\n',
    ...examples,
    '\n"smartvm <command> --help" explains a command, "smartvm --version" names the version.\n',
    'Exit status: 0 done, 1 failed, 2 not understood, 130 interrupted.\n',
  ].join('');
}

/** What `smartvm <verb> --help` prints. */
export function formatVerbHelp({ name, summary, operands, flags, examples }: Verb): string {
  const lines = Object.entries({ ...flags, ...HELP_FLAG }).map(([flag, { short, value, help }]) => {
    const left = `${short === undefined ? '    ' : `-${short}, `}--${flag}${value === undefined ? '' : ` ${value}`}`;
    return { left, help };
  });
  const width = Math.max(...lines.map(({ left }) => left.length));
  return [
    `${summary}\n`,
    `\nUsage: smartvm ${name} ${operands.text === '' ? '' : `${operands.text} `}[flags]\n`,
    '\nFlags:\n',
    ...lines.map(({ left, help }) => `  ${left.padEnd(width)}  ${help}\n`),
    '\nExamples:\n',
    ...examples.map(({ command, says }) => `  ${command}\n      ${says}\n`),
  ].join('');
}
