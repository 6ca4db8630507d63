import { retryText } from './retry-text.ts';
import type { TransferView, TroubleView } from './transfer-meter.ts';
import { formatBytes, formatSeconds, inUnit, unitFor } from './units.ts';

const LABEL_WIDTH = 'kernel'.length;
const MIN_BAR = 5;
const MAX_BAR = 40;

/**
 * A transfer as one line that never reaches the last column, so that no terminal wraps it. Every part keeps its width while
 * numbers grow; what does not fit is left out whole: the rest of time first, then the rate, then the bytes. While something
 * stands in its way, that is in the bar's place.
 */
export function barLine(view: TransferView, columns: number): string {
  const room = Math.max(columns - 1, 0);
  const label = view.label.padEnd(LABEL_WIDTH);
  const share = view.totalBytes === undefined ? undefined : view.bytes / Math.max(view.totalBytes, 1);
  const percent = share === undefined ? '' : `${Math.floor(Math.min(share, 1) * 100)}%`.padStart(4);
  if (view.trouble !== undefined) return troubleLine(view.trouble, [label, percent], room);
  const kept = view.keptBytes / Math.max(view.totalBytes ?? 1, 1);
  const parts = view.done ? doneParts(view) : runningParts(view);

  for (let shown = parts.length; shown >= 0; shown--) {
    const tail = [percent, ...parts.slice(0, shown)].filter((part) => part !== '').join('  ');
    const bar = Math.min(room - `${label} [] ${tail}`.length, MAX_BAR);
    if (share !== undefined && bar >= MIN_BAR) return `${label} [${drawBar(share, kept, bar)}] ${tail}`;
    if ((share === undefined || shown === 0) && `${label} ${tail}`.length <= room) return `${label} ${tail}`;
  }
  return `${label} ${percent}`.slice(0, room);
}

function troubleLine({ news, leftMs }: TroubleView, head: readonly string[], room: number): string {
  const lead = `${head.filter((part) => part !== '').join(' ')}  `;
  return `${lead}${retryText(news, leftMs, room - lead.length)}`.slice(0, room);
}

function runningParts({ bytes, totalBytes, bytesPerSecond }: TransferView): readonly string[] {
  const rate = `${formatBytes(bytesPerSecond)}/s`.padStart('1023.9 MiB/s'.length);
  if (totalBytes === undefined) return [formatBytes(bytes).padStart('1023.9 MiB'.length), rate];
  const unit = unitFor(totalBytes);
  const total = inUnit(totalBytes, unit);
  const rest = bytesPerSecond > 0 ? clock((totalBytes - bytes) / bytesPerSecond) : '-:--';
  return [
    `${inUnit(bytes, unit).padStart(total.length)}/${total} ${unit}`,
    rate,
    `eta ${rest.padStart('59:59'.length)}`,
  ];
}

function doneParts({ bytes, keptBytes, elapsedMs }: TransferView): readonly string[] {
  const parts = [formatBytes(bytes), `in ${formatSeconds(elapsedMs)}`];
  return keptBytes === 0 ? parts : [...parts, `${formatBytes(keptBytes)} were here`];
}

/** `####===>   `: what was here, what came, what is to come. */
function drawBar(share: number, kept: number, width: number): string {
  const full = Math.floor(Math.min(share, 1) * width);
  const here = Math.min(Math.floor(kept * width), full);
  const head = full < width && full > here ? '>' : '';
  return `${'#'.repeat(here)}${'='.repeat(full - here - head.length)}${head}`.padEnd(width);
}

/** `0:04`, `12:30`, `3h05`. */
function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
  if (whole >= 100 * 3600) return '-:--';
  return `${Math.floor(whole / 3600)}h${String(Math.floor((whole % 3600) / 60)).padStart(2, '0')}`;
}
