/** The records of a cluster's endpoints, and whose turn it is to judge them. */
import type { Clock } from "../../../core/clock.ts";
import { type HostRecord, LocalRecord } from "./host-record.ts";

export interface HostRecords {
  /** Whether another thread has ejected or readmitted an endpoint since `seen` was last called. */
  readonly changed: boolean;
  /** What others have changed so far is known. */
  seen(): void;
  /** Tells the others that something has changed here. */
  publish(): void;
  /** Whether an interval has ended that nobody else has judged. */
  takeInterval(): boolean;
  /** The record of the endpoint of that key. */
  open(key: string): HostRecord;
  close(): void;
}

/** Those of this thread alone. */
export class LocalRecords implements HostRecords {
  readonly changed = false;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  seen(): void {}

  publish(): void {}

  takeInterval(): boolean {
    return true;
  }

  open(): HostRecord {
    return new LocalRecord(this.#clock);
  }

  close(): void {}
}
