/**
 * Strings that a peer spells out again and again (`:path` is never indexed by nghttp2), remembered by their bytes: a
 * string that is found is neither decoded nor checked again, and brings the hash that maps further on need.
 */

import { sharedText } from "./text.ts";

/** A power of two. */
const SLOTS = 32;
/** Shorter ones cost nothing, longer ones cost memory. */
const SHORTEST = 4;
const LONGEST = 96;

interface Literal {
  /** As it was on the wire. */
  readonly bytes: Uint8Array;
  readonly text: string;
  /** Whether it may be the value of a field. */
  readonly valid: boolean;
}

export class LiteralCache {
  /** Fingerprints of what was seen last in each slot: bytes are kept when one is seen for the second time. */
  readonly #prints = new Int32Array(SLOTS);
  readonly #literals: (Literal | null)[] = new Array<Literal | null>(SLOTS).fill(null);
  #slot = 0;
  /** The last string asked for was seen before and should be stored. */
  wanted = false;

  /** The string of which the bytes from `start` to `end` are the spelling, the byte with its length included. */
  find(buf: Buffer, start: number, end: number): Literal | null {
    const length = end - start;
    this.wanted = false;
    if (length < SHORTEST || length > LONGEST) return null;
    let print = ((buf[start] as number) << 24) ^ ((buf[end - 1] as number) << 16) ^ ((buf[end - 2] as number) << 8);
    print ^= ((buf[start + (length >> 1)] as number) << 4) ^ (buf[start + (length >> 2)] as number);
    print = Math.imul(print, 0x9e3779b1);
    const slot = print >>> 27;
    if (this.#prints[slot] !== print) {
      this.#prints[slot] = print;
      this.#literals[slot] = null;
      return null;
    }
    const literal = this.#literals[slot] as Literal | null;
    if (literal === null) {
      this.#slot = slot;
      this.wanted = true;
      return null;
    }
    const { bytes } = literal;
    if (bytes.length !== length) return null;
    for (let i = 0; i < length; i++) if (bytes[i] !== buf[start + i]) return null;
    return literal;
  }

  /** Keeps a `wanted` string. */
  store(buf: Buffer, start: number, end: number, text: string, valid: boolean): void {
    const bytes = Uint8Array.prototype.slice.call(buf, start, end);
    this.#literals[this.#slot] = { bytes, text: sharedText(text), valid };
  }
}
