import { SmartVMError } from '../errors.ts';
import { shown } from './address.ts';
import type { Answer } from './request.ts';

/** Runs work on an answer whose connection must not outlive a failure. */
export async function orDestroyed<T>(answer: Answer, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
}

/** True when the body is the object itself. */
export function isUnencoded({ headers }: Answer): boolean {
  return (headers['content-encoding'] ?? 'identity').toLowerCase() === 'identity';
}

/** @throws SmartVMError `TRANSFER_REFUSED` for a body that would have to be decoded. */
export function refuseEncoding(answer: Answer): void {
  if (isUnencoded(answer)) return;
  const { headers, finalUrl } = answer;
  const encoding = headers['content-encoding'] ?? '';
  throw new SmartVMError(
    `${shown(finalUrl)} is sent with Content-Encoding ${JSON.stringify(encoding.slice(0, 40))}, which was not asked for`,
    'TRANSFER_REFUSED',
    { hint: 'Digests are over the bytes themselves: have the host send them as they are.' },
  );
}
