/**
 * Counts the messages in one direction of a gRPC call, from its raw body bytes: each message has a prefix of five bytes,
 * one for compression and four for the length (gRPC over HTTP/2, "Length-Prefixed-Message"). Messages are stepped over,
 * not read, so that a large one costs a subtraction.
 */

const PREFIX = 5;

export class MessageCounter {
  /** Messages whose prefix has arrived whole. */
  count = 0;
  /** Bytes of the prefix under way that have arrived. */
  #have = 0;
  #length = 0;
  /** Bytes of the current message that are still to come. */
  #left = 0;

  reset(): void {
    this.count = 0;
    this.#have = 0;
    this.#length = 0;
    this.#left = 0;
  }

  /** Takes the next bytes, in pieces of any size. */
  push(bytes: Uint8Array): void {
    const end = bytes.length;
    let at = 0;
    for (;;) {
      const skipped = Math.min(this.#left, end - at);
      at += skipped;
      this.#left -= skipped;
      if (at === end) return;
      if (this.#have === 0 && end - at >= PREFIX) {
        // The usual case: the prefix lies in one piece.
        this.#begin(
          (bytes[at + 1] as number) * 0x1000000 +
            (((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number)),
        );
        at += PREFIX;
        continue;
      }
      const byte = bytes[at++] as number;
      this.#length = this.#have === 0 ? 0 : this.#length * 256 + byte;
      this.#have++;
      if (this.#have === PREFIX) this.#begin(this.#length);
    }
  }

  #begin(length: number): void {
    this.count++;
    this.#have = 0;
    this.#left = length;
  }
}
