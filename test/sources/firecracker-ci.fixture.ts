import { createSource } from '../../src/sources/firecracker-ci.ts';
import { startCiBucket } from '../support/ci-bucket.ts';
import type { SourceFixture } from './contract.ts';

export const fixture: SourceFixture = {
  async prepare() {
    const bucket = await startCiBucket();
    const { bucketUrl, releasesUrl } = bucket;
    const source = createSource({ bucketUrl, releasesUrl, allowHttp: [] });
    return { source, locator: 'latest', request: { arch: 'x86_64' }, close: () => bucket.close() };
  },
};
