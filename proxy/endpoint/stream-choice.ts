/**
 * Whether an opaque connection to another sidecar becomes a stream of a shared one, or a connection of its own. Few
 * connections carry most when there is one to each: nothing is copied into frames, and none waits for another's lost
 * packet. Many are dear: a handshake each, and a socket with its TLS state on either side.
 */

/** More than so many that are open, or were opened within the time, are many. */
export const FEW = 8;
const WITHIN_MS = 1000;

export class StreamChoice {
  /** When the last few were opened, the next to be forgotten at `#at`. */
  readonly #opened: number[] = new Array(FEW).fill(-Infinity);
  #at = 0;

  /** `open`: connections to the endpoint that are open or being opened, this one included. `now`: monotonic ms. */
  choose(open: number, now: number): boolean {
    const before = this.#opened[this.#at] as number;
    this.#opened[this.#at] = now;
    this.#at = (this.#at + 1) % FEW;
    return open > FEW || now - before < WITHIN_MS;
  }
}
