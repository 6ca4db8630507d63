import { BaseImageManager, type BaseImageManagerOptions } from 'smartvm';

// One bundle, from a manifest into a cache: <manifest URL> <cache> [<options as JSON>]. Prints it.
const [manifestUrl, cacheDir, options = '{}'] = process.argv.slice(2);
const images = new BaseImageManager({ ...(JSON.parse(options) as BaseImageManagerOptions), cacheDir });
process.stdout.write(JSON.stringify(await images.ensureBaseImage({ manifestUrl })));
