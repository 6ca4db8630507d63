import assert from 'node:assert/strict';
import test from 'node:test';
import { placesFor } from '../../src/transfer/mirrors.ts';
import { Places } from '../../src/transfer/places.ts';

const ADDRESS = 'https://images.example/sets/1/vmlinux?v=2';

for (const [what, mirrors, places] of [
  ['without mirrors it is asked itself', [], [ADDRESS]],
  [
    'a mirror has it under its host and path, and it comes last itself',
    ['https://a.example', 'http://b.example/mirror/'],
    [
      'https://a.example/images.example/sets/1/vmlinux',
      'http://b.example/mirror/images.example/sets/1/vmlinux',
      ADDRESS,
    ],
  ],
  [
    'a mirror of a beginning has the rest of it',
    ['https://images.example/sets/=https://a.example/copy'],
    ['https://a.example/copy/1/vmlinux', ADDRESS],
  ],
  [
    'however a beginning is written, it is the same',
    ['HTTPS://Images.Example:443/sets=https://a.example/copy'],
    ['https://a.example/copy/1/vmlinux', ADDRESS],
  ],
  ['a mirror of another beginning does not have it', ['https://images.example/set=https://a.example'], [ADDRESS]],
  [
    'direct says when its own turn is',
    ['direct', 'https://a.example'],
    [ADDRESS, 'https://a.example/images.example/sets/1/vmlinux'],
  ],
  [
    'behind off nobody is asked, and neither is its own address',
    ['https://a.example', 'off', 'https://b.example'],
    ['https://a.example/images.example/sets/1/vmlinux'],
  ],
  [
    'one place is asked once',
    [
      'direct',
      'https://images.example/sets=https://a.example',
      'https://images.example=https://a.example/x',
      'https://images.example/sets=https://a.example',
    ],
    [ADDRESS, 'https://a.example/1/vmlinux', 'https://a.example/x/sets/1/vmlinux'],
  ],
] as const) {
  test(`of the places for an address: ${what}`, () => {
    assert.deepEqual(placesFor(ADDRESS, mirrors), places);
  });
}

test('an address that has no place is refused, and the list that left none is told', () => {
  assert.throws(() => placesFor(ADDRESS, ['https://other.example=https://a.example', 'off']), {
    code: 'TRANSFER_REFUSED',
    message: /images\.example\/sets\/1\/vmlinux: the mirrors "https:\/\/other\.example=https:\/\/a\.example", "off"/,
    hint: /end the list .* with "direct"/,
  });
});

test('bytes without a digest are taken from their own address alone', () => {
  assert.deepEqual(new Places(ADDRESS, undefined, ['https://a.example']).left, [ADDRESS]);
});

test('a place that lied is not asked again; when the bytes came from several, the last one is asked alone first', () => {
  const [a, b] = ['https://a.example/images.example/sets/1/vmlinux', ADDRESS];
  const places = new Places(ADDRESS, '0'.repeat(64), ['https://a.example']);
  assert.deepEqual(places.left, [a, b]);
  assert.equal(places.disown([a, b]), true);
  assert.deepEqual(places.left, [b, a]);
  assert.equal(places.disown([b]), true);
  assert.deepEqual(places.left, [a]);
  assert.equal(places.disown([a]), false);
});

test('places that are wrong together again and again are all given up', () => {
  const places = new Places(ADDRESS, '0'.repeat(64), ['https://a.example']);
  assert.equal(places.disown(places.left), true);
  assert.equal(places.disown(places.left), false);
});

test('a mirror is not told the query of an address, which may be signed for its own host', () => {
  const signed = 'https://images.example/sets/1/vmlinux?X-Amz-Signature=secret';
  const mirrors = ['https://a.example', 'https://images.example/sets=https://b.example'];
  const [byHost, byBeginning, own] = placesFor(signed, mirrors);
  assert.deepEqual(
    [byHost, byBeginning],
    ['https://a.example/images.example/sets/1/vmlinux', 'https://b.example/1/vmlinux'],
  );
  assert.equal(own, signed);
});
