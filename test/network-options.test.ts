import assert from 'node:assert/strict';
import test from 'node:test';
import { sourceSettingsFrom } from '../src/network-options.ts';
import type { BaseImageManagerOptions } from '../src/options.ts';

test('an address without TLS is allowed when the caller configured it himself', () => {
  const settings = sourceSettingsFrom({ bucketUrl: 'http://mirror.lan:8080/bucket/', allowHttp: ['http://other'] }, {});
  assert.equal(settings.bucketUrl, 'http://mirror.lan:8080/bucket');
  assert.deepEqual(settings.allowHttp, ['http://other', 'http://mirror.lan:8080']);
  assert.deepEqual(sourceSettingsFrom({}, { SMARTVM_BUCKET_URL: 'http://lan' }).allowHttp, ['http://lan']);
  assert.deepEqual(sourceSettingsFrom({}, {}).allowHttp, []);
});

test('mirrors come from the option, else from SMARTVM_MIRRORS, and may be spoken to without TLS', () => {
  const env = { SMARTVM_MIRRORS: 'https://a.example, http://b.lan:81/x\nhttps://o.example=http://c.lan off' };
  const settings = sourceSettingsFrom({}, env);
  assert.deepEqual(settings.mirrors, [
    'https://a.example',
    'http://b.lan:81/x',
    'https://o.example=http://c.lan',
    'off',
  ]);
  assert.deepEqual(settings.allowHttp, ['https://a.example', 'http://b.lan:81', 'http://c.lan']);
  assert.deepEqual(sourceSettingsFrom({ mirrors: ['direct'] }, env).mirrors, ['direct']);
  assert.deepEqual(sourceSettingsFrom({}, {}).mirrors, []);
});

test('header fields are kept by origin; a host alone is its https origin', () => {
  const { headers } = sourceSettingsFrom(
    {
      headers: { 'a.example': { 'x-key': '1' }, 'https://a.example:443': { accept: 'b' }, 'http://lan:81': { c: 'd' } },
    },
    {},
  );
  assert.deepEqual(headers, { 'https://a.example': { 'x-key': '1', accept: 'b' }, 'http://lan:81': { c: 'd' } });
});

for (const [options, message] of [
  [{ connections: 0 }, 'connections must be a whole number from 1 to 64, got 0'],
  [{ connections: 65 }, 'connections must be a whole number from 1 to 64, got 65'],
  [{ bytesPerSecond: 1.5 }, /^bytesPerSecond must be a whole number .*, got 1\.5$/],
  [{ limits: { retries: -1 } }, /^limits\.retries must be a whole number from 0 .*, got -1$/],
  [{ limits: { idleTimeoutMs: '5' } }, /^limits\.idleTimeoutMs must be a whole number from 1 to 2147483647, got "5"$/],
  [{ limits: { connectTimeoutMs: 2 ** 31 } }, /got 2147483648$/],
  [{ limits: { timeout: 1 } }, 'limits.timeout is no limit'],
  [{ mirrors: ['mirror.lan'] }, /^mirrors must be addresses, .*, got "mirror\.lan"$/],
  [{ mirrors: ['https://user:pw@mirror.lan'] }, /^mirrors must be addresses/],
  [{ mirrors: ['https://a.example=ftp://b'] }, /^mirrors must be addresses/],
  [{ mirrors: 'https://mirror.lan' }, /^mirrors must be a list, got "https:\/\/mirror\.lan"$/],
  [{ mirrors: [5] }, /^mirrors must be addresses, .*, got 5$/],
  [{ limits: 5 }, 'limits must be an object, got 5'],
  [{ headers: { 'a.example': null } }, 'headers["a.example"] must be an object, got null'],
  [{ headers: { 'a.example': { 'x-key': 5 } } }, 'headers["a.example"]["x-key"] is no header field'],
  [{ headers: { 'https://a.example/path': {} } }, /^headers must be named by an origin or a host/],
  [{ headers: { 'a.example': { 'x key': '1' } } }, 'headers["a.example"]["x key"] is no header field'],
] as const) {
  test(`${JSON.stringify(options)} is refused by the name of the option and with its value`, () => {
    assert.throws(() => sourceSettingsFrom(options as BaseImageManagerOptions, {}), {
      code: 'INVALID_BASE_IMAGE_OPTIONS',
      message,
    });
  });
}

test('an address that is refused is told without its password', () => {
  const address = 'https://user:secret@mirror.lan';
  for (const options of [
    { mirrors: [address] },
    { mirrors: [`https://a=${address}`] },
    { headers: { [address]: {} } },
  ]) {
    assert.throws(
      () => sourceSettingsFrom(options, {}),
      (error: Error) => /mirror\.lan/.test(error.message) && !error.message.includes('secret'),
    );
  }
});

test('what is null is as good as left out', () => {
  const options = { limits: null, headers: null, mirrors: null } as unknown as BaseImageManagerOptions;
  assert.deepEqual(sourceSettingsFrom(options, {}), sourceSettingsFrom({}, {}));
});

test('a header field that is refused is told without its value', () => {
  const headers = { 'a.example': { authorization: 'Bearer secret\r\nx: y' } };
  assert.throws(
    () => sourceSettingsFrom({ headers }, {}),
    (error: Error) =>
      /authorization.* is no header field/.test(error.message) && !JSON.stringify(error).includes('secret'),
  );
});
