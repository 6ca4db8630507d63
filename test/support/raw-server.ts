import { createServer, type AddressInfo, type Socket } from 'node:net';

/** A server that writes what a test says, byte by byte, whether or not it is HTTP. */
export interface RawServer {
  readonly origin: string;
  /** The head of every request, in order. */
  readonly requests: string[];
  /** Connections that are open now. */
  readonly open: ReadonlySet<Socket>;
  close(): Promise<void>;
}

/** Starts a server on loopback that calls `answer` with every request's head, and with how many came before it. */
export async function startRawServer(
  answer: (socket: Socket, head: string, count: number) => void | Promise<void>,
): Promise<RawServer> {
  const requests: string[] = [];
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => undefined);
    let head = '';
    socket.on('data', (bytes) => {
      head += bytes.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      requests.push(head);
      void answer(socket, head, requests.length - 1);
      head = '';
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    open,
    close: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
