import { ratioIn, spreadIn, valuesOf, type BenchResult, type Bound, type Section, type Series } from './result.ts';
import type { Spread } from './statistics.ts';

/** A result as Markdown, which reads well on a terminal too. */
export function formatResult(result: BenchResult): string {
  const { machine, rounds, scale, takenAt, command } = result;
  const size = scale === 1 ? '' : `, sizes x ${scale}`;
  const facts = [
    `${takenAt.slice(0, 10)}, ${rounds} rounds${size}`,
    `${machine.cores} cores of ${machine.cpu}`,
    `Linux ${machine.kernel}, ${machine.fileSystem}`,
    `Node ${machine.node}`,
    `load ${machine.loadBefore} before and ${machine.loadAfter} after`,
  ];
  return [
    `\`${command}\` (${facts.join('; ')})`,
    ...result.sections.map(formatSection),
    ...(result.bounds.length === 0 ? [] : [formatBounds(result.bounds)]),
    (result.notes ?? []).map((note) => `- ${note}`).join('\n'),
  ].join('\n\n');
}

function formatSection(section: Section): string {
  const hasProcesses = section.series.some((series) => valuesOf(series, 'cpuMs').length > 0);
  const isAlone = section.series.length === 1;
  const head = ['way', 'wall', isAlone ? 'least–most' : `wall / ${section.base}`];
  const rows = section.series.map((series) => [
    series.name,
    time(spreadIn(section, series.name, 'wallMs').median),
    isAlone ? range(spreadIn(section, series.name, 'wallMs')) : ratio(ratioIn(section, series.name, section.base)),
    ...(hasProcesses ? processCells(section, series) : []),
  ]);
  const all = [[...head, ...(hasProcesses ? ['CPU', `CPU / ${section.base}`, 'peak MiB'] : [])], ...rows];
  return `**${section.title}**\n\n${formatTable(all)}`;
}

function processCells(section: Section, { name }: Series): readonly string[] {
  return [
    time(spreadIn(section, name, 'cpuMs').median),
    spreadIn(section, section.base, 'cpuMs').median === 0 ? '' : ratio(ratioIn(section, name, section.base, 'cpuMs')),
    spreadIn(section, name, 'peakMiB').median.toFixed(0),
  ];
}

function formatBounds(bounds: readonly Bound[]): string {
  const rows = bounds.map(({ claim, measured, limit, unit, isStretch = false }) => [
    claim,
    `${isStretch ? 'aim ' : ''}<= ${amount(limit, unit)}`,
    amount(measured, unit),
    measured <= limit ? 'yes' : 'NO',
  ]);
  return formatTable([['figure', 'bound', 'measured', 'met'], ...rows]);
}

function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0), 3));
  const line = (row: readonly string[]): string =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}

function ratio({ median, least, most }: Spread): string {
  return least === most ? figures(median) : `${figures(median)} (${figures(least)}–${figures(most)})`;
}

function range({ least, most }: Spread): string {
  return `${time(least)}–${time(most)}`;
}

function time(ms: number): string {
  return ms >= 1000 ? `${figures(ms / 1000)} s` : `${figures(ms)} ms`;
}

function amount(value: number, unit: Bound['unit']): string {
  return unit === '' ? figures(value) : `${figures(value)} ${unit}`;
}

/** Three figures that mean something, or whole numbers. */
function figures(value: number): string {
  if (Number.isInteger(value) || value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value >= 0.1 ? value.toFixed(2) : value.toPrecision(2);
}
