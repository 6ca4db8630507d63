import { ParallelBody } from './parallel-body.ts';
import { continueStream, isStrong, openStream, type OpenedStream, type StreamOptions } from './stream.ts';

/** Where to begin, and the ETag that what lies before was of; without one a digest has to decide. */
export interface From {
  readonly start: number;
  readonly etag?: string | undefined;
}

/** What all connections of one artifact hold in memory of blocks that came before their turn. */
const BLOCKS_BYTES = 32 * 1024 * 1024;
const LEAST_BLOCK_BYTES = 1024 * 1024;
const MOST_BLOCK_BYTES = 8 * 1024 * 1024;

/**
 * Begins to receive an object from `start` on, or from 0 where that rest cannot be had, over as many connections as the network allows.
 * Several are used for an object that is bound by a strong ETag or a digest, on a server that serves parts. The caller holds a place
 * of the network for the first of them. Rejects as `openStream`.
 */
export async function openObject(
  address: string,
  { start, etag }: From,
  options: Omit<StreamOptions, 'range'>,
): Promise<OpenedStream> {
  const { slots, settings } = options.network;
  const { connections = 1 } = settings;
  if (slots === undefined || connections < 2) {
    return start > 0 ? await continueStream(address, { start, etag }, options) : await openStream(address, options);
  }
  const blockBytes = Math.max(LEAST_BLOCK_BYTES, Math.min(MOST_BLOCK_BYTES, Math.floor(BLOCKS_BYTES / connections)));
  const first = await continueStream(address, { start, end: start + blockBytes, etag }, options);
  const { totalBytes } = first;
  if (first.bytes !== blockBytes || totalBytes === undefined || first.start + blockBytes >= totalBytes) return first;
  if (!isStrong(first.etag) && options.isVerified !== true) {
    await first.body.return?.();
    return await openStream(address, options);
  }
  const ifMatch = isStrong(first.etag) ? first.etag : options.ifMatch;
  const openPart = async (from: number, end: number, ended: AbortSignal): Promise<AsyncIterable<Uint8Array>> => {
    const signal = options.signal === undefined ? ended : AbortSignal.any([options.signal, ended]);
    const part = await openStream(address, { ...options, ifMatch, signal, range: { start: from, end } });
    return part.body;
  };
  const body = new ParallelBody({ first, totalBytes, blockBytes, ahead: connections, openPart, slots });
  return { ...first, bytes: totalBytes - first.start, body };
}
