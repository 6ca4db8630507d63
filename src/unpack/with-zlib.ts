import type { Transform } from 'node:stream';
import { taken, type Pieces } from './feed.ts';

/** What unpacks one member of a gzip file, or one frame of a zstd file. Some take several, one behind the other. */
export type Member = Transform & { readonly bytesWritten: number };
export type MakeMember = (options: { readonly chunkSize: number }) => Member;

/** What comes out at once. */
const CHUNK_BYTES = 128 * 1024;

/**
 * Unpacks all members of a file in this process, as far as the reader asks. Rejects with what zlib says of them, or with what the
 * pieces reject with. Does not close the pieces.
 */
export async function* unpackWithZlib(make: MakeMember, pieces: Pieces): AsyncGenerator<Uint8Array, void, undefined> {
  /** What the last member left of its last piece. */
  let left: Uint8Array | undefined;

  /** Gives it all it takes. True when there are no more pieces. */
  async function feed(member: Member): Promise<boolean> {
    for (let givenBytes = 0; ;) {
      const piece = left ?? (await pieces.next()).value;
      if (piece === undefined) {
        member.end();
        return true;
      }
      givenBytes += piece.byteLength;
      const isTaken = await taken(member, piece);
      // Node's zlib ends with a frame of zstd when another lies in the same piece, and with a member of gzip before zeros.
      const leftBytes = givenBytes - member.bytesWritten;
      left = leftBytes === 0 ? undefined : piece.subarray(piece.byteLength - leftBytes);
      if (!isTaken) return false;
    }
  }

  for (let isOver = false; !isOver;) {
    const member = make({ chunkSize: CHUNK_BYTES });
    const fed = feed(member).catch((error: unknown) => {
      member.destroy(error instanceof Error ? error : new Error(String(error)));
      return true;
    });
    try {
      yield* member as AsyncIterable<Uint8Array>;
    } finally {
      member.destroy();
      isOver = await fed;
    }
  }
}
