import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { SmartVMError, formatReference, parseReference } from 'smartvm';

const TABLE: readonly (readonly [text: string, scheme: string, locator: string])[] = [
  ['latest', 'firecracker-ci', 'latest'],
  ['lts', 'firecracker-ci', 'lts'],
  ['v1.15', 'firecracker-ci', 'v1.15'],
  ['20260923', 'firecracker-ci', '20260923'],
  ['20260923-6f82ac4cf331-0', 'firecracker-ci', '20260923-6f82ac4cf331-0'],
  ['./m.json', 'hosted-manifest', './m.json'],
  ['../team/base', 'hosted-manifest', '../team/base'],
  ['/srv/base.manifest.json', 'hosted-manifest', '/srv/base.manifest.json'],
  ['base.manifest.json', 'hosted-manifest', 'base.manifest.json'],
  ['https://host/m.json?v=1', 'hosted-manifest', 'https://host/m.json?v=1'],
  ['http://127.0.0.1:8080/m', 'hosted-manifest', 'http://127.0.0.1:8080/m'],
  ['debian', 'debian', ''],
  ['debian:bookworm', 'debian', 'bookworm'],
  ['folder:./my-build', 'folder', './my-build'],
  ['folder:build.json', 'folder', 'build.json'],
  ['firecracker-ci:20260101-custom', 'firecracker-ci', '20260101-custom'],
];

for (const [text, scheme, locator] of TABLE) {
  test(`${text} asks the source ${scheme}`, () => {
    assert.deepEqual(parseReference(text), { scheme, locator });
    assert.equal(formatReference({ scheme, locator }), text);
  });
}

for (const text of [
  '',
  ' ',
  'Debian',
  '-latest',
  'ftp://host/m',
  'file:///etc/passwd',
  '20260923-xyz-0',
  'latest:',
  'lts:x',
  '\u0000',
]) {
  test(`${JSON.stringify(text)} is no reference, and the error says what is`, () => {
    assert.throws(
      () => parseReference(text),
      (error) =>
        error instanceof SmartVMError &&
        error.code === 'INVALID_BASE_IMAGE_REFERENCE' &&
        /latest/.test(error.hint ?? ''),
    );
  });
}

test('any text is read as a reference or refused with a coded error, and what is read is written as it was typed', () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.webUrl(), fc.stringMatching(/^[a-z]{1,4}:?[^]{0,5}$/)),
      (text) => {
        try {
          const written = formatReference(parseReference(text));
          assert.deepEqual(parseReference(written), parseReference(text));
        } catch (error) {
          assert.ok(error instanceof SmartVMError, String(error));
        }
      },
    ),
    { numRuns: 20_000 },
  );
});
