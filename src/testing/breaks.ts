import type { Stop } from './answer.ts';
import type { Behaviour } from './behaviour.ts';
import type { ReceivedRequest } from './received-request.ts';

/** A number of bytes of the body, or what gives it for a body of this size. */
export type Where = number | ((bodyBytes: number, request: ReceivedRequest) => number);

/** After how many bytes of the body it happens; behind the whole body where there are fewer. 0 is right after the headers. */
export interface BreakOptions {
  readonly afterBytes: Where;
}

/** Sends no more, and closes the connection properly (FIN). */
export function truncate(options: BreakOptions): Behaviour {
  return breaking('end', options);
}

/** Breaks the connection (RST). What was sent before is given a moment to arrive, though a slow reader may lose some of it. */
export function reset(options: BreakOptions): Behaviour {
  return breaking('reset', options);
}

/** Sends no more, and keeps the connection open. */
export function stall(options: BreakOptions): Behaviour {
  return breaking('stall', options);
}

function breaking(how: Stop['how'], { afterBytes }: BreakOptions): Behaviour {
  return {
    answer: (answer, request) => {
      const bytes = answer.raw?.byteLength ?? answer.body.byteLength;
      const where = typeof afterBytes === 'number' ? afterBytes : afterBytes(bytes, request);
      return { ...answer, stop: { afterBytes: where, how } };
    },
  };
}
