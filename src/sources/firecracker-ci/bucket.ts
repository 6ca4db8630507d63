import { SmartVMError, withIntent } from '../../errors.ts';
import type { Companion, Context } from '../../image.ts';
import type { SourceSettings } from '../../settings.ts';
import { shown } from '../../transfer/address.ts';
import { Network } from '../../transfer/network.ts';
import { getDocument, retriesTo } from '../../transfer/transfer.ts';
import { parseListingPage, type ListedObject } from './listing-page.ts';

/** A bucket, the releases that belong to it, and how both are asked. */
export interface Site {
  /** Without a trailing slash. */
  readonly bucketUrl: string;
  readonly releasesUrl: string;
  readonly network: Network;
}

export function siteOf(settings: SourceSettings): Site {
  const { bucketUrl, releasesUrl } = settings;
  return { bucketUrl: bucketUrl.replace(/\/+$/, ''), releasesUrl, network: new Network(settings) };
}

/** The direct content of one folder. */
export interface Listing {
  readonly prefix: string;
  readonly objects: readonly ListedObject[];
  /** Whole prefixes, with their trailing slash. */
  readonly folders: readonly string[];
}

const MAX_COMPANION_BYTES = 4 * 1024 * 1024;
const MAX_PAGES = 50;

/**
 * Lists what begins with `prefix`, up to the next slash, over as many pages as it takes.
 *
 * Rejects with `BASE_IMAGE_RESOLVE_FAILED` for an answer that is no listing, and with the codes of `getDocument`.
 */
export async function listBucket(site: Site, prefix: string, context: Context): Promise<Listing> {
  const objects = new Map<string, ListedObject>();
  const folders = new Set<string>();
  const tokens = new Set<string>();
  const where = `${shown(site.bucketUrl)}/${prefix}`;
  let token: string | undefined;
  do {
    if (tokens.size >= MAX_PAGES) throw endless(where, `it has more than ${MAX_PAGES} pages`);
    const url = listingUrl(site.bucketUrl, prefix, token);
    const { body } = await getDocument(url, {
      network: site.network,
      signal: context.signal,
      onRetry: retriesTo(context),
    });
    const page = await withIntent(`read the listing of ${where}`, 'BASE_IMAGE_RESOLVE_FAILED', async () =>
      parseListingPage(body),
    );
    for (const object of page.objects) objects.set(object.key, object);
    for (const folder of page.folders) folders.add(folder);
    token = page.nextToken;
    if (token !== undefined && tokens.has(token)) throw endless(where, 'a page leads back to itself');
    if (token !== undefined) tokens.add(token);
  } while (token !== undefined);
  return { prefix, objects: [...objects.values()], folders: [...folders] };
}

/** The address of an object; every segment of its key is percent-encoded. */
export function objectUrl(bucketUrl: string, key: string): string {
  return `${bucketUrl}/${key.split('/').map(encodeURIComponent).join('/')}`;
}

/** A small text in the bucket. */
export function companionOf(key: string, site: Site): Companion {
  const url = objectUrl(site.bucketUrl, key);
  return {
    url,
    async read(context) {
      const { body } = await getDocument(url, {
        network: site.network,
        signal: context.signal,
        onRetry: retriesTo(context),
        maxBytes: MAX_COMPANION_BYTES,
      });
      return body.toString('utf8');
    },
  };
}

function listingUrl(bucketUrl: string, prefix: string, token: string | undefined): string {
  const query = new URLSearchParams({ 'list-type': '2', prefix, delimiter: '/' });
  if (token !== undefined) query.set('continuation-token', token);
  return `${bucketUrl}?${query.toString()}`;
}

function endless(where: string, why: string): SmartVMError {
  return new SmartVMError(`Gave up listing ${where}: ${why}`, 'BASE_IMAGE_RESOLVE_FAILED', {
    hint: 'The bucket does not list as S3 does: check its address.',
  });
}
