import type { Answer } from './answer.ts';
import type { ReceivedRequest } from './received-request.ts';
import type { ServedFile } from './served-file.ts';

/**
 * What goes wrong with one request. First the file is changed, then it is answered as RFC 9110 says, then the answer is changed.
 * Both functions are pure: the same request gives the same.
 */
export interface Behaviour {
  readonly file?: (file: ServedFile, request: ReceivedRequest) => ServedFile;
  readonly answer?: (answer: Answer, request: ReceivedRequest) => Answer;
}

/** Nothing goes wrong. */
export function serve(): Behaviour {
  return {};
}

/** Several behaviours at once, applied in this order. */
export function all(...behaviours: readonly Behaviour[]): Behaviour {
  return {
    file: (file, request) => behaviours.reduce((now, one) => one.file?.(now, request) ?? now, file),
    answer: (answer, request) => behaviours.reduce((now, one) => one.answer?.(now, request) ?? now, answer),
  };
}
