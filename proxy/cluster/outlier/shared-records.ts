/** The records of a cluster's endpoints in memory that all threads of the process see. */
import type { Clock } from "../../../core/clock.ts";
import type { SharedState } from "../../../core/shared-state.ts";
import type { SharedTable } from "../../../core/shared-table.ts";
import { type HostRecord, LocalRecord } from "./host-record.ts";
import type { HostRecords } from "./host-records.ts";
import { SharedRecord } from "./shared-record.ts";

/** Where in the shared words: how often something has changed, and when an interval was last judged. */
const VERSION = 0;
const JUDGED = 1;

/** Threads' timers are not exact: an interval that is short of its end by less than this has ended. */
const TOLERANCE_MS = 5;

export class SharedRecords implements HostRecords {
  readonly #name: string;
  readonly #intervalMs: number;
  readonly #clock: Clock;
  readonly #shared: SharedState;
  readonly #table: SharedTable;
  readonly #at: number;
  #seen: number;

  private constructor(name: string, intervalMs: number, clock: Clock, shared: SharedState, at: number) {
    this.#name = name;
    this.#intervalMs = intervalMs;
    this.#clock = clock;
    this.#shared = shared;
    this.#table = shared.table("detectors");
    this.#at = at;
    // What was ejected before this thread came is yet to be taken in.
    this.#seen = this.#version - 1;
  }

  /** Those of that cluster and policy in all threads; null where there is no room. */
  static acquire(
    cluster: string,
    policy: string,
    intervalMs: number,
    clock: Clock,
    shared: SharedState,
  ): SharedRecords | null {
    const table = shared.table("detectors");
    const name = `${cluster} ${policy}`;
    const at = table.acquire(name, (fresh) => {
      table.cells[fresh + JUDGED] = Math.floor(shared.time(clock.now())) | 0;
    });
    if (at !== -1) return new SharedRecords(name, intervalMs, clock, shared, at);
    shared.tellFull("detectors", cluster);
    return null;
  }

  /** Asked for each request: a plain read, which may be late by as long as memory takes. */
  get changed(): boolean {
    return this.#table.cells[this.#at + VERSION] !== this.#seen;
  }

  seen(): void {
    this.#seen = this.#version;
  }

  publish(): void {
    Atomics.add(this.#table.cells, this.#at + VERSION, 1);
  }

  takeInterval(): boolean {
    const last = Atomics.load(this.#table.cells, this.#at + JUDGED);
    const now = Math.floor(this.#shared.time(this.#clock.now())) | 0;
    if (((now - last) | 0) < this.#intervalMs - Math.min(TOLERANCE_MS, this.#intervalMs / 20)) return false;
    return Atomics.compareExchange(this.#table.cells, this.#at + JUDGED, last, now) === last;
  }

  open(key: string): HostRecord {
    const at = this.#shared.table("hosts").acquire(`${this.#name} ${key}`);
    if (at !== -1) return new SharedRecord(this.#shared, this.#clock, at);
    this.#shared.tellFull("hosts", key);
    return new LocalRecord(this.#clock);
  }

  close(): void {
    this.#table.release(this.#at);
  }

  get #version(): number {
    return Atomics.load(this.#table.cells, this.#at + VERSION);
  }
}
