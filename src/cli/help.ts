import { HELP_FLAG } from './command-arguments.ts';
import type { Verb } from './verb.ts';

/** What `smartvm --help` prints, wrapped to this many columns: every verb, with an example of each. */
export function formatHelp(verbs: readonly Verb[], columns: number): string {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  const examples = verbs.map(({ examples: [{ command }] }) => `  ${command}\n`);
  return [
    'A kernel and a root file system that boot, proven and kept.\n',
    '\nUsage: smartvm <command> [arguments] [flags]\n',
    '\nCommands:\n',
    ...verbs.map(({ name, summary }) => hang(`  ${name.padEnd(width)}  `, summary, columns)),
    '\nExamples:\n',
    ...examples,
    '\n"smartvm <command> --help" explains a command; --version names the version.\n',
    'Exit status: 0 done, 1 failed, 2 not understood, 130 interrupted.\n',
  ].join('');
}

/** What `smartvm <verb> --help` prints, wrapped to this many columns. */
export function formatVerbHelp({ name, summary, operands, flags, examples }: Verb, columns: number): string {
  const lines = Object.entries({ ...flags, ...HELP_FLAG }).map(([flag, { short, value, help }]) => {
    const left = `${short === undefined ? '    ' : `-${short}, `}--${flag}${value === undefined ? '' : ` ${value}`}`;
    return { left, help };
  });
  const width = Math.max(...lines.map(({ left }) => left.length));
  return [
    hang('', summary, columns),
    `\nUsage: smartvm ${name} ${operands.text === '' ? '' : `${operands.text} `}[flags]\n`,
    '\nFlags:\n',
    ...lines.map(({ left, help }) => hang(`  ${left.padEnd(width)}  `, help, columns)),
    '\nExamples:\n',
    ...examples.map(({ command, says }) => `  ${command}\n${hang('      ', says, columns)}`),
  ].join('');
}

/** Words behind a lead, the following lines indented to it; below it where the room beside it is small. */
function hang(lead: string, words: string, columns: number): string {
  const beside = columns - lead.length >= 24;
  const indent = beside ? lead.length : 10;
  const lines = [''];
  for (const word of words.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (indent + last.length + 1 + word.length <= columns - 1) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  const first = lead.trim() === '' ? '' : `${lead.trimEnd()}\n`;
  const body = lines.map((line) => `${' '.repeat(indent)}${line}\n`).join('');
  return beside ? `${lead}${body.slice(indent)}` : `${first}${body}`;
}
