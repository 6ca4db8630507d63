import { BaseImageManager } from 'smartvm';

// Hits in one process: <reference> <cache> <calls>. Prints how long each took, in milliseconds.
const [reference, cacheDir, calls] = process.argv.slice(2);
const images = new BaseImageManager({ cacheDir, arch: 'x86_64' });
const times: number[] = [];
for (let call = 0; call < Number(calls); call += 1) {
  const begin = performance.now();
  await images.ensureBaseImage({ reference });
  times.push(performance.now() - begin);
}
process.stdout.write(JSON.stringify(times));
