/** Starts from the last good configuration when the control plane does not answer, and keeps that on disk up to date. */
import type { Clock, Timer } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { deepFreeze, type Snapshot } from "../model/snapshot.ts";
import type { LastGood, LastGoodFile } from "./last-good.ts";

/** A burst of changes is one write, and so is what changes soon after a write. */
const SAVE_AFTER_MS = 1000;
const SAVE_AGAIN_AFTER_MS = 10_000;

export interface CachedStartOptions {
  readonly file: Pick<LastGoodFile, "load" | "save">;
  readonly clock: Clock;
  readonly log: Logger;
  /** The static resources: not saved, and put under what was. */
  readonly base: Snapshot;
  readonly afterMs: number;
  /** Called at most once, unless `live` came first. */
  readonly use: (snapshot: Snapshot) => void;
}

export class CachedStart {
  readonly #o: CachedStartOptions;
  #timer: Timer | null = null;
  #unsaved: Snapshot | null = null;
  #live = false;
  #used: LastGood | null = null;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: CachedStartOptions) {
    this.#o = options;
    const loading = options.file.load();
    this.#timer = options.clock.after(options.afterMs, () => {
      this.#timer = null;
      void loading.then((found) => this.#use(found));
    });
  }

  /** Whether the cached snapshot is the one in force. */
  get inForce(): boolean {
    return this.#used !== null && !this.#live;
  }

  /** Since the cached snapshot was saved, ms; null unless it is in force. */
  ageMs(): number | null {
    return this.#used && !this.#live ? this.#o.clock.wallTime() - this.#used.savedAt : null;
  }

  /** A snapshot from the control plane is in force: it is saved shortly, and no cached one is used any longer. */
  live(snapshot: Snapshot): void {
    if (!this.#live) {
      this.#live = true;
      this.#timer?.cancel();
      this.#saveAfter(SAVE_AFTER_MS);
    }
    this.#unsaved = snapshot;
    if (!this.#timer) this.#saveAfter(SAVE_AFTER_MS);
  }

  #saveAfter(ms: number): void {
    this.#timer = this.#o.clock.after(ms, () => {
      this.#timer = null;
      if (!this.#unsaved) return;
      this.#save();
      this.#saveAfter(SAVE_AGAIN_AFTER_MS);
    });
  }

  /** Saves what is not on disk yet; resolves when it is. */
  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    this.#live = true;
    this.#save();
    await this.#writing;
  }

  #use(found: LastGood | null): void {
    if (found === null || this.#live) return;
    this.#used = found;
    const snapshot = over(this.#o.base, found.snapshot);
    const ageS = Math.round((this.#o.clock.wallTime() - found.savedAt) / 1000);
    this.#o.log.warn(
      { ageS, revision: snapshot.revision },
      "the control plane does not answer: starting from the last good configuration",
    );
    this.#o.use(snapshot);
  }

  #save(): void {
    const snapshot = this.#unsaved;
    if (!snapshot) return;
    this.#unsaved = null;
    this.#writing = this.#o.file.save(without(this.#o.base, snapshot));
  }
}

const MAPS = ["listeners", "routes", "clusters", "endpoints", "secrets"] as const;

/** `dynamic` with the static resources over it, as the assembler has them. */
function over(base: Snapshot, dynamic: Snapshot): Snapshot {
  const merged = MAPS.map((key) => [key, new Map<string, unknown>([...dynamic[key], ...base[key]])]);
  return deepFreeze({ revision: dynamic.revision, ...Object.fromEntries(merged) } as Snapshot);
}

/** What of `snapshot` is not static. */
function without(base: Snapshot, snapshot: Snapshot): Snapshot {
  const rest = MAPS.map((key) => {
    const fixed: ReadonlyMap<string, unknown> = base[key];
    return [key, new Map<string, unknown>([...snapshot[key]].filter(([name, value]) => fixed.get(name) !== value))];
  });
  return { revision: snapshot.revision, ...Object.fromEntries(rest) } as Snapshot;
}
