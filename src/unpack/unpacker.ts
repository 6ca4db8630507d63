import zlib from 'node:zlib';
import type { CompressedForm } from '../image.ts';
import type { Pieces } from './feed.ts';
import { XZ, ZSTD, unpackWithCommand } from './with-command.ts';
import { unpackWithZlib, type MakeMember } from './with-zlib.ts';

/** Plain bytes of packed ones, as far as they are asked for. Its `return()` ends all that it has begun, and leaves the pieces open. */
export type Unpacker = (pieces: Pieces, signal: AbortSignal | undefined) => AsyncGenerator<Uint8Array, void, undefined>;

/** What unpacks this format: in this process where Node can, else with the program of that name. */
export function unpackerFor(format: CompressedForm['format']): Unpacker {
  if (format === 'gzip') return (pieces) => unpackWithZlib(zlib.createGunzip, pieces);
  if (format === 'xz') return (pieces, signal) => unpackWithCommand(XZ, pieces, signal);
  const make = zstdInNode();
  if (make !== undefined) return (pieces) => unpackWithZlib(make, pieces);
  return (pieces, signal) => unpackWithCommand(ZSTD, pieces, signal);
}

/** `undefined` before Node 22.15. */
export function zstdInNode(): MakeMember | undefined {
  const { createZstdDecompress }: { readonly createZstdDecompress?: MakeMember } & typeof zlib = zlib;
  return createZstdDecompress;
}
