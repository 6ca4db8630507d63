import { hostArch } from '../../src/image.ts';
import { createSource } from '../../src/sources/debian.ts';
import type { SourceFixture } from './contract.ts';

export const fixture: SourceFixture = {
  prepare() {
    const source = createSource({ bucketUrl: '', releasesUrl: '', allowHttp: [] });
    return Promise.resolve({
      source,
      locator: '',
      request: { arch: hostArch() ?? 'x86_64' },
      close: () => Promise.resolve(),
    });
  },
};
