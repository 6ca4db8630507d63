import type { ImageSource } from '../image.ts';
import type { SourceSettings } from '../settings.ts';

/**
 * Images built on this machine from Debian packages: `debian`, or `debian:<suite>`. Needs no network but the package archive.
 * The packages and their versions are the identity; the build starts when the first artifact is opened.
 */
export function createSource(_settings: SourceSettings): ImageSource {
  return {
    scheme: 'debian',
    asksEveryTime: false,
    // What was built once is found without this; it is loaded when something has to be looked up.
    async resolve(locator, request) {
      const { resolveDebian } = await import('./debian/resolve.ts');
      return await resolveDebian(locator, request);
    },
  };
}
