/** Who speaks first at a destination, as far as connections to it have shown: bounded, the longest unused is forgotten. */

export type FirstSpeaker = "server" | "client";

/** More destinations than one workload calls; a few hundred KiB at most. */
const DEFAULT_CAPACITY = 4096;

/** A server that was seen to wait for its client is given so much more time before anybody listens to it. */
const PATIENCE = 10;

export class DetectionMemory {
  readonly #capacity: number;
  readonly #known = new Map<string, FirstSpeaker>();

  constructor(capacity = DEFAULT_CAPACITY) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#known.size;
  }

  /** null: nothing was learned of it. */
  get(destination: string): FirstSpeaker | null {
    const speaker = this.#known.get(destination);
    if (speaker === undefined) return null;
    this.#known.delete(destination);
    this.#known.set(destination, speaker);
    return speaker;
  }

  learn(destination: string, speaker: FirstSpeaker): void {
    this.#known.delete(destination);
    this.#known.set(destination, speaker);
    if (this.#known.size <= this.#capacity) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      return;
    }
  }

  /** How long a client may be silent before the server is listened to, ms. `afterMs`: where nothing was learned. */
  silenceMs(destination: string, afterMs: number): number {
    switch (this.get(destination)) {
      case "server":
        return 0;
      case "client":
        return afterMs * PATIENCE;
      case null:
        return afterMs;
    }
  }
}
