import assert from 'node:assert/strict';
import test from 'node:test';
import { gunzipSync } from 'node:zlib';
import {
  all,
  anywhere,
  chance,
  changingEtag,
  chunked,
  content,
  contentLength,
  contentRange,
  drawFrom,
  drip,
  emptyReply,
  endless,
  etag,
  extraBytes,
  garbage,
  gzipped,
  halfStatusLine,
  header,
  htmlPage,
  hugeHeader,
  ignoreRanges,
  latency,
  lengthAndChunked,
  manyHeaders,
  negativeLength,
  noContentLength,
  noEtag,
  noise,
  raw,
  redirect,
  reset,
  silence,
  stall,
  status,
  throttle,
  truncate,
  twoLengths,
  weakEtag,
  type Behaviour,
} from 'smartvm/testing';
import { CONTENT, ask, serverFor, type AskOptions, type Received } from './raw-client.fixture.ts';

interface Row {
  readonly behaviour: Behaviour;
  readonly ask?: AskOptions;
  readonly isSeen: (received: Received) => void;
}

const PART: AskOptions = { headers: ['Range: bytes=0-99'] };

const ROWS: Readonly<Record<string, Row>> = {
  'truncate ends the body with a FIN after its bytes': {
    behaviour: truncate({ afterBytes: 1000 }),
    isSeen: ({ head, body, end }) => {
      assert.match(head, /Content-Length: 2600/);
      assert.equal(body, CONTENT.slice(0, 1000));
      assert.equal(end, 'FIN');
    },
  },
  'truncate after 0 bytes ends right after the headers': {
    behaviour: truncate({ afterBytes: 0 }),
    isSeen: ({ head, body, end }) => assert.deepEqual([head.slice(0, 12), body, end], ['HTTP/1.1 200', '', 'FIN']),
  },
  'reset ends the body with a RST after its bytes': {
    behaviour: reset({ afterBytes: 1000 }),
    isSeen: ({ body, end }) => assert.deepEqual([body, end], [CONTENT.slice(0, 1000), 'RST']),
  },
  'stall sends no more and keeps the connection open': {
    behaviour: stall({ afterBytes: 1000 }),
    ask: { keepAlive: true },
    isSeen: ({ body, end }) => assert.deepEqual([body, end], [CONTENT.slice(0, 1000), 'open']),
  },
  'what breaks behind the whole body breaks after it': {
    behaviour: reset({ afterBytes: 99_999 }),
    isSeen: ({ body, end }) => assert.deepEqual([body, end], [CONTENT, 'RST']),
  },
  'drip sends some bytes at a time': {
    behaviour: drip({ bytes: 100, everyMs: 5 }),
    isSeen: ({ body, tookMs }) => {
      assert.equal(body, CONTENT);
      assert.ok(tookMs >= 120, `${tookMs} ms`);
    },
  },
  'throttle keeps a connection to a rate': {
    behaviour: throttle({ bytesPerSecond: 10_000 }),
    isSeen: ({ body, tookMs }) => {
      assert.equal(body, CONTENT);
      assert.ok(tookMs >= 220, `${tookMs} ms`);
    },
  },
  'latency waits before the first byte': {
    behaviour: latency(80),
    isSeen: ({ body, tookMs }) => {
      assert.equal(body, CONTENT);
      assert.ok(tookMs >= 78, `${tookMs} ms`);
    },
  },
  'endless goes on and on, and tells no length': {
    behaviour: endless(),
    ask: { enoughBytes: 500_000 },
    isSeen: ({ head, body }) => {
      assert.doesNotMatch(head, /Content-Length/);
      assert.equal(body.slice(2600, 2700), CONTENT.slice(0, 100));
    },
  },
  'contentLength says more than there is': {
    behaviour: contentLength((bytes) => bytes + 100),
    isSeen: ({ head, body, end }) => {
      assert.match(head, /Content-Length: 2700/);
      assert.deepEqual([body, end], [CONTENT, 'FIN']);
    },
  },
  'contentLength says less than there is': {
    behaviour: contentLength(100),
    isSeen: ({ head, body, end }) => {
      assert.match(head, /Content-Length: 100(\r|$)/);
      assert.deepEqual([body, end], [CONTENT, 'FIN']);
    },
  },
  'noContentLength ends the body with the connection': {
    behaviour: noContentLength(),
    isSeen: ({ head, body, end }) => {
      assert.doesNotMatch(head, /Content-Length|Transfer-Encoding/);
      assert.match(head, /Connection: close/);
      assert.deepEqual([body, end], [CONTENT, 'FIN']);
    },
  },
  'chunked sends chunks and the last one': {
    behaviour: chunked({ chunkBytes: 1000 }),
    ask: { keepAlive: true },
    isSeen: ({ head, body, end }) => {
      assert.match(head, /Transfer-Encoding: chunked/);
      assert.equal(
        body,
        `3e8\r\n${CONTENT.slice(0, 1000)}\r\n3e8\r\n${CONTENT.slice(1000, 2000)}\r\n258\r\n${CONTENT.slice(2000)}\r\n0\r\n\r\n`,
      );
      assert.equal(end, 'open');
    },
  },
  'chunked and truncate end inside a chunk': {
    behaviour: all(chunked({ chunkBytes: 1000 }), truncate({ afterBytes: 1500 })),
    isSeen: ({ body, end }) =>
      assert.deepEqual([body, end], [`3e8\r\n${CONTENT.slice(0, 1000)}\r\n3e8\r\n${CONTENT.slice(1000, 1500)}`, 'FIN']),
  },
  'chunked and truncate end before the last chunk': {
    behaviour: all(chunked({ chunkBytes: 2600 }), truncate({ afterBytes: 2600 })),
    isSeen: ({ body, end }) => assert.deepEqual([body, end], [`a28\r\n${CONTENT}\r\n`, 'FIN']),
  },
  'extraBytes come after the end of the body': {
    behaviour: extraBytes(7),
    isSeen: ({ head, body, end }) => {
      assert.match(head, /Content-Length: 2600/);
      assert.deepEqual([body, end], [`${CONTENT}xxxxxxx`, 'FIN']);
    },
  },
  'twoLengths are two': {
    behaviour: twoLengths(),
    isSeen: ({ head }) => assert.match(head, /Content-Length: 2600\r\nContent-Length: 2601/),
  },
  'negativeLength is negative': {
    behaviour: negativeLength(),
    isSeen: ({ head }) => assert.match(head, /Content-Length: -5/),
  },
  'lengthAndChunked are both there': {
    behaviour: lengthAndChunked(),
    isSeen: ({ head, body }) => {
      assert.match(head, /Content-Length: 2600/);
      assert.match(head, /Transfer-Encoding: chunked/);
      assert.match(body, /^a28\r\n/);
    },
  },
  'contentRange says what it is told': {
    behaviour: contentRange('bytes 5-104/2600'),
    ask: PART,
    isSeen: ({ head, body }) => {
      assert.match(head, /^HTTP\/1\.1 206 .*Content-Range: bytes 5-104\/2600/s);
      assert.equal(body, CONTENT.slice(0, 100));
    },
  },
  'contentRange makes something of what it should say': {
    behaviour: contentRange((said) => said.replace(/\/\d+/, '/*')),
    ask: PART,
    isSeen: ({ head }) => assert.match(head, /Content-Range: bytes 0-99\/\*/),
  },
  'ignoreRanges sends all': {
    behaviour: ignoreRanges(),
    ask: PART,
    isSeen: ({ head, body }) => {
      assert.match(head, /^HTTP\/1\.1 200 .*Accept-Ranges: none/s);
      assert.equal(body, CONTENT);
    },
  },
  'etag is the one that is given': {
    behaviour: etag('"mine"'),
    isSeen: ({ head }) => assert.match(head, /ETag: "mine"/),
  },
  'noEtag sends none': {
    behaviour: noEtag(),
    isSeen: ({ head }) => assert.doesNotMatch(head, /ETag/),
  },
  'weakEtag proves no bytes': {
    behaviour: weakEtag(),
    isSeen: ({ head }) => assert.match(head, /ETag: W\/"[0-9a-f]{32}"/),
  },
  'content is another file with another ETag': {
    behaviour: content('another'),
    isSeen: ({ body }) => assert.equal(body, 'another'),
  },
  'gzipped is encoded, and says so': {
    behaviour: gzipped(),
    isSeen: ({ head, body }) => {
      assert.match(head, /Content-Encoding: gzip/);
      assert.equal(gunzipSync(Buffer.from(body, 'latin1')).toString(), CONTENT);
    },
  },
  'hugeHeader is one field of that size': {
    behaviour: hugeHeader(100_000),
    isSeen: ({ head }) => assert.match(head, /\r\nX-Huge: x{100000}/),
  },
  'manyHeaders are many': {
    behaviour: manyHeaders(300),
    isSeen: ({ head }) => assert.equal(head.match(/\r\nX-Field-/g)?.length, 300),
  },
  'header takes the place of another of its name': {
    behaviour: header('etag', '"x"'),
    isSeen: ({ head }) => assert.deepEqual(head.match(/^etag: .*$/gim), ['etag: "x"']),
  },
  'garbage is no HTTP': {
    behaviour: garbage({ bytes: 50 }),
    isSeen: ({ text, end }) => assert.deepEqual([text.length, text.startsWith('HTTP'), end], [50, false, 'FIN']),
  },
  'emptyReply closes without a word': {
    behaviour: emptyReply(),
    isSeen: ({ text, end }) => assert.deepEqual([text, end], ['', 'FIN']),
  },
  'emptyReply may break the connection': {
    behaviour: emptyReply({ then: 'reset' }),
    isSeen: ({ text, end }) => assert.deepEqual([text, end], ['', 'RST']),
  },
  'halfStatusLine stops in the status line': {
    behaviour: halfStatusLine(),
    ask: { keepAlive: true },
    isSeen: ({ text, end }) => assert.deepEqual([text, end], ['HTTP/1.1 2', 'open']),
  },
  'silence says nothing': {
    behaviour: silence(),
    ask: { keepAlive: true },
    isSeen: ({ text, end }) => assert.deepEqual([text, end], ['', 'open']),
  },
  'raw sends any bytes': {
    behaviour: raw('HTTP/1.1 200 \u00ff\r\n\r\n\u0000', { then: 'reset' }),
    isSeen: ({ text, end }) => assert.deepEqual([text, end], ['HTTP/1.1 200 \u00ff\r\n\r\n\u0000', 'RST']),
  },
  'redirect sends the place as it is': {
    behaviour: redirect('https://a/\r\nX-Injected: 1\u0000', { code: 308 }),
    isSeen: ({ head }) => assert.match(head, /^HTTP\/1\.1 308 .*Location: https:\/\/a\/\r\nX-Injected: 1\u0000/s),
  },
  'redirect without a place has no Location': {
    behaviour: redirect(undefined),
    isSeen: ({ head }) => assert.doesNotMatch(head, /Location/),
  },
  'status with seconds in Retry-After': {
    behaviour: status(503, { retryAfter: 7 }),
    isSeen: ({ head }) => assert.match(head, /^HTTP\/1\.1 503 Service Unavailable\r\n.*Retry-After: 7/s),
  },
  'status with a date in Retry-After': {
    behaviour: status(429, { retryAfter: new Date(0), headers: { 'X-Own': 'y' } }),
    isSeen: ({ head }) => assert.match(head, /^HTTP\/1\.1 429 .*Retry-After: Thu, 01 Jan 1970 00:00:00 GMT.*X-Own: y/s),
  },
  'status with another text in Retry-After and a body': {
    behaviour: status(416, { retryAfter: 'soon', body: 'no' }),
    isSeen: ({ head, body }) => {
      assert.match(head, /^HTTP\/1\.1 416 .*Retry-After: soon/s);
      assert.equal(body, 'no');
    },
  },
  'htmlPage is a page with status 200': {
    behaviour: htmlPage(),
    isSeen: ({ head, body }) => {
      assert.match(head, /^HTTP\/1\.1 200 .*Content-Type: text\/html/s);
      assert.match(body, /^<!DOCTYPE html>/);
    },
  },
};

