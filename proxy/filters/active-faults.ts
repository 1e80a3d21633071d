/** How many faults are in effect under one `stat_prefix` (`max_active_faults`): in this thread, or in the process. */
import type { SharedState } from "../../core/shared-state.ts";
import { type Count, LocalCount, SharedCounts } from "../cluster/count.ts";

export class ActiveFaults {
  readonly count: Count;
  readonly #shared: SharedCounts | null;

  /** `shared` null: this thread is the only one. */
  constructor(statPrefix: string, shared: SharedState | null) {
    this.#shared = shared === null ? null : SharedCounts.acquire(shared, `faults ${statPrefix}`, 1);
    this.count = this.#shared?.counts[0] ?? new LocalCount();
  }

  /** Nothing new is to be counted. */
  close(): void {
    this.#shared?.close();
  }
}
