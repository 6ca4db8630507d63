/** A command as a shell reads it. */
export function commandLine(argv: readonly (string | number)[]): string {
  return argv.map((word) => quoted(String(word))).join(' ');
}

/** Commands one after another; the first that fails ends it. */
export function inTurn(...commands: readonly (readonly (string | number)[])[]): string {
  return commands.map(commandLine).join(' && ');
}

function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
