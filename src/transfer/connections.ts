import { Agent, type ClientRequestArgs } from 'node:http';
import type { Duplex } from 'node:stream';

/** Connections that are used again by the requests they are given to, no more of them at once than allowed. */
export class Connections {
  readonly #agents = new Map<string, KeepAliveAgent>();
  readonly #waiting = new Set<() => void>();
  #free: number;
  #isClosed = false;

  constructor({ maxConnections = Infinity }: { readonly maxConnections?: number | undefined } = {}) {
    this.#free = maxConnections;
  }

  /** Who keeps the connections of this kind; `undefined` when none are kept any more. */
  agentFor(kind: string): Agent | undefined {
    if (this.#isClosed) return undefined;
    const known = this.#agents.get(kind);
    if (known !== undefined) return known;
    const agent = new KeepAliveAgent();
    this.#agents.set(kind, agent);
    return agent;
  }

  /** Waits until one more connection may be in use; what it resolves to says that it no longer is. */
  async take(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      const [next] = this.#waiting;
      if (next === undefined) this.#free += 1;
      else next();
    };
  }

  /** Ends all of them, also those in use. Requests are ended by their signal; those that go on have connections of their own. */
  close(): void {
    this.#isClosed = true;
    for (const agent of this.#agents.values()) agent.close();
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const done = (): void => {
        this.#waiting.delete(mine);
        signal?.removeEventListener('abort', abort);
      };
      const mine = (): void => {
        done();
        resolve();
      };
      const abort = (): void => {
        done();
        reject(signal?.reason as Error);
      };
      this.#waiting.add(mine);
      signal?.addEventListener('abort', abort, { once: true });
    });
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

  close(): void {
    // What is still being opened comes later, and is not to stay.
    this.maxFreeSockets = 0;
    this.destroy();
  }
}
