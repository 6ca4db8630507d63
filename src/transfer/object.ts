import { ParallelBody } from './parallel-body.ts';
import type { Slots } from './slots.ts';
import { continueStream, isStrong, openStream, type OpenedStream, type StreamOptions } from './stream.ts';

/** Where to begin, and the ETag that what lies before was of; without one a digest has to decide. */
export interface From {
  readonly start: number;
  readonly etag?: string | undefined;
}

/** What all connections of one artifact hold in memory of blocks that came before their turn. */
const BLOCKS_BYTES = 32 * 1024 * 1024;
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
  const { connections: count = 1 } = settings;
  if (slots !== undefined && count > 1) return await openInParts(address, { start, etag }, options, { count, slots });
  return start > 0 ? await continueStream(address, { start, etag }, options) : await openStream(address, options);
}

/** The answer to the first part decides: a server that gives all of it instead is left to it. */
async function openInParts(
  address: string,
  { start, etag }: From,
  options: Omit<StreamOptions, 'range'>,
  { count, slots }: { readonly count: number; readonly slots: Slots },
): Promise<OpenedStream> {
  const blockBytes = Math.min(MOST_BLOCK_BYTES, Math.floor(BLOCKS_BYTES / count));
  // It extends a class of node:http, which would be loaded with it for every artifact that is here already.
  const { Connections } = await import('./connections.ts');
  const connections = new Connections();
  try {
    const first = await continueStream(address, { start, end: start + blockBytes, etag }, { ...options, connections });
    const { totalBytes } = first;
    const isPart = first.bytes === blockBytes && totalBytes !== undefined && first.start + blockBytes < totalBytes;
    if (isPart && (isStrong(first.etag) || options.isVerified === true)) {
      const ifMatch = isStrong(first.etag) ? first.etag : options.ifMatch;
      const openPart = async (from: number, end: number, ended: AbortSignal): Promise<AsyncIterable<Uint8Array>> => {
        const signal = options.signal === undefined ? ended : AbortSignal.any([options.signal, ended]);
        const range = { start: from, end };
        const part = { ...options, connections, ifMatch, expectedBytes: totalBytes, signal, range };
        return (await openStream(address, part)).body;
      };
      const onEnd = (): void => connections.close();
      const body = new ParallelBody({ first, totalBytes, blockBytes, ahead: count, openPart, slots, onEnd });
      return { ...first, bytes: totalBytes - first.start, body };
    }
    connections.keepNone();
    if (isAllFrom(first)) return first;
    await first.body.return?.();
    return await openStream(address, options);
  } catch (error) {
    connections.close();
    throw error;
  }
}

/** True for a stream that ends where its object ends: not for a part of nobody knows how much. */
function isAllFrom({ start, bytes, totalBytes }: OpenedStream): boolean {
  return bytes === undefined || (totalBytes !== undefined && start + bytes === totalBytes);
}
