/**
 * Rows under a heading, aligned, for a terminal of this many columns. Where the rows do not fit, each is told in several
 * lines: its first cell, and the others below it, indented and wrapped.
 */
export function formatTable(heading: readonly string[], rows: readonly (readonly string[])[], columns: number): string {
  const widths = heading.map((title, index) => Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const width = widths.reduce((sum, one) => sum + one + 2, -2);
  if (width > columns) return rows.map((row) => stack(row, columns)).join('');
  return [heading, ...rows].map((row) => `${align(row, widths)}\n`).join('');
}

/** `name  value` lines with the values below each other. */
export function formatFields(fields: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}

function align(row: readonly string[], widths: readonly number[]): string {
  return row
    .map((cell, index) => cell.padEnd(widths[index] ?? 0))
    .join('  ')
    .trimEnd();
}

function stack([first = '', ...rest]: readonly string[], columns: number): string {
  const lines: string[] = [];
  for (const cell of rest) {
    const last = lines.at(-1);
    const joined = last === undefined ? undefined : `${last}, ${cell}`;
    if (joined !== undefined && joined.length + 2 <= columns) lines[lines.length - 1] = joined;
    else lines.push(cell);
  }
  return `${first}\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
