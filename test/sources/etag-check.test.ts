import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { EtagCheck } from '../../src/sources/firecracker-ci/etag-check.ts';

const PART = 8 * 1024 * 1024;
const md5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest();

/** The ETag as S3 makes it, written down a second time. */
function etagOf(bytes: Buffer, inParts: boolean): string {
  if (!inParts) return `"${md5(bytes).toString('hex')}"`;
  const parts: Buffer[] = [];
  for (let start = 0; start === 0 || start < bytes.byteLength; start += PART)
    parts.push(md5(bytes.subarray(start, start + PART)));
  return `"${md5(Buffer.concat(parts)).toString('hex')}-${parts.length}"`;
}

function agrees(etag: string, bytes: Buffer, chunkBytes: number): boolean | undefined {
  const check = EtagCheck.of(etag, bytes.byteLength);
  for (let start = 0; start < bytes.byteLength; start += chunkBytes)
    check?.update(bytes.subarray(start, start + chunkBytes));
  return check?.agrees();
}

for (const [bytes, inParts] of [
  [0, false],
  [0, true],
  [5, false],
  [PART, true],
  [PART - 1, true],
  [PART + 1, true],
  [2 * PART, true],
  [2 * PART + 77, true],
] as const) {
  test(`the ETag of ${bytes} bytes${inParts ? ' in parts' : ''} is computed again, in whatever pieces they come`, () => {
    const content = Buffer.alloc(bytes, 'some bytes');
    const etag = etagOf(content, inParts);
    for (const chunkBytes of [65_536, 1_000_003, PART, 3 * PART]) {
      assert.equal(agrees(etag, content, chunkBytes), true);
    }
    if (bytes === 0) return;
    content[bytes - 1] = (content[bytes - 1] ?? 0) ^ 1;
    assert.equal(agrees(etag, content, PART), false);
  });
}

test('an ETag that is not made of MD5s, or of parts of another size, is not held against anything', () => {
  for (const etag of ['"abc"', 'W/"0dc0850cb4f55566ac47ce94cd7703b2"', '"0dc0850cb4f55566ac47ce94cd7703b2-3"', '']) {
    assert.equal(EtagCheck.of(etag, PART), undefined);
  }
  assert.equal(EtagCheck.of(undefined, 5), undefined);
  assert.equal(EtagCheck.of('"0dc0850cb4f55566ac47ce94cd7703b2"', undefined), undefined);
});

test('a real multipart ETag has the number of parts that its size asks for', () => {
  assert.ok(EtagCheck.of('"0780a2063fe710dfa595658f0ae56af4-4"', 27_846_248));
});

test('whatever text an ETag is, it is a check or none', () => {
  fc.assert(fc.property(fc.string(), fc.nat(), (etag, bytes) => void EtagCheck.of(etag, bytes)?.agrees()));
});
