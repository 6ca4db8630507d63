import assert from 'node:assert/strict';
import test from 'node:test';
import { toJson } from '../../src/cli/json.ts';
import { plainLine, plainLines } from '../../src/cli/plain-text.ts';

const HOSTILE = '\x1b[2J\x1b]0;title\x07a\rb\x9b31m\x7f\u202Ecod\u2066\u2028\0';

test('text from outside cannot steer the terminal: its control characters are shown, not obeyed', () => {
  assert.equal(
    plainLine(HOSTILE),
    '\\u001b[2J\\u001b]0;title\\u0007a\\u000db\\u009b31m\\u007f\\u202ecod\\u2066\\u2028\\u0000',
  );
});

test('text from outside stays one line where one line is due', () => {
  assert.equal(plainLine('a\nhint: rm -rf /'), 'a hint: rm -rf /');
});

test('the second line of a text from outside is indented, so that it does not pass for ours', () => {
  assert.equal(plainLines('two problems:\nhint: rm -rf /\r'), 'two problems:\n  hint: rm -rf /\\u000d');
});

test('JSON cannot steer the terminal either, and reads as what it was', () => {
  const text = toJson({ said: HOSTILE });
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/);
  assert.deepEqual(JSON.parse(text), { said: HOSTILE });
});
