import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { SmartVMError, isAbortError, messageOf, withIntent } from '../../errors.ts';
import type { Arch, Context } from '../../image.ts';
import { isLoopback, shown } from '../../transfer/address.ts';
import type { Network } from '../../transfer/network.ts';
import { getDocument, retriesTo } from '../../transfer/transfer.ts';
import { parseManifest } from './parse.ts';
import type { HostedManifest } from './manifest.ts';
import type { ManifestOrigin } from './usable.ts';

/** A manifest and where it came from. */
export interface ReadManifest {
  readonly manifest: HostedManifest;
  readonly origin: ManifestOrigin;
  /** How what it names is asked for. */
  readonly network: Network;
  /** True when nobody on the way could have changed it: it came over TLS, or from this machine. */
  readonly isAuthentic: boolean;
}

const MAX_MANIFEST_BYTES = 1024 * 1024;

/** True for a locator that is an address and not a path. */
export function isUrl(locator: string): boolean {
  return /^https?:/i.test(locator);
}

/**
 * Reads the manifest at a path or an URL. Rejects with `BASE_IMAGE_MANIFEST_FAILED` when it cannot be had or is no JSON, and with
 * `INVALID_BASE_IMAGE_MANIFEST` when it cannot be used.
 */
export async function readManifest(
  locator: string,
  network: Network,
  context: Context & { readonly arch: Arch },
): Promise<ReadManifest> {
  if (!isUrl(locator)) {
    const manifestPath = resolve(locator);
    const origin = { manifestPath, policy: network.settings };
    const bytes = await readSmallFile(manifestPath, context);
    return { manifest: parseManifest(bytes, manifestPath, origin, context.arch), origin, network, isAuthentic: true };
  }
  // A caller who names a manifest without TLS has configured its origin himself; what it names there may be fetched there.
  const own = URL.canParse(locator) ? [new URL(locator).origin] : [];
  const allowing = network.allowing(own);
  const origin = { manifestUrl: locator, policy: allowing.settings };
  const { body, finalUrl } = await withIntent(`read the manifest ${shown(locator)}`, 'BASE_IMAGE_MANIFEST_FAILED', () =>
    getDocument(locator, {
      network: allowing,
      signal: context.signal,
      onRetry: retriesTo(context),
      maxBytes: MAX_MANIFEST_BYTES,
      accept: 'application/json',
    }),
  );
  const isAuthentic = [locator, finalUrl].every((url) => url.startsWith('https:') || isLoopback(new URL(url)));
  return {
    manifest: parseManifest(body, shown(locator), origin, context.arch),
    origin,
    network: allowing,
    isAuthentic,
  };
}

async function readSmallFile(path: string, { signal }: Context): Promise<Uint8Array> {
  try {
    signal?.throwIfAborted();
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await handle.stat()).isFile()) throw new Error('it is not a regular file');
      const buffer = Buffer.alloc(MAX_MANIFEST_BYTES + 1);
      let bytes = 0;
      for (let read = -1; read !== 0 && bytes < buffer.byteLength; bytes += read) {
        read = (await handle.read(buffer, bytes, buffer.byteLength - bytes, null)).bytesRead;
      }
      if (bytes > MAX_MANIFEST_BYTES)
        throw new Error(`it is larger than the ${MAX_MANIFEST_BYTES} bytes that are read`);
      return buffer.subarray(0, bytes);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (isAbortError(cause)) throw cause;
    throw new SmartVMError(`Failed to read the manifest ${path}: ${messageOf(cause)}`, 'BASE_IMAGE_MANIFEST_FAILED', {
      cause,
      hint: 'Check the path, and that this user may read the file.',
    });
  }
}
