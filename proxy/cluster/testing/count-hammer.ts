/** A thread that takes and gives back places of a limit, and makes and frees records, as fast as it can. */
import { parentPort, workerData } from "node:worker_threads";
import { type SharedMemory, SharedState } from "../../../core/shared-state.ts";
import { SharedCounts } from "../count.ts";

export interface HammerReport {
  /** The most that were inside at once, by a count that is kept apart. */
  readonly most: number;
  readonly granted: number;
}

const { memory, thread, inside, limit, rounds } = workerData as {
  memory: SharedMemory;
  thread: number;
  inside: SharedArrayBuffer;
  limit: number;
  rounds: number;
};
const state = new SharedState(memory, thread);
const witness = new Int32Array(inside);
const kept = SharedCounts.acquire(state, "kept", 1);
let most = 0;
let granted = 0;
for (let round = 0; round < rounds; round++) {
  const count = kept?.counts[0];
  if (count?.tryAdd(limit)) {
    granted++;
    most = Math.max(most, Atomics.add(witness, 0, 1) + 1);
    Atomics.sub(witness, 0, 1);
    count.remove();
  }
  SharedCounts.acquire(state, `name ${round % 5}`, 1)?.close();
}
parentPort?.postMessage({ most, granted } satisfies HammerReport);
