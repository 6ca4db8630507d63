/** One entry of an archive: a directory when it has no bytes. */
export interface CpioEntry {
  readonly name: string;
  /** Permission bits only. */
  readonly mode: number;
  readonly bytes?: Buffer;
}

const DIRECTORY = 0o040000;
const REGULAR = 0o100000;

/**
 * A newc archive as the kernel unpacks it (Linux: Documentation/driver-api/early-userspace/buffer-format.rst), the same bytes for
 * the same entries: owner root, one timestamp, inode numbers in the order given.
 */
export function cpioArchive(entries: readonly CpioEntry[], epochSeconds: number): Buffer {
  const parts = entries.flatMap((entry, index) => member(entry, index + 1, epochSeconds));
  const archive = Buffer.concat([...parts, ...member({ name: 'TRAILER!!!', mode: 0 }, 0, 0, 0)]);
  return padded(archive, 512);
}

function member({ name, mode, bytes }: CpioEntry, inode: number, epochSeconds: number, type = typeOf(bytes)): Buffer[] {
  const links = type === DIRECTORY ? 2 : 1;
  const size = bytes?.length ?? 0;
  const fields = [inode, type | mode, 0, 0, links, epochSeconds, size, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${fields.map((field) => field.toString(16).toUpperCase().padStart(8, '0')).join('')}${name}\0`;
  return [padded(Buffer.from(header, 'latin1'), 4), ...(bytes === undefined ? [] : [padded(bytes, 4)])];
}

function typeOf(bytes: Buffer | undefined): number {
  return bytes === undefined ? DIRECTORY : REGULAR;
}

function padded(bytes: Buffer, unit: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((unit - (bytes.length % unit)) % unit)]);
}
