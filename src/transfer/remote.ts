import { SmartVMError, messageOf } from '../errors.ts';
import type { Artifact, ArtifactStream, ByteRange, Context } from '../image.ts';
import { StatusError } from './failure.ts';
import type { Network } from './network.ts';
import { openObject, type From } from './object.ts';
import { Places } from './places.ts';
import { retriesTo } from './retry.ts';
import { isStrong, openStream, type OpenedStream, type StreamOptions } from './stream.ts';
import { readValidator, writeValidator } from './validator.ts';

/** A file somewhere in the network, and what is known of its bytes. */
export interface RemoteObject {
  readonly url: string;
  readonly bytes?: number | undefined;
  /** Lower-case hex. Where it is known mirrors are asked, and any rest is taken: it decides. */
  readonly sha256?: string | undefined;
  /** ETag that the object must still have where it lies, quotes included. */
  readonly etag?: string | undefined;
}

/**
 * How an artifact in the network is opened: at the first of its places that works. When that one fails on the way the next goes on
 * where it was; one whose bytes were disowned is not asked again.
 *
 * What is returned rejects as `openStream` does, and with `TRANSFER_CHANGED` when the object that had the ETag is not there any more.
 */
export function remoteOpener(object: RemoteObject, network: Network): Artifact['open'] {
  let places: Places | undefined;
  return async (context, range) => {
    places ??= new Places(object.url, object.sha256, network.settings.mirrors ?? []);
    const leave = (await network.slots?.enter(context.signal)) ?? ((): void => undefined);
    const stream = new RemoteStream(object, network, places, context, leave);
    await stream.open(range);
    return stream;
  };
}

class RemoteStream implements ArtifactStream, AsyncIterableIterator<Uint8Array> {
  readonly #object: RemoteObject;
  readonly #network: Network;
  readonly #places: Places;
  readonly #context: Context;
  readonly #leave: () => void;
  readonly #end = new AbortController();
  /** Aborted when the caller cancels, and when the stream is given up. */
  readonly #ended: AbortSignal;
  /** Places that gave bytes, and those that were not asked yet. */
  readonly #used: string[] = [];
  #untried: readonly string[];
  #opened: OpenedStream | undefined;
  #position = 0;
  /** Bytes of this place that another one gave already. */
  #skipBytes = 0;
  /** The range that was asked for, where it was one for its own sake. */
  #range: ByteRange | undefined;
  start = 0;

  constructor(object: RemoteObject, network: Network, places: Places, context: Context, leave: () => void) {
    this.#object = object;
    this.#network = network;
    this.#places = places;
    this.#context = context;
    this.#leave = leave;
    const { signal } = context;
    this.#ended = signal === undefined ? this.#end.signal : AbortSignal.any([signal, this.#end.signal]);
    this.#untried = places.left;
  }

  get source(): string {
    return new URL(this.#used.at(-1) ?? this.#object.url).host;
  }

  get validator(): string | undefined {
    const { servesRanges = false, etag } = this.#opened ?? {};
    const url = this.#used.at(-1);
    const isBound = isStrong(etag) || this.#object.sha256 !== undefined;
    if (!servesRanges || !isBound || url === undefined) return undefined;
    return writeValidator({ url, etag: isStrong(etag) ? etag : undefined });
  }

  async open(range: ByteRange | undefined): Promise<void> {
    const held = range?.validator === undefined ? undefined : readValidator(range.validator);
    if (range?.validator === undefined) this.#range = range;
    await this.#openNext((place) => {
      const etag = held?.url === place ? held.etag : undefined;
      const canGoOn = held !== undefined && (etag !== undefined || this.#object.sha256 !== undefined);
      return { start: canGoOn ? (range?.start ?? 0) : 0, etag };
    });
    this.start = this.#position;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    for (;;) {
      try {
        const result = await this.#opened?.body.next();
        if (result?.done !== false) break;
        const { byteLength } = result.value;
        const knownBytes = Math.min(this.#skipBytes, byteLength);
        this.#skipBytes -= knownBytes;
        this.#position += byteLength - knownBytes;
        if (knownBytes < byteLength) return { done: false, value: result.value.subarray(knownBytes) };
      } catch (error) {
        await this.#goOnElsewhere(error).catch((final: unknown) => {
          if (!this.#end.signal.aborted) throw final;
        });
      }
    }
    this.#leave();
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#end.abort();
    await this.#opened?.body.return?.();
    this.#leave();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  disown(): boolean {
    return this.#places.disown(this.#used);
  }

  /** Has the rest under way from the next place, or throws the failure that is the last. */
  async #goOnElsewhere(failure: unknown): Promise<void> {
    const position = this.#position;
    if (!this.#isOfPlace(failure) || this.#untried.length === 0) {
      this.#leave();
      throw this.#told(failure);
    }
    this.#warn(failure);
    if (this.#range !== undefined) this.#range = { ...this.#range, start: position };
    await this.#openNext(() => ({ start: position }));
    // A place that serves no parts begins at 0. Whether it has the same bytes, the digest of all of them tells.
    this.#skipBytes = position - this.#position;
    this.#position = position;
  }

  /** Opens at the next place that works. */
  async #openNext(from: (place: string) => From): Promise<void> {
    for (let [place, ...others] = this.#untried; place !== undefined; [place, ...others] = this.#untried) {
      this.#untried = others;
      try {
        this.#opened = await this.#openAt(place, from(place));
        this.#position = this.#opened.start;
        this.#used.push(place);
        return;
      } catch (error) {
        if (!this.#isOfPlace(error) || others.length === 0) {
          this.#leave();
          throw this.#told(error);
        }
        this.#warn(error);
      }
    }
  }

  async #openAt(place: string, from: From): Promise<OpenedStream> {
    const { url, bytes, sha256, etag } = this.#object;
    const { retries } = this.#network.limits();
    const options: StreamOptions = {
      network: this.#network,
      signal: this.#ended,
      expectedBytes: bytes,
      ifMatch: place === url ? etag : undefined,
      isVerified: sha256 !== undefined,
      onRetry: retriesTo(this.#context),
      // Somebody else has the bytes too: a place that does not answer is not worth many tries.
      ...(this.#untried.length === 0 ? {} : { limits: { retries: Math.min(1, retries) } }),
    };
    if (this.#range !== undefined) return await openStream(place, { ...options, range: this.#range });
    return await openObject(place, from, options);
  }

  /** True for what a place did; an abort, whatever its reason, or a fault of ours, is nobody's. */
  #isOfPlace(error: unknown): boolean {
    return error instanceof SmartVMError && !this.#ended.aborted;
  }

  #warn(error: unknown): void {
    const next = new URL(this.#untried[0] ?? this.#object.url).host;
    this.#context.logger.warn(`${messageOf(error)}. Asking ${next} instead.`);
  }

  /** An object that was listed with an ETag and is gone, or is another one now, was changed: it is to be looked up again. */
  #told(failure: unknown): unknown {
    const { etag } = this.#object;
    const status = causesOf(failure).find((one) => one instanceof StatusError)?.status ?? 0;
    if (etag === undefined || !(failure instanceof Error) || ![404, 410, 412].includes(status)) return failure;
    return new SmartVMError(
      `${failure.message}: it is not the one any more that was listed with ETag ${etag}`,
      'TRANSFER_CHANGED',
      {
        cause: failure,
        hint: 'It was replaced since it was looked up: ask again.',
        retryable: true,
      },
    );
  }
}

function causesOf(error: unknown): Error[] {
  return error instanceof Error ? [error, ...causesOf(error.cause)] : [];
}
