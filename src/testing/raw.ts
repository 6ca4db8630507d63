import { answerOf, type Stop } from './answer.ts';
import type { Behaviour } from './behaviour.ts';
import { noise } from './random.ts';

export interface RawOptions {
  /** What becomes of the connection: it is closed (the default), broken, or left open without another byte. */
  readonly then?: Stop['how'] | undefined;
}

/** These bytes instead of an answer; a text is sent with one byte for each character. */
export function raw(bytes: Uint8Array | string, { then = 'end' }: RawOptions = {}): Behaviour {
  const sent = typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
  const stop: Stop = { afterBytes: sent.byteLength, how: then };
  return { answer: () => ({ ...answerOf(0, []), raw: sent, stop }) };
}

/** Bytes that are no HTTP. */
export function garbage({
  bytes = 1000,
  seed = 1,
}: { readonly bytes?: number; readonly seed?: number } = {}): Behaviour {
  return raw(noise(bytes, seed));
}

/** Closes the connection, or breaks it, without a word. */
export function emptyReply(options: RawOptions = {}): Behaviour {
  return raw('', options);
}

/** Half a status line, and then silence, or what is said. */
export function halfStatusLine({ then = 'stall' }: RawOptions = {}): Behaviour {
  return raw('HTTP/1.1 2', { then });
}

/** Takes the request and says nothing. */
export function silence(): Behaviour {
  return raw('', { then: 'stall' });
}
