import { SmartVMError } from '../../errors.ts';

/** Magic of the legacy frame that kernels are packed with (lz4's `lz4cli`, `0x184C2102`). */
export const LZ4_LEGACY_MAGIC = Buffer.from([0x02, 0x21, 0x4c, 0x18]);

/** Unpacks an LZ4 legacy frame: blocks of a u32 length and that many bytes. Throws `BASE_IMAGE_BUILD_FAILED` on damage. */
export function unpackLz4Legacy(frame: Buffer, plainBytes: number): Buffer {
  const plain = Buffer.allocUnsafe(plainBytes);
  let written = 0;
  for (let at = LZ4_LEGACY_MAGIC.length; at + 4 <= frame.length && written < plainBytes;) {
    const blockBytes = frame.readUInt32LE(at);
    at += 4;
    if (blockBytes === 0 || at + blockBytes > frame.length) throw damaged();
    written = unpackBlock(frame.subarray(at, at + blockBytes), plain, written);
    at += blockBytes;
  }
  if (written !== plainBytes) throw damaged();
  return plain;
}

/** Each sequence: a token, literals, and a match of earlier output; the last one of a block has literals only. */
function unpackBlock(block: Buffer, plain: Buffer, start: number): number {
  let at = 0;
  let written = start;
  const length = (nibble: number): number => {
    let total = nibble;
    if (nibble === 15) {
      for (let more = 255; more === 255; total += more) more = block[at++] ?? fail();
    }
    return total;
  };
  while (at < block.length) {
    const token = block[at++] ?? fail();
    const literals = length(token >> 4);
    if (at + literals > block.length || written + literals > plain.length) throw damaged();
    block.copy(plain, written, at, at + literals);
    at += literals;
    written += literals;
    if (at >= block.length) break;
    const offset = (block[at++] ?? fail()) | ((block[at++] ?? fail()) << 8);
    const matched = length(token & 15) + 4;
    const from = written - offset;
    if (offset === 0 || from < 0 || written + matched > plain.length) throw damaged();
    // A match may reach into what it is writing: then it repeats, and must be copied in pieces.
    for (let done = 0; done < matched;) {
      const piece = Math.min(offset + done, matched - done);
      plain.copyWithin(written + done, from, from + piece);
      done += piece;
    }
    written += matched;
  }
  return written;
}

function fail(): never {
  throw damaged();
}

function damaged(): SmartVMError {
  return new SmartVMError('Failed to unpack the kernel: its LZ4 data is damaged', 'BASE_IMAGE_BUILD_FAILED');
}
