import { setMaxListeners } from 'node:events';
import type { Slots } from './slots.ts';
import type { OpenedStream } from './stream.ts';

export interface ParallelOptions {
  /** The first block, opened already. */
  readonly first: OpenedStream;
  /** Size of the whole object. */
  readonly totalBytes: number;
  readonly blockBytes: number;
  /** How many blocks may be under way or waiting at once. */
  readonly ahead: number;
  /** Opens the part from `start` to `end`, which must be of the object that the first block is of. */
  readonly openPart: (start: number, end: number, signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>;
  /** Where every connection besides the first takes a place. */
  readonly slots: Slots;
  /** Called when no connection is needed any more. */
  readonly onEnd: () => void;
}

/** A part of the object: what has come of it and was not given yet, whether that is all, and why there will be no more. */
interface Block {
  readonly pieces: Uint8Array[];
  isWhole: boolean;
  failure?: { readonly error: unknown };
}

/**
 * An object received in blocks over several connections, given in order. Blocks that come before their turn wait in memory: no more
 * of them than `ahead`. What has come before a failure is given, then the failure is told and all connections end.
 */
export class ParallelBody implements AsyncIterableIterator<Uint8Array> {
  readonly #options: ParallelOptions;
  readonly #blocks = new Map<number, Block>();
  readonly #end = new AbortController();
  readonly #blockCount: number;
  readonly #firstByte: number;
  /** The block that is given now, and the first one that nobody has taken. */
  #given = 0;
  #untaken = 1;
  #hasFailed = false;
  #wakeReader: () => void = () => undefined;
  #idle: (() => void)[] = [];

  constructor(options: ParallelOptions) {
    this.#options = options;
    // Every connection listens to it.
    setMaxListeners(0, this.#end.signal);
    this.#firstByte = options.first.start;
    this.#blockCount = Math.ceil((options.totalBytes - this.#firstByte) / options.blockBytes);
    void this.#work(options.first.body);
    const others = Math.min(options.ahead, this.#blockCount) - 1;
    for (let count = 0; count < others; count += 1) void this.#join();
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    while (this.#given < this.#blockCount && !this.#end.signal.aborted) {
      const block = this.#blocks.get(this.#given);
      const piece = block?.pieces.shift();
      if (piece !== undefined) return { done: false, value: piece };
      if (block?.isWhole === true) this.#giveNext();
      else if (block?.failure !== undefined || (block === undefined && this.#hasFailed)) break;
      else await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
    const failure = this.#failureNow();
    this.#close();
    if (failure !== undefined) throw failure.error;
    return { done: true, value: undefined };
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#close();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** One connection more, as soon as there is a place for it, while there is anything left to do. */
  async #join(): Promise<void> {
    let leave: () => void;
    try {
      leave = await this.#options.slots.enter(this.#end.signal);
    } catch {
      return;
    }
    await this.#work();
    leave();
  }

  /** Receives block after block on one connection until none is left. */
  async #work(first?: AsyncIterable<Uint8Array>): Promise<void> {
    if (first !== undefined) await this.#receive(0, () => Promise.resolve(first));
    for (let index = await this.#take(); index !== undefined; index = await this.#take()) {
      const [start, end] = this.#rangeOf(index);
      await this.#receive(index, () => this.#options.openPart(start, end, this.#end.signal));
    }
  }

  async #receive(index: number, open: () => Promise<AsyncIterable<Uint8Array>>): Promise<void> {
    const block: Block = { pieces: [], isWhole: false };
    this.#blocks.set(index, block);
    try {
      for await (const piece of await open()) {
        block.pieces.push(piece);
        if (index === this.#given) this.#wakeReader();
      }
      block.isWhole = true;
    } catch (error) {
      block.failure = { error };
      this.#hasFailed = true;
    }
    this.#wakeReader();
  }

  /** What the reader has to be told when there is nothing left to give. */
  #failureNow(): Block['failure'] {
    if (this.#end.signal.aborted || this.#given >= this.#blockCount) return undefined;
    return [...this.#blocks.values()].find(({ failure }) => failure !== undefined)?.failure;
  }

  #rangeOf(index: number): readonly [start: number, end: number] {
    const { blockBytes, totalBytes } = this.#options;
    const start = this.#firstByte + index * blockBytes;
    return [start, Math.min(start + blockBytes, totalBytes)];
  }

  /** The next block to receive, once it is near enough to its turn; `undefined` when there is none. */
  async #take(): Promise<number | undefined> {
    for (;;) {
      if (this.#untaken >= this.#blockCount || this.#end.signal.aborted || this.#hasFailed) return undefined;
      if (this.#untaken < this.#given + this.#options.ahead) return this.#untaken++;
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  #giveNext(): void {
    this.#blocks.delete(this.#given);
    this.#given += 1;
    this.#wakeIdle();
  }

  #wakeIdle(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }

  #close(): void {
    this.#end.abort();
    void this.#options.first.body.return?.();
    this.#blocks.clear();
    this.#wakeIdle();
    this.#wakeReader();
    this.#options.onEnd();
  }
}
