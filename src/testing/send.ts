import { endsConnection, headOf, type Answer } from './answer.ts';
import type { Connection } from './connection.ts';

export interface SendOptions {
  /** True for HEAD: no body. */
  readonly headOnly: boolean;
  /** Called with the bytes of the body that were taken. */
  readonly onSent: (bytes: number) => void;
}

const PIECE_BYTES = 64 * 1024;

/** Sends an answer as it is to be sent. True when the connection can be used for another one. */
export async function send(
  answer: Answer,
  connection: Connection,
  { headOnly, onSent }: SendOptions,
): Promise<boolean> {
  await connection.pause(answer.delayMs);
  if (answer.raw === undefined) await connection.write(Buffer.from(headOf(answer), 'latin1'));
  const hasBody = !headOnly || answer.raw !== undefined;
  if (hasBody && (await sendBody(answer, connection, onSent))) await connection.write(answer.extra);
  switch (answer.stop?.how) {
    case 'reset':
      await connection.reset();
      return false;
    case 'stall':
      await connection.whenGone();
      return false;
    default:
      if (!endsConnection(answer)) return !connection.gone.aborted;
      connection.end();
      return false;
  }
}

/** True when all of it was sent, the last chunk too; false where it was to stop before, or nobody listens any more. */
async function sendBody(answer: Answer, connection: Connection, onSent: (bytes: number) => void): Promise<boolean> {
  const { raw, framing, pace, stop } = answer;
  const isChunked = framing === 'chunked' && raw === undefined;
  const beganMs = performance.now();
  let sent = 0;
  for (const [index, { chunkHead, bytes, isChunkEnd }] of enumerated(pieces(answer))) {
    if (stop !== undefined && sent >= stop.afterBytes) return false;
    if (pace !== undefined) await connection.pause(beganMs + index * pace.everyMs - performance.now());
    const piece = stop === undefined ? bytes : bytes.subarray(0, stop.afterBytes - sent);
    if (isChunked && chunkHead !== undefined) await connection.write(`${chunkHead.toString(16)}\r\n`);
    await connection.write(piece);
    if (connection.gone.aborted) return false;
    sent += piece.byteLength;
    onSent(piece.byteLength);
    if (piece.byteLength < bytes.byteLength) return false;
    if (isChunked && isChunkEnd) await connection.write('\r\n');
  }
  if (isChunked && stop !== undefined) return false;
  if (isChunked) await connection.write('0\r\n\r\n');
  return true;
}

interface Piece {
  readonly bytes: Uint8Array;
  /** Size of the chunk that begins with this piece. */
  readonly chunkHead: number | undefined;
  readonly isChunkEnd: boolean;
}

/** The body in chunks, and each of these in pieces that are written at once. */
function* pieces({ raw, body, isEndless, framing, chunkBytes, pace }: Answer): Generator<Piece> {
  const whole = raw ?? (isEndless && body.byteLength === 0 ? new Uint8Array(PIECE_BYTES) : body);
  const longest = framing === 'chunked' ? chunkBytes : Infinity;
  const most = pace?.bytes ?? PIECE_BYTES;
  do {
    for (let start = 0; start < whole.byteLength; start += longest) {
      const end = Math.min(whole.byteLength, start + longest);
      for (let from = start; from < end; from += most) {
        const to = Math.min(end, from + most);
        yield {
          bytes: whole.subarray(from, to),
          chunkHead: from === start ? end - start : undefined,
          isChunkEnd: to === end,
        };
      }
    }
  } while (isEndless);
}

function* enumerated<T>(values: Iterable<T>): Generator<readonly [number, T]> {
  let index = 0;
  for (const value of values) yield [index++, value] as const;
}
