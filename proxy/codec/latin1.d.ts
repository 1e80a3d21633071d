/**
 * Methods that every Buffer of Node's has had since its first versions, and `toString("latin1")` and `write` end in; the
 * types leave them out. Called directly they save the choice of an encoding, which for a short field is most of the cost.
 */
declare global {
  interface Buffer<TArrayBuffer extends ArrayBufferLike = ArrayBufferLike> {
    latin1Slice(start?: number, end?: number): string;
    /** Returns how many bytes were written. */
    latin1Write(text: string, offset?: number, length?: number): number;
  }
}

export {};
