import assert from 'node:assert/strict';
import test from 'node:test';
import { SmartVMError } from '../../src/errors.ts';
import { proxyFor, shownProxy } from '../../src/transfer/proxy.ts';

const P = 'http://proxy.lan:3128';

for (const [what, url, env, chosen] of [
  ['HTTPS_PROXY is for https:', 'https://a.test/', { HTTPS_PROXY: P, HTTP_PROXY: 'http://other' }, 'HTTPS_PROXY'],
  ['HTTP_PROXY is for http:', 'http://a.test/', { HTTPS_PROXY: 'http://other', HTTP_PROXY: P }, 'HTTP_PROXY'],
  ['ALL_PROXY is for both', 'http://a.test/', { ALL_PROXY: P }, 'ALL_PROXY'],
  ['ALL_PROXY is for both', 'https://a.test/', { ALL_PROXY: P }, 'ALL_PROXY'],
  ['the one for the scheme beats ALL_PROXY', 'https://a.test/', { ALL_PROXY: 'x', HTTPS_PROXY: P }, 'HTTPS_PROXY'],
  ['lower case beats upper case', 'https://a.test/', { https_proxy: P, HTTPS_PROXY: 'http://other' }, 'https_proxy'],
  ['an empty variable is none', 'https://a.test/', { https_proxy: '', HTTPS_PROXY: P }, 'HTTPS_PROXY'],
  ['HTTP_PROXY is not for https:', 'https://a.test/', { HTTP_PROXY: P }, undefined],
  ['HTTP_PROXY of a CGI program is not trusted', 'http://a.test/', { HTTP_PROXY: P, REQUEST_METHOD: 'GET' }, undefined],
  ['this machine is never asked through one', 'http://127.0.0.1:1/', { HTTP_PROXY: P }, undefined],
  ['this machine is never asked through one', 'https://localhost/', { HTTPS_PROXY: P }, undefined],
  ['this machine is never asked through one', 'https://[::1]/', { ALL_PROXY: P }, undefined],
  ['without an environment there is none', 'https://a.test/', undefined, undefined],
] as const) {
  test(`${what} (${url} with ${JSON.stringify(env)})`, () => {
    const proxy = proxyFor(new URL(url), env);
    assert.equal(proxy?.variable, chosen);
    if (proxy !== undefined) assert.equal(shownProxy(proxy), `the proxy proxy.lan:3128 (${proxy.variable})`);
  });
}

for (const [noProxy, url, isExempt] of [
  ['*', 'https://a.test/', true],
  ['a.test', 'https://a.test/', true],
  ['A.Test', 'https://a.test/', true],
  ['a.test.', 'https://a.test/', true],
  ['a.test', 'https://a.test./', true],
  ['test', 'https://a.test/', true],
  ['.test', 'https://a.test/', true],
  ['*.test', 'https://a.test/', true],
  ['x, ,a.test', 'https://a.test/', true],
  ['x a.test', 'https://a.test/', true],
  ['a.test:443', 'https://a.test/', true],
  ['a.test:8443', 'https://a.test:8443/', true],
  ['10.0.0.0/8', 'https://10.1.2.3/', true],
  ['10.1.2.3', 'https://10.1.2.3/', true],
  ['fd00::/8', 'https://[fd00::1]/', true],
  ['fd00::1', 'https://[fd00::1]/', true],
  ['[fd00::1]:8443', 'https://[fd00::1]:8443/', true],
  ['', 'https://a.test/', false],
  ['a.test:8443', 'https://a.test/', false],
  ['est', 'https://a.test/', false],
  ['.a.test.evil', 'https://a.test/', false],
  ['b.a.test', 'https://a.test/', false],
  ['10.0.0.0/8', 'https://11.1.2.3/', false],
  ['10.0.0.0/99', 'https://10.1.2.3/', false],
  ['10.0.0.0/8', 'https://10.evil.test/', false],
  ['10.0.0.0/', 'https://10.0.0.0/', false],
  ['.', 'https://a.test/', false],
  ['*.', 'https://a.test/', false],
  ['a[:b', 'https://a.test/', false],
] as const) {
  test(`NO_PROXY=${JSON.stringify(noProxy)} ${isExempt ? 'excepts' : 'does not except'} ${url}`, () => {
    const env = { HTTPS_PROXY: P, NO_PROXY: noProxy };
    assert.equal(proxyFor(new URL(url), env) === undefined, isExempt);
    assert.equal(
      proxyFor(new URL(url), { ...env, NO_PROXY: 'other', no_proxy: noProxy || 'x' }) === undefined,
      isExempt,
    );
  });
}

for (const [value, protocol, port] of [
  ['proxy.lan:3128', 'http:', 3128],
  ['http://proxy.lan', 'http:', 80],
  ['https://proxy.lan', 'https:', 443],
  ['socks5h://proxy.lan', 'socks5h:', 1080],
  ['socks5://proxy.lan:9', 'socks5:', 9],
  ['socks4://proxy.lan', 'socks4:', 1080],
] as const) {
  test(`${value} is a proxy on port ${port}`, () => {
    const proxy = proxyFor(new URL('https://a.test/'), { ALL_PROXY: value });
    assert.deepEqual({ protocol: proxy?.protocol, port: proxy?.port }, { protocol, port });
  });
}

for (const value of ['http://', 'ftp://proxy.lan', 'http://user:pa#ss-secret@proxy.lan', 'http://a b', '://x']) {
  test(`HTTPS_PROXY=${JSON.stringify(value)} is refused, and its value is not shown`, () => {
    assert.throws(
      () => proxyFor(new URL('https://a.test/'), { HTTPS_PROXY: value }),
      (error) =>
        error instanceof SmartVMError &&
        error.code === 'TRANSFER_REFUSED' &&
        error.message.includes('HTTPS_PROXY') &&
        !error.message.includes('secret'),
    );
  });
}

test('user and password of a proxy are decoded, and a lone % stands for itself', () => {
  const read = (value: string) => proxyFor(new URL('https://a.test/'), { HTTPS_PROXY: value });
  assert.equal(read('http://me%40home:p%3Aw@proxy.lan')?.user, 'me@home');
  assert.equal(read('http://me%40home:p%3Aw@proxy.lan')?.password, 'p:w');
  assert.equal(read('http://me:100%@proxy.lan')?.password, '100%');
});
