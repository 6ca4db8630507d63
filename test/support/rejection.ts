import assert from 'node:assert/strict';
import { SmartVMError } from 'smartvm';

/** The error a call rejects with; fails the test when it does not reject, or rejects with anything but a `SmartVMError`. */
export async function rejection(promise: Promise<unknown>): Promise<SmartVMError> {
  const error = await promise.then(
    () => assert.fail('it did not fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof SmartVMError, String(error));
  return error;
}
