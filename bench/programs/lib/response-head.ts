/** What has to be known of an answer before its body. */
export interface ResponseHead {
  /** Of the head, with the empty line that ends it. */
  readonly bytes: number;
  readonly bodyBytes: number;
}

/**
 * Reads the head of an answer out of its first bytes; `undefined` when it has not come whole.
 *
 * @throws Error for anything but 200 with a length.
 */
export function readHead(bytes: Buffer): ResponseHead | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const head = bytes.toString('latin1', 0, end);
  const length = /^content-length: *(\d+) *$/im.exec(head)?.[1];
  if (!head.startsWith('HTTP/1.1 200') || length === undefined) throw new Error(`not an answer with a length: ${head}`);
  return { bytes: end + 4, bodyBytes: Number(length) };
}
