/** What a client's bytes begin with (RFC 9113, section 3.4). */
import { PREFACE } from "./protocol.ts";

export class Preface {
  /** How much of it has come. */
  #at = 0;

  /** Takes it off the first bytes; what follows it, or null if it is something else. */
  take(bytes: Buffer): Buffer | null {
    if (this.#at === PREFACE.length) return bytes;
    const count = Math.min(PREFACE.length - this.#at, bytes.length);
    if (bytes.latin1Slice(0, count) !== PREFACE.slice(this.#at, this.#at + count)) return null;
    this.#at += count;
    return bytes.subarray(count);
  }
}
