import { HashedFile } from './lib/hashed-file.ts';
import { OnreadBody } from './lib/onread-body.ts';
import { requireDigest, type FloorOptions, type Wanted } from './lib/wanted.ts';

// Fetches files at once over sockets of its own: <options as JSON>.
const { files, certPath, writesBehind = false, syncs = false } = JSON.parse(process.argv[2] ?? '') as FloorOptions;

async function fetchFile(wanted: Wanted): Promise<void> {
  const file = new HashedFile(wanted.fileName);
  await new OnreadBody(new URL(wanted.url), file, { certPath, writesBehind }).end();
  requireDigest(wanted, await file.end(syncs));
}

await Promise.all(files.map(fetchFile));
