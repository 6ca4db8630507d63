import type { Behaviour } from './behaviour.ts';
import type { Where } from './breaks.ts';
import { drawFrom } from './random.ts';
import type { ReceivedRequest } from './received-request.ts';

/**
 * With this probability (0 to 1) one of the behaviours, each as likely as the others; else the file is served as it should be.
 * What happens depends on the seed, the path and the number of the request alone: the same seed gives the same run.
 */
export function chance(probability: number, seed: number, behaviours: readonly Behaviour[]): Behaviour {
  const drawn = ({ path, number }: ReceivedRequest): Behaviour | undefined => {
    if (drawFrom('chance', seed, path, number) >= probability) return undefined;
    return behaviours[Math.floor(drawFrom('which', seed, path, number) * behaviours.length)];
  };
  return {
    file: (file, request) => drawn(request)?.file?.(file, request) ?? file,
    answer: (answer, request) => drawn(request)?.answer?.(answer, request) ?? answer,
  };
}

/** A byte of the body, as `afterBytes` of what breaks: another for each request, the same for the same seed. */
export function anywhere(seed: number): Where {
  return (bodyBytes, { path, number }) => Math.floor(drawFrom('where', seed, path, number) * bodyBytes);
}