for (const [title, { behaviour, ask: options, isSeen }] of Object.entries(ROWS)) {
  test(title, async (t) => {
    const server = await serverFor(t, { scripts: { '/f': [behaviour] } });
    isSeen(await ask(server, '/f', options));
  });
}

test('changingEtag is another one for every request, and all of the file for the range of another version', async (t) => {
  const server = await serverFor(t, { scripts: { '/f': [changingEtag()] } });
  assert.match((await ask(server)).head, /ETag: "version-1"/);
  const { head } = await ask(server, '/f', { headers: ['Range: bytes=5-', 'If-Range: "version-1"'] });
  assert.match(head, /^HTTP\/1\.1 200 .*ETag: "version-2"/s);
});

test('chance lets a share of the requests fail, the same ones in every run', async (t) => {
  const outcomes = async (): Promise<string> => {
    const failures = [status(503), reset({ afterBytes: anywhere(3) })];
    const server = await serverFor(t, { scripts: { '/f': [chance(0.5, 3, failures)] } });
    const letters: string[] = [];
    for (let index = 0; index < 24; index += 1) {
      const { head, body } = await ask(server, '/f');
      letters.push(head.includes(' 503 ') ? 's' : body === CONTENT ? '.' : `r${body.length}`);
    }
    return letters.join(' ');
  };
  const first = await outcomes();
  assert.equal(await outcomes(), first);
  for (const part of ['s', '.', 'r']) assert.ok(first.includes(part), first);
});

test('drawFrom is spread evenly and depends on all of its seed; noise is the same for the same seed', () => {
  const drawn = Array.from({ length: 10_000 }, (_, index) => drawFrom('x', 7, index));
  const mean = drawn.reduce((sum, one) => sum + one, 0) / drawn.length;
  assert.ok(Math.abs(mean - 0.5) < 0.02, String(mean));
  assert.ok(drawn.every((one) => one >= 0 && one < 1));
  assert.equal(new Set(drawn).size > 9990, true);
  assert.notEqual(drawFrom(1, 23), drawFrom(12, 3));
  assert.deepEqual(noise(1000, 5), noise(1000, 5));
  assert.notDeepEqual(noise(1000, 5), noise(1000, 6));
  assert.ok(new Set(noise(10_000)).size === 256);
});
