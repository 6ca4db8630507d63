import assert from 'node:assert/strict';
import test from 'node:test';
import {
  formatAge,
  formatBytes,
  formatSeconds,
  parseCount,
  parseDuration,
  parseMemory,
  parsePlace,
  parseRate,
} from '../../src/cli/units.ts';

test('a duration is a number with its unit', () => {
  const read = ['90s', '2m', '2min', '1500ms', '1.5s', '1h', ' 3s '].map(parseDuration);
  assert.deepEqual(read, [90_000, 120_000, 120_000, 1500, 1500, 3_600_000, 3000]);
});

test('a duration without a unit, of nothing, or longer than a timer can count is refused', () => {
  for (const text of ['90', '', 's', '0s', '-1s', '1d', '1s2', '0x1s', '1e3s', '600h', 'NaNs']) {
    assert.throws(() => parseDuration(text), /like 90s or 2m/, text);
  }
});

test('a size of memory is a whole number of MiB with its unit', () => {
  const read = ['512M', '512MiB', '512mb', '2G', '1.5g'].map(parseMemory);
  assert.deepEqual(read, [512, 512, 512, 2048, 1536]);
});

test('a size of memory without a unit or of less than a MiB is refused', () => {
  for (const text of ['512', '', '0M', '1.5M', '64K', '-1G', '1T', '1GG', '9007199254740993M']) {
    assert.throws(() => parseMemory(text), /like 512M or 2G/, text);
  }
});

test('a rate is bytes a second, in powers of 1024 as curl has them', () => {
  const read = ['4096', '500K', '5M', '1.5m', '1G', ' 2k '].map(parseRate);
  assert.deepEqual(read, [4096, 512_000, 5_242_880, 1_572_864, 2 ** 30, 2048]);
  for (const text of ['', '0', '0.1', '-1M', '5MB', '5M/s', '1T', 'fast', '9007199254740993G']) {
    assert.throws(() => parseRate(text), /like 5M, 500K or 4096/, text);
  }
});

test('a place is an address, one address for another, or a word', () => {
  for (const text of ['https://m.example/images', 'http://lan:8080', 'https://a.b/c=http://d/e', 'direct', 'off']) {
    assert.equal(parsePlace(text), text);
  }
  for (const text of ['', 'mirror.lan', 'ftp://a/b', 'https://a/b=c', 'https://', 'on']) {
    assert.throws(() => parsePlace(text), /must be an address/, text);
  }
});

test('a count is a whole number that is large enough', () => {
  assert.equal(parseCount('0', 0), 0);
  for (const text of ['', '-1', '1.5', '1e3', '0x10', 'many', '12345678901']) {
    assert.throws(() => parseCount(text, 0), /at least 0/, text);
  }
  assert.throws(() => parseCount('0', 1), /at least 1/);
});

test('bytes are told in the unit that fits', () => {
  const told = [0, 712, 1023, 1024, 3.4 * 2 ** 20, 2 ** 30, 2 ** 60].map(formatBytes);
  assert.deepEqual(told, ['0 B', '712 B', '1023 B', '1.0 KiB', '3.4 MiB', '1.0 GiB', '1048576.0 TiB']);
});

test('an age is told roughly, and a clock that went back is not', () => {
  const told = [-5000, 59_000, 60_000, 59 * 60_000, 47 * 3_600_000, 72 * 3_600_000, NaN].map(formatAge);
  assert.deepEqual(told, ['just now', 'just now', '1 min ago', '59 min ago', '47 h ago', '3 days ago', 'just now']);
});

test('seconds are told with a tenth below a minute', () => {
  assert.deepEqual([8_349, 59_990, 125_000].map(formatSeconds), ['8.3 s', '60.0 s', '2 min 5 s']);
});
