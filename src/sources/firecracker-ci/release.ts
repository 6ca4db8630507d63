import { SmartVMError, withIntent } from '../../errors.ts';
import type { Context } from '../../image.ts';
import { resolveRedirect, retriesTo } from '../../transfer/transfer.ts';
import type { Site } from './bucket.ts';

const RELEASE_PAGE = /\/releases\/tag\/(v\d{1,6}\.\d{1,6}\.\d{1,6})$/;

/**
 * The newest Firecracker release, `vX.Y.Z`: the page that `releasesUrl` redirects to names it.
 * Rejects with `VERSION_FETCH_FAILED`.
 */
export async function newestRelease({ releasesUrl, network }: Site, context: Context): Promise<string> {
  return await withIntent(
    'find the newest Firecracker release',
    'VERSION_FETCH_FAILED',
    async () => {
      const finalUrl = await resolveRedirect(releasesUrl, {
        network,
        signal: context.signal,
        onRetry: retriesTo(context),
      });
      const version = RELEASE_PAGE.exec(finalUrl)?.[1];
      if (version === undefined || new URL(finalUrl).host !== new URL(releasesUrl).host) {
        throw new SmartVMError(
          `${releasesUrl} leads to ${finalUrl.slice(0, 300)}, and not to a page of its own that ends in /releases/tag/vX.Y.Z`,
          'VERSION_FETCH_FAILED',
          { hint: WAY_ON },
        );
      }
      return version;
    },
    { hint: WAY_ON },
  );
}

const WAY_ON =
  'Name a set, which needs no release (`smartvm ensure v1.15`, or a dated one), use what is cached with --offline, or set the releases address.';
