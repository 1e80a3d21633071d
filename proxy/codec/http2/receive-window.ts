/**
 * How much a peer may send on a stream before we have passed on what came (RFC 9113, section 5.2). Where the configuration
 * leaves it to us the window begins small, grows for a stream that flows fast and shrinks for one whose reader stands
 * still: a slow reader holds little memory, and a fast one is not kept waiting for room.
 */
import { DEFAULT_HTTP2 } from "../../../model/http.ts";

/** What an adaptive window begins with, bytes. */
const FIRST = 1 << 20;
/** Half a window used up in less than this may be a sender that waits for us: any round trip in a data centre is shorter. */
const FAST_MS = 50;

/** The window that SETTINGS announce. One that is not Envoy's default was asked for, and stays as it is. */
export function firstWindow(configured: number): number {
  return configured === DEFAULT_HTTP2.initialStreamWindowSize ? FIRST : configured;
}

export class ReceiveWindow {
  /** How much the peer may still send. */
  left: number;
  #size: number;
  /** What it begins with, and never shrinks below. */
  readonly #first: number;
  readonly #largest: number;
  /** Passed on, and not given back yet. */
  #passedOn = 0;
  #givenAt: number;
  #heldUp = false;

  /**
   * `configured`: what the configuration says, which an adaptive window grows up to; `now` is monotonic ms; `first`: what
   * it begins with, as SETTINGS have said.
   */
  constructor(configured: number, now: number, first = firstWindow(configured)) {
    this.#largest = configured;
    this.#first = first;
    this.#size = first;
    this.left = this.#size;
    this.#givenAt = now;
  }

  /** The reader has stopped. */
  holdUp(): void {
    this.#heldUp = true;
  }

  /** Bytes have been passed on; returns by how much the peer's window grows now, mostly 0. */
  passOn(bytes: number, now: number): number {
    this.#passedOn += bytes;
    if (this.#passedOn * 2 < this.#size) return 0;
    let increment = this.#passedOn;
    this.#passedOn = 0;
    if (this.#heldUp) {
      const excess = Math.min(increment, (this.#size - this.#first) >> 1);
      this.#size -= excess;
      increment -= excess;
    } else if (this.#size < this.#largest && now - this.#givenAt < FAST_MS) {
      const more = Math.min(this.#size, this.#largest - this.#size);
      this.#size += more;
      increment += more;
    }
    this.#heldUp = false;
    this.#givenAt = now;
    this.left += increment;
    return increment;
  }
}
