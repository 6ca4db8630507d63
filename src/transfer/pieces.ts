/** What one connection gives of a body, piece by piece. A body that stalls or drips rejects with `TRANSFER_TIMEOUT`. */
export interface Pieces {
  /** True when the server has said that this was all. */
  readonly isComplete: boolean;
  /** The next piece, `undefined` at the end of what the connection gave. To be asked for one at a time. */
  next(): Promise<Uint8Array | undefined>;
  /** Ends the connection. */
  destroy(): void;
}
