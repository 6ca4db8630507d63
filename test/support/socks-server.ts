import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A SOCKS server on loopback: version 5 with or without a password, and version 4 with its extension 4a. */
export interface SocksServer {
  readonly port: number;
  /** What it was asked for: `images.test:443`, `127.0.0.1:80`. */
  readonly asked: readonly string[];
  readonly open: ReadonlySet<Socket>;
  close(): Promise<void>;
}

export interface SocksServerOptions {
  /** Port on loopback that stands for every host and port. */
  readonly to: number;
  /** `user:password` that is asked for. */
  readonly auth?: string;
  /** Reply code instead of success (RFC 1928, 6). */
  readonly reply?: number;
  /** It takes connections and never says a word. */
  readonly isMute?: boolean;
}

/** Starts a SOCKS server on a free port of loopback. */
export async function startSocksServer(options: SocksServerOptions): Promise<SocksServer> {
  const asked: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((client) => {
    open.add(client);
    client.on('error', () => undefined);
    client.on('close', () => open.delete(client));
    if (options.isMute === true) client.resume();
    else void serve(client, options, asked).catch(() => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    open,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(client: Socket, { to, auth, reply = 0 }: SocksServerOptions, asked: string[]): Promise<void> {
  const [version = 0] = await take(client, 1);
  if (version === 5) {
    const [methods = 0] = await take(client, 1);
    await take(client, methods);
    client.write(Buffer.from([5, auth === undefined ? 0 : 2]));
    if (auth !== undefined && (await login(client)) !== auth) {
      client.end(Buffer.from([1, 1]));
      return;
    }
    if (auth !== undefined) client.write(Buffer.from([1, 0]));
    const [, , , type = 0] = await take(client, 4);
    const host = type === 3 ? (await counted(client)).toString() : dotted(await take(client, 4));
    asked.push(`${host}:${(await take(client, 2)).readUInt16BE()}`);
    client.write(Buffer.from([5, reply, 0, 1, 127, 0, 0, 1, 0, 0]));
    if (reply !== 0) return;
  } else {
    await take(client, 1);
    const port = (await take(client, 2)).readUInt16BE();
    const address = await take(client, 4);
    await untilZero(client);
    const isName = address.readUInt32BE() < 256;
    asked.push(`${isName ? await untilZero(client) : dotted(address)}:${port}`);
    client.write(Buffer.from([0, 90, 0, 0, 0, 0, 0, 0]));
  }
  const target = connect(to, '127.0.0.1');
  target.on('error', () => client.destroy());
  target.on('close', () => client.destroy());
  client.on('close', () => target.destroy());
  client.pipe(target).pipe(client);
}

async function login(client: Socket): Promise<string> {
  await take(client, 1);
  const user = await counted(client);
  const password = await counted(client);
  return `${user.toString()}:${password.toString()}`;
}

async function counted(client: Socket): Promise<Buffer> {
  const [length = 0] = await take(client, 1);
  return await take(client, length);
}

async function untilZero(client: Socket): Promise<string> {
  let text = '';
  for (;;) {
    const [letter = 0] = await take(client, 1);
    if (letter === 0) return text;
    text += String.fromCharCode(letter);
  }
}

/** The next bytes, when they are there. */
async function take(client: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const got = client.read(bytes) as Buffer | null;
    if (got !== null) return got;
    if (client.destroyed || client.readableEnded) throw new Error('the client left');
    await new Promise<void>((resolve) => {
      const done = (): void => {
        client.off('readable', done).off('close', done);
        resolve();
      };
      client.on('readable', done).on('close', done);
    });
  }
}

function dotted(address: Buffer): string {
  return [...address].join('.');
}
