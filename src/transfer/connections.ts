import { Agent, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';

/** Connections that are used again by the requests they are given to. */
export class Connections {
  readonly #agents = new Map<string, KeepAliveAgent>();
  #isClosed = false;

  /** Who keeps the connections of this kind; `undefined` when none are kept any more. */
  agentFor(kind: string): Agent | undefined {
    if (this.#isClosed) return undefined;
    const known = this.#agents.get(kind);
    if (known !== undefined) return known;
    const agent = new KeepAliveAgent();
    this.#agents.set(kind, agent);
    return agent;
  }

  /** Ends those that are free, and the others as soon as they are. */
  keepNone(): void {
    this.#isClosed = true;
    for (const agent of this.#agents.values()) agent.keepNone();
  }

  /** Ends all of them, also those in use. Requests are ended by their signal; those that go on have connections of their own. */
  close(): void {
    this.#isClosed = true;
    for (const agent of this.#agents.values()) agent.close();
  }
}

/** Keeps connections that its requests opened. */
class KeepAliveAgent extends Agent {
  constructor() {
    super({ keepAlive: true });
  }

  /** Every request says itself how it opens a connection, when none is left from an earlier one. */
  override createConnection(
    options: ClientRequestArgs,
    callback: (error: Error | null, socket: Duplex) => void,
  ): Duplex | null | undefined {
    return options.createConnection?.(options, callback);
  }

  keepNone(): void {
    this.maxFreeSockets = 0;
    for (const socket of Object.values(this.freeSockets).flat()) socket?.destroy();
  }

  close(): void {
    // What is still being opened comes later, and is not to stay.
    this.maxFreeSockets = 0;
    this.destroy();
  }
}
