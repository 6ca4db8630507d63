import { plainLine } from './plain-text.ts';
import type { RetryNews } from './progress.ts';

const SMALLEST_REASON = 12;

/** Who failed and how: `mirror.lan: connection reset`. Of an address its host says enough. */
function reasonOf({ source, message }: RetryNews): string {
  const words = message.replace(/\bhttps?:\/\/([^/\s]+)\S*/g, '$1');
  return plainLine(words.includes(source) ? words : `${source}: ${words}`);
}

/** What comes of it: `again in 4 s (2 of 5)`. */
function planOf({ attempt, maxAttempts }: RetryNews, leftMs: number): string {
  const when = leftMs > 0 ? `again in ${Math.ceil(leftMs / 1000)} s` : 'trying again';
  return `${when} (${attempt} of ${maxAttempts})`;
}

/** Both, in this many columns: the reason is shortened first, then left out. */
export function retryText(news: RetryNews, leftMs: number, columns: number): string {
  const [reason, plan] = [reasonOf(news), planOf(news, leftMs)];
  const room = columns - plan.length - 2;
  if (reason.length <= room) return `${reason}, ${plan}`;
  return room < SMALLEST_REASON ? plan : `${reason.slice(0, room - 1).trimEnd()}…, ${plan}`;
}
