import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BaseImageManager, hostArch } from 'smartvm';
import { serveBundle } from '../examples/serve-bundle.ts';

const BIN = fileURLToPath(new URL('../dist/cli/main.cjs', import.meta.url));

await run(['ensure', 'debian']);
const arch = hostArch();
const [bundle] = await new BaseImageManager({ arch }).findBaseImages('debian');
if (bundle === undefined) throw new Error('ensure answered, but the bundle is not in the cache');
await run(['verify', bundle.bundleId]);

say('Now as another machine would get it: from a manifest over HTTP, into an empty cache.');
const other = await mkdtemp(join(tmpdir(), 'smartvm-demo-'));
const served = await serveBundle(bundle);
try {
  await run(['ensure', served.manifestUrl, '--cache-dir', other]);
  const output = await run(['boot', served.manifestUrl, '--check', '--json', '--cache-dir', other]);
  const receipt = JSON.parse(output) as { vmm: string; accelerator: string; bootMs: number; marker: string };
  const seconds = (receipt.bootMs / 1000).toFixed(1);
  const how = `booted to ${JSON.stringify(receipt.marker)} in ${seconds} s on ${receipt.vmm} (${receipt.accelerator})`;
  process.stdout.write(`\n${bundle.bundleId} is in ${bundle.bundleDir} and ${how}\n`);
} finally {
  await served.close();
  await rm(other, { recursive: true, force: true });
}

/** Runs the command as a user would see it, and returns what it printed. */
async function run(args: readonly string[]): Promise<string> {
  say(`$ smartvm ${args.join(' ')}`);
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (status !== 0) {
    process.exitCode = status ?? 1;
    throw new Error(`smartvm ${args.join(' ')} ended with ${status ?? 'a signal'}`);
  }
  return output;
}

function say(words: string): void {
  process.stderr.write(`\n${words}\n`);
}
