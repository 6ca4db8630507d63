// The door of this folder: plain bytes of compressed ones, whoever has them.
import type { Artifact } from '../image.ts';
import type { PackedFile } from './packed-bytes.ts';
import { UnpackedStream } from './unpacked-stream.ts';

/** How the file in a packed file is opened, where `open` opens the packed one. A range is unpacked from the beginning. */
export function unpackingOpener(open: Artifact['open'], packed: PackedFile): Artifact['open'] {
  return async (context, range) => new UnpackedStream(await open(context), packed, range, context.signal);
}
