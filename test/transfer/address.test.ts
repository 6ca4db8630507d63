import assert from 'node:assert/strict';
import test from 'node:test';
import { SmartVMError } from '../../src/errors.ts';
import { allowedUrl, isLoopback, isPrivateAddress, redirectTarget, shown } from '../../src/transfer/address.ts';

const policy = { allowHttp: ['http://mirror.lan:8080', 'http://other.lan/'] };

for (const url of [
  'https://host/x',
  'http://127.0.0.1:1/x',
  'http://127.9.9.9/x',
  'http://[::1]:1/x',
  'http://localhost/x',
  'http://a.localhost/x',
  'http://0x7f.1/x',
  'http://[::ffff:127.0.0.1]/x',
  'http://mirror.lan:8080/x',
  'http://other.lan/x',
]) {
  test(`${url} may be asked`, () => {
    assert.equal(allowedUrl(url, policy).href, new URL(url).href);
  });
}

for (const [url, why] of [
  ['http://host/x', /neither/],
  ['http://mirror.lan/x', /neither/],
  ['http://localhost.example/x', /neither/],
  ['http://10.0.0.1/x', /neither/],
  ['file:///etc/passwd', /file: is not spoken/],
  ['ftp://host/x', /ftp:/],
  ['data:text/plain,x', /data:/],
  ['scp://host/x', /scp:/],
  ['-K/etc/passwd', /no URL/],
  ['//host/x', /no URL/],
  ['host/x', /no URL/],
  ['', /no URL/],
  ['https://', /no URL/],
  ['https://ho\nst/x', /no URL/],
  ['https://host/\0', /no URL/],
  ['https://user@host/x', /user name/],
  ['https://user:secret@host/x', /user name/],
] as const) {
  test(`${JSON.stringify(url)} is refused before anything is asked`, () => {
    assert.throws(
      () => allowedUrl(url, policy),
      (error) => error instanceof SmartVMError && error.code === 'TRANSFER_REFUSED' && why.test(error.message),
    );
  });
}

for (const [from, location, to] of [
  ['https://host/a/b', '/c', 'https://host/c'],
  ['https://host/a/b', 'c', 'https://host/a/c'],
  ['https://host/a', '//other/c', 'https://other/c'],
  ['http://127.0.0.1:1/', 'http://127.0.0.1:2/', 'http://127.0.0.1:2/'],
  ['http://127.0.0.1:1/', 'https://host/', 'https://host/'],
  ['http://mirror.lan:8080/', '/x', 'http://mirror.lan:8080/x'],
  ['http://127.0.0.1:1/', 'http://mirror.lan:8080/', 'http://mirror.lan:8080/'],
] as const) {
  test(`a redirect from ${from} to ${location} is followed`, () => {
    assert.equal(redirectTarget(new URL(from), location, policy).href, to);
  });
}

for (const [from, location] of [
  ['https://host/', 'http://host/'],
  ['https://host/', 'http://127.0.0.1/'],
  ['https://host/', 'http://mirror.lan:8080/'],
  ['http://mirror.lan:8080/', 'http://127.0.0.1/'],
  ['http://127.0.0.1/', 'http://host/'],
  ['https://host/', 'file:///etc/passwd'],
  ['https://host/', 'data:text/plain,x'],
  ['https://host/', 'javascript:alert(1)'],
  ['https://host/', 'https://user:secret@host/'],
  ['https://host/', 'https:\\\\other/'],
  ['https://host/', '/a\\b'],
  ['https://host/', '/a\u0001b'],
  ['https://host/', 'https://'],
  ['https://host/', ''],
  ['https://host/', undefined],
] as const) {
  test(`a redirect from ${from} to ${JSON.stringify(location)} is refused`, () => {
    assert.throws(
      () => redirectTarget(new URL(from), location, policy),
      (error) =>
        error instanceof SmartVMError && error.code === 'TRANSFER_REFUSED' && !error.message.includes('secret'),
    );
  });
}

test('private, link-local, shared and reserved addresses are told from public ones', () => {
  const isPrivate = [
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '169.254.169.254',
    '0.0.0.0',
  ];
  const isPrivateToo = ['100.64.0.1', '224.0.0.1', '255.255.255.255', '::1', '::', 'fe80::1', 'fd00::1', 'ff02::1'];
  const inIpv6 = ['::ffff:169.254.169.254', '::ffff:a00:1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::a00:1', '2002:a00:1::1'];
  for (const address of [...isPrivate, ...isPrivateToo, ...inIpv6, '::10.0.0.1', 'fec0::1']) {
    assert.equal(isPrivateAddress(address), true, address);
  }
  for (const address of [
    '1.1.1.1',
    '172.32.0.1',
    '192.169.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '::ffff:1.1.1.1',
    '64:ff9b::101:101',
    '2002:101:101::1',
    '',
  ]) {
    assert.equal(isPrivateAddress(address), false, address);
  }
});

test('an address is loopback by its name or its number, and not by looking like one', () => {
  for (const host of ['localhost', '127.0.0.1', '[::1]', '2130706433'])
    assert.equal(isLoopback(new URL(`http://${host}`)), true);
  for (const host of ['localhost.example', '127.0.0.1.example', '128.0.0.1', '[::2]']) {
    assert.equal(isLoopback(new URL(`http://${host}`)), false, host);
  }
});

test('an address is shown without user, password, query and fragment', () => {
  assert.equal(shown('https://user:secret@host:1/a?token=secret#secret'), 'https://host:1/a');
  assert.equal(shown('no url'), '"no url"');
});
