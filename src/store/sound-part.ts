import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { systemCode } from '../errors.ts';
import type { Artifact } from '../image.ts';
import { readAhead } from './hash.ts';
import type { Beginning } from './hashed-file.ts';
import type { JournalText } from './journal.ts';

/** The beginning of a file that an earlier attempt left, found to be what it was when it was written. */
export interface SoundPart extends Beginning {
  /** What the rest is to be asked for with. */
  readonly validator: string;
}

/**
 * How much of this file counts: up to the last checkpoint that its bytes, hashed again, agree with. `undefined` when that is
 * nothing, or when the journal is that of other bytes. Leaves something to ask for where no digest tells that all is there.
 */
export async function soundPart(
  handle: FileHandle,
  journal: JournalText | undefined,
  { identity, sha256, bytes: totalBytes = Infinity }: Artifact,
  signal: AbortSignal | undefined,
): Promise<SoundPart | undefined> {
  if (journal?.identity !== identity) return undefined;
  const limit = sha256 === undefined ? totalBytes - 1 : totalBytes;
  const hash = createHash('sha256');
  let position = 0;
  let sound: SoundPart | undefined;
  for (const checkpoint of journal.checkpoints) {
    if (checkpoint.bytes === 0 || checkpoint.bytes > limit) continue;
    position += await hashOn(hash, handle, position, checkpoint.bytes, signal);
    if (position < checkpoint.bytes) break;
    if (hash.copy().digest('hex') !== checkpoint.sha256) continue;
    sound = { bytes: position, hash: hash.copy(), validator: journal.validator };
  }
  return sound;
}

/** Hashes the bytes from `start` to `end` and says how many there were; what the disk cannot read is not there. */
async function hashOn(
  hash: Beginning['hash'],
  handle: FileHandle,
  start: number,
  end: number,
  signal: AbortSignal | undefined,
): Promise<number> {
  let bytes = 0;
  try {
    for await (const piece of readAhead(handle, start, end, signal)) {
      hash.update(piece);
      bytes += piece.byteLength;
    }
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
  }
  return bytes;
}
