export {
  startFaultyServer,
  type ConnectionCounts,
  type FaultyServer,
  type FaultyServerOptions,
} from './faulty-server.ts';
export { putImage, type ServedImageOptions } from './image.ts';
export type { ReceivedRequest } from './received-request.ts';
export type { ServedFile } from './served-file.ts';
export type { Answer, Header, Pace, Stop } from './answer.ts';
export { all, serve, type Behaviour } from './behaviour.ts';
export { reset, stall, truncate, type BreakOptions, type Where } from './breaks.ts';
export { drip, endless, latency, throttle } from './speeds.ts';
export { changingEtag, content, contentRange, etag, gzipped, ignoreRanges, noEtag, weakEtag } from './files.ts';
export {
  chunked,
  contentLength,
  extraBytes,
  lengthAndChunked,
  negativeLength,
  noContentLength,
  twoLengths,
} from './framings.ts';
export { header, htmlPage, hugeHeader, manyHeaders, redirect, status, type StatusOptions } from './answers.ts';
export { emptyReply, garbage, halfStatusLine, raw, silence, type RawOptions } from './raw.ts';
export { anywhere, chance } from './chance.ts';
export { drawFrom, noise } from './random.ts';
