/** Bytes that lie one after the other in a file, in as many pieces as they came in. */
export interface Run {
  readonly position: number;
  readonly pieces: readonly Uint8Array[];
}

/** What file systems leave out is a multiple of this. */
export const BLOCK_BYTES = 4096;

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/**
 * What has to be written of these pieces, which follow each other from `start` on, into a file that is empty there: everything
 * but the blocks of the file that are nothing but zeros.
 */
export function runsOfData(pieces: readonly Uint8Array[], start: number): readonly Run[] {
  const hasData = blocksWithData(pieces, start);
  if (!hasData.includes(false)) return [{ position: start, pieces }];
  const runs: Run[] = [];
  const firstBlock = Math.floor(start / BLOCK_BYTES);
  for (let from = hasData.indexOf(true); from !== -1;) {
    const hole = hasData.indexOf(false, from);
    const to = hole === -1 ? hasData.length : hole;
    const position = Math.max(start, (firstBlock + from) * BLOCK_BYTES);
    const end = (firstBlock + to) * BLOCK_BYTES;
    runs.push({ position, pieces: cut(pieces, position - start, end - start) });
    from = hasData.indexOf(true, to);
  }
  return runs;
}

/** For each block of the file that the pieces touch: whether they have anything but zeros for it. */
function blocksWithData(pieces: readonly Uint8Array[], start: number): readonly boolean[] {
  const hasData: boolean[] = [];
  const firstBlock = Math.floor(start / BLOCK_BYTES);
  let position = start;
  for (const piece of pieces) {
    for (let at = 0; at < piece.byteLength;) {
      const block = Math.floor(position / BLOCK_BYTES);
      const end = Math.min(piece.byteLength, at + (block + 1) * BLOCK_BYTES - position);
      hasData[block - firstBlock] = hasData[block - firstBlock] === true || !isZero(piece, at, end);
      position += end - at;
      at = end;
    }
  }
  return hasData;
}

/** The first byte decides for nearly all data; the rest is compared in one native call. */
function isZero(piece: Uint8Array, start: number, end: number): boolean {
  return piece[start] === 0 && piece[end - 1] === 0 && ZEROS.compare(piece, start, end, 0, end - start) === 0;
}

/** The bytes from `start` to `end` of these pieces, not copied. */
function cut(pieces: readonly Uint8Array[], start: number, end: number): readonly Uint8Array[] {
  const some: Uint8Array[] = [];
  let position = 0;
  for (const piece of pieces) {
    const [from, to] = [Math.max(0, start - position), Math.min(piece.byteLength, end - position)];
    if (from < to) some.push(piece.subarray(from, to));
    position += piece.byteLength;
  }
  return some;
}
