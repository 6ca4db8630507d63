import { childrenHere, pack, silentPieces } from './unpack.fixture.ts';
import { XZ, unpackWithCommand } from '../../src/unpack/with-command.ts';

// Waits for ever with a program that waits for bytes, and says which one that is.
const packed = pack('xz', Buffer.alloc(10_000, 'x'));
const before = childrenHere();
const first = unpackWithCommand(XZ, silentPieces(packed.subarray(0, 40)), undefined).next();
const [pid = ''] = childrenHere().filter((one) => !before.includes(one));
process.stdout.write(`${pid}\n`);
setInterval(() => undefined, 1000);
await first;
