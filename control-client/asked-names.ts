/** Listeners that were asked for by where a call was going, and what the control plane has said of them. */
import { type Watch, WatchCell } from "../core/watch.ts";
import { askedPlace } from "../model/on-demand.ts";
import type { ResourceUpdate } from "./resources.ts";

/** Subscriptions that are kept; each is a name, and so is what is known not to exist. */
const MAX_NAMES = 4096;

/** Sends what is asked for, and what is not any more. */
export type SendAsk = (names: readonly string[], dropped: readonly string[]) => void;

export class AskedNames {
  readonly #send: SendAsk;
  /** Least recently asked first. */
  readonly #names = new Set<string>();
  readonly #absent = new WatchCell<ReadonlySet<string>>(new Set());

  constructor(send: SendAsk) {
    this.#send = send;
  }

  /** Names of which the control plane has said that there is nothing; it takes that back when there is. */
  get absent(): Watch<ReadonlySet<string>> {
    return this.#absent;
  }

  /** Asks for a name, whether or not it was asked for already. */
  ask(name: string): void {
    this.#names.delete(name);
    this.#names.add(name);
    const dropped = [...this.#names].slice(0, Math.max(0, this.#names.size - MAX_NAMES));
    for (const old of dropped) this.#names.delete(old);
    this.#forget(dropped);
    this.#send([name], dropped);
  }

  /** Takes what a response says of names that were asked for. */
  take({ kind, removed, aliases = [] }: ResourceUpdate): void {
    if (kind !== "listener") return;
    this.#forget(aliases);
    const absent = removed.filter((name) => askedPlace(name) !== null && this.#names.has(name));
    if (absent.length > 0) this.#absent.set(new Set([...(this.#absent.get() ?? []), ...absent]));
  }

  #forget(names: readonly string[]): void {
    const absent = this.#absent.get();
    if (absent === undefined || !names.some((name) => absent.has(name))) return;
    this.#absent.set(new Set([...absent].filter((name) => !names.includes(name))));
  }
}
