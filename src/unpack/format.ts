import type { CompressedForm } from '../image.ts';

/** How a file of each format begins: in hex. A zstd file may begin with a frame that is to be skipped (RFC 8878, 3.1.2). */
const BEGINNING: Readonly<Record<CompressedForm['format'], RegExp>> = {
  zstd: /^(?:28b52ffd|5[0-9a-f]2a4d18)/,
  gzip: /^1f8b08/,
  xz: /^fd377a585a00/,
};

/** So many bytes tell whether a file is of a format. */
export const TELLING_BYTES = 6;

/**
 * Makes sure that a file which begins like this is of this format: `zstd -dc` would unpack a file of gzip too, and a page of a web
 * site is better told as one.
 *
 * @throws Error which says how it begins.
 */
export function requireFormat(format: CompressedForm['format'], beginning: Buffer): void {
  if (BEGINNING[format].test(beginning.toString('hex'))) return;
  if (beginning.byteLength === 0) throw new Error('it is empty');
  throw new Error(`it begins with ${JSON.stringify(beginning.toString('latin1'))}`);
}
