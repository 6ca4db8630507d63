import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { DelayLine } from './delay-line.ts';

/** A line to somewhere far away. */
export interface Distance {
  /** There and back. */
  readonly roundTripMs: number;
  /** So much may be on its way to the client of each connection. */
  readonly windowBytes: number;
}

export interface Relay {
  readonly origin: string;
  close(): Promise<void>;
}

/** Passes connections on to a port of loopback as if it were far away: delay, slow start, and a window on the way back. */
export async function startRelay(port: number, { roundTripMs, windowBytes }: Distance): Promise<Relay> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const upstream = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const oneWayMs = roundTripMs / 2;
    // The client's connection stood at once; what it says is held back as long as its handshake should have taken.
    const there = new DelayLine(client, upstream, { delayMs: oneWayMs, firstDelayMs: roundTripMs, windowBytes });
    const back = new DelayLine(upstream, client, { delayMs: oneWayMs, firstDelayMs: 0, windowBytes });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        for (const line of [there, back]) line.stop();
        for (const other of [client, upstream]) other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
