import assert from 'node:assert/strict';
import test from 'node:test';
import { SmartVMError } from 'smartvm';
import { describeFailure } from '../../src/cli/failure.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

const words = { json: false, verbose: false };
const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
const network = new SmartVMError('GET failed', 'TRANSFER_NETWORK', { cause: refused });
const failed = new SmartVMError('Failed to look up latest\nhint: rm', 'VERSION_FETCH_FAILED', {
  cause: network,
  hint: 'Use --offline.',
});

test('an error is its code and message, then the way out', () => {
  const { exitCode, text } = describeFailure(new SmartVMError('Failed to find x', 'BASE_IMAGE_NOT_CACHED'), words);
  assert.deepEqual({ exitCode, text }, { exitCode: 1, text: 'BASE_IMAGE_NOT_CACHED: Failed to find x\n' });
  assert.equal(
    describeFailure(failed, words).text,
    'VERSION_FETCH_FAILED: Failed to look up latest\n  hint: rm\nhint: Use --offline.\n',
  );
});

test('--verbose shows the causes, down to the system error', () => {
  assert.equal(
    describeFailure(failed, { json: false, verbose: true }).text,
    'VERSION_FETCH_FAILED: Failed to look up latest\n  hint: rm\n' +
      'cause: TRANSFER_NETWORK: GET failed\ncause: ECONNREFUSED: connect ECONNREFUSED\nhint: Use --offline.\n',
  );
});

test('with --json an error is one object', () => {
  const expected = { code: 'VERSION_FETCH_FAILED', message: failed.message, hint: 'Use --offline.' };
  assert.deepEqual(JSON.parse(describeFailure(failed, { json: true, verbose: false }).text), { error: expected });
  assert.deepEqual(JSON.parse(describeFailure(failed, { json: true, verbose: true }).text), {
    error: { ...expected, causes: ['TRANSFER_NETWORK: GET failed', 'ECONNREFUSED: connect ECONNREFUSED'] },
  });
});

test('what is not understood has its own exit status', () => {
  const { exitCode, text } = describeFailure(new UsageError('unknown flag --x', 'See help.'), words);
  assert.deepEqual({ exitCode, text }, { exitCode: 2, text: 'USAGE: unknown flag --x\nhint: See help.\n' });
});

test('anything else is called a fault of ours, and its stack is shown on demand', () => {
  assert.match(
    describeFailure(new TypeError('x is not y'), words).text,
    /^INTERNAL: x is not y\nhint: This is a fault/,
  );
  assert.match(describeFailure(new TypeError('x'), { json: false, verbose: true }).text, /failure\.test\.ts/);
  assert.match(describeFailure('just text', words).text, /^INTERNAL: just text\n/);
});

test('a cause that causes itself does not hang the command', () => {
  const loop = new Error('again');
  loop.cause = loop;
  assert.ok(describeFailure(loop, { json: false, verbose: true }).text.length < 5000);
});
