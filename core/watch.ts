/**
 * A latest-value cell: the only thing that subsystems share. A reader gets the newest value, never a queue of old ones,
 * so a slow reader costs nothing and cannot fall behind.
 */

export interface Watch<T> {
  /** The newest value, or undefined while there is none yet. */
  get(): T | undefined;
  /** Calls `listener` with the current value (if any) and with each later one; returns the way to stop. */
  subscribe(listener: (value: T) => void): () => void;
}

export class WatchCell<T> implements Watch<T> {
  #value: T | undefined;
  readonly #listeners = new Set<(value: T) => void>();

  constructor(value?: T) {
    this.#value = value;
  }

  get(): T | undefined {
    return this.#value;
  }

  set(value: T): void {
    this.#value = value;
    for (const listener of [...this.#listeners]) if (this.#value === value) listener(value);
  }

  subscribe(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    if (this.#value !== undefined) listener(this.#value);
    return () => this.#listeners.delete(listener);
  }
}

/** Resolves with the first value for which `accept` holds. */
export function nextValue<T>(watch: Watch<T>, accept: (value: T) => boolean = () => true): Promise<T> {
  return new Promise((resolve) => {
    let done = false;
    let stop: (() => void) | undefined;
    stop = watch.subscribe((value) => {
      if (done || !accept(value)) return;
      done = true;
      stop?.();
      resolve(value);
    });
    if (done) stop();
  });
}
