import assert from 'node:assert/strict';
import test from 'node:test';
import { loginFrom } from '../../src/transfer/netrc.ts';

const FILE = `# machine commented.test login no password no
machine one.test login me password secret
machine two.test
  login me
  account ignored
  password "with space \\"and\\" \\\\ and \\ttab"
machine macro.test login mac password ro macdef init
  machine inside.test login no password no
  default login no password no

machine HASH.test login #me password pa#ss
machine words.test login machine password default
machine half.test password only
machine many.test login first password 1
machine many.test login second password 2
machine "quoted.test" login "" password x
machine bare.test
default login anonymous password everybody
machine late.test login late password too
`;

for (const [host, login] of [
  ['one.test', { login: 'me', password: 'secret' }],
  ['ONE.test', { login: 'me', password: 'secret' }],
  ['two.test', { login: 'me', password: 'with space "and" \\ and \ttab' }],
  ['macro.test', { login: 'mac', password: 'ro' }],
  ['hash.test', { login: '#me', password: 'pa#ss' }],
  ['words.test', { login: 'machine', password: 'default' }],
  ['half.test', { login: '', password: 'only' }],
  ['many.test', { login: 'first', password: '1' }],
  ['quoted.test', { login: '', password: 'x' }],
  ['late.test', { login: 'late', password: 'too' }],
  ['commented.test', undefined],
  ['bare.test', undefined],
  ['inside.test', undefined],
  ['unknown.test', undefined],
  ['sub.one.test', undefined],
  ['', undefined],
] as const) {
  test(`.netrc says of ${JSON.stringify(host)}: ${JSON.stringify(login)}`, () => {
    assert.deepEqual(loginFrom(FILE, host), login);
    assert.deepEqual(loginFrom(FILE.replaceAll('\n', '\r\n'), host), login);
  });
}

for (const text of [
  '',
  'machine',
  'machine x',
  'machine x login',
  'login a password b',
  'macdef',
  'machine x "',
  'default',
]) {
  test(`.netrc with nothing but ${JSON.stringify(text)} says nothing`, () => {
    assert.equal(loginFrom(text, 'x'), undefined);
  });
}
