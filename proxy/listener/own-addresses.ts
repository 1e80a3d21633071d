/** The addresses of this machine, asked for now and then: they change, but not between one connection and the next. */
import { networkInterfaces } from "node:os";
import type { Clock } from "../../core/clock.ts";
import { isLoopback } from "../../core/ip.ts";

/** How long an answer of the system counts, ms. */
const KEPT_MS = 2000;

export class OwnAddresses {
  readonly #clock: Clock;
  readonly #list: typeof networkInterfaces;
  #known: ReadonlySet<string> = new Set();
  #askedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, list: typeof networkInterfaces = networkInterfaces) {
    this.#clock = clock;
    this.#list = list;
  }

  /** Whether the address is one of this machine's, of any interface. */
  has(address: string): boolean {
    if (isLoopback(address)) return true;
    const now = this.#clock.now();
    if (now - this.#askedAt > KEPT_MS) {
      this.#askedAt = now;
      const all = Object.values(this.#list()).flatMap((interfaces) => interfaces ?? []);
      this.#known = new Set(all.map((one) => one.address));
    }
    return this.#known.has(address);
  }
}
