import { createHash } from 'node:crypto';
import { close, open, writev } from 'node:fs';
import { readFileSync } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { promisify } from 'node:util';
import { requireDigest, type FloorOptions, type Wanted } from './lib/wanted.ts';

// Fetches files at once with Node's own client, pieces gathered to one writev of 1 MiB: <options as JSON>.
const GATHERED_BYTES = 1024 ** 2;
const QUEUED_BYTES = 4 * 1024 ** 2;
const { files, certPath } = JSON.parse(process.argv[2] ?? '') as FloorOptions;
const ca = certPath === undefined ? undefined : readFileSync(certPath, 'utf8');

async function fetchFile(wanted: Wanted): Promise<void> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const options = { agent: false as const, headers: { 'accept-encoding': 'identity' } };
    const request =
      ca === undefined ? http.get(wanted.url, options, resolve) : https.get(wanted.url, { ...options, ca }, resolve);
    request.on('error', reject);
  });
  const fd = await promisify(open)(wanted.fileName, 'wx', 0o600);
  requireDigest(wanted, await pour(answer, fd));
  await promisify(close)(fd);
}

/** Writes a body to a file, one write under way while the next pieces arrive, and returns its digest. */
async function pour(answer: IncomingMessage, fd: number): Promise<string> {
  const hash = createHash('sha256');
  let pieces: Buffer[] = [];
  let queuedBytes = 0;
  let isWriting = false;
  let isOver = false;
  await new Promise<void>((resolve, reject) => {
    const flush = (): void => {
      if (isWriting || (queuedBytes < GATHERED_BYTES && !isOver)) return;
      if (pieces.length === 0) {
        resolve();
        return;
      }
      const batch = pieces;
      const batchBytes = queuedBytes;
      [pieces, queuedBytes, isWriting] = [[], 0, true];
      writev(fd, batch, (error, written) => {
        isWriting = false;
        if (error !== null) reject(error);
        else if (written !== batchBytes) reject(new Error(`${written} of ${batchBytes} bytes were written`));
        else flush();
        if (answer.isPaused()) answer.resume();
      });
    };
    answer.on('data', (piece: Buffer) => {
      hash.update(piece);
      pieces.push(piece);
      queuedBytes += piece.byteLength;
      if (queuedBytes >= QUEUED_BYTES) answer.pause();
      flush();
    });
    answer.on('error', reject);
    answer.on('end', () => {
      isOver = true;
      flush();
    });
  });
  return hash.digest('hex');
}

await Promise.all(files.map(fetchFile));
