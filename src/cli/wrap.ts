/** Text in lines of at most this many columns, broken between words where that can be; what goes on is indented. */
export function wrap(text: string, columns: number): readonly string[] {
  return text.split('\n').flatMap((line) => wrapLine(line, Math.max(columns, 8)));
}

function wrapLine(line: string, columns: number): string[] {
  if (line.length <= columns) return [line];
  const space = line.lastIndexOf(' ', columns);
  const at = line.slice(0, Math.max(space, 0)).trim() === '' ? columns : space;
  return [line.slice(0, at), ...wrapLine(`    ${line.slice(at).trimStart()}`, columns)];
}
