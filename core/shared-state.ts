/**
 * What the process keeps in one place for all its data-plane threads: counts that limits are held against, states of
 * breakers, and which endpoints are ejected. One thread alone has none of this and counts in plain numbers.
 *
 * The thread that starts the others makes the memory and hands it to them (`workerData`, where a clone is still the same
 * memory); each attaches to it with its own number. When a thread has ended, `releaseThread` gives back what it held,
 * before another begins under its number.
 */
import { logger } from "./log.ts";
import { SharedTable, type TableSpec, tableBytes } from "./shared-table.ts";

/** Lanes of a cache line, so that threads don't take each other's. */
const LANE = 16;

/** Clusters, if not told otherwise. */
const CLUSTERS = 16_384;

type Layout = Omit<TableSpec, "capacity"> & { readonly perCluster: number };

const TABLES = {
  /** Counts that are limited: of a cluster's connections, requests, retries; of faults. */
  counts: { perCluster: 1, sharedWords: 0, laneWords: LANE, heldWords: LANE, claim: null },
  /** Breakers: `proxy/cluster/shared-breaker.ts`. */
  breakers: { perCluster: 1, sharedWords: 14, laneWords: 4 * LANE, heldWords: 2, claim: 2 },
  /** Outlier detection of a cluster, and of one endpoint of it: `proxy/cluster/outlier/shared-records.ts`. */
  detectors: { perCluster: 1, sharedWords: 14, laneWords: LANE, heldWords: 1, claim: null },
  hosts: { perCluster: 4, sharedWords: 30, laneWords: LANE, heldWords: 2, claim: 2 },
} as const satisfies Record<string, Layout>;

export type SharedTableName = keyof typeof TABLES;

const NAMES = Object.keys(TABLES) as SharedTableName[];

/** Survives structured cloning; the buffers remain the same memory. */
export interface SharedMemory {
  readonly threads: number;
  /** How many clusters there is room for. */
  readonly clusters: number;
  /** When it was made, ms on the clock that all threads have in common. */
  readonly originMs: number;
  readonly tables: Readonly<Record<SharedTableName, SharedArrayBuffer>>;
}

/** Memory for threads numbered 0 to `threads` − 1. It is reserved now and taken as it is used. */
export function createSharedMemory(threads: number, clusters = CLUSTERS): SharedMemory {
  const tables = NAMES.map(
    (name) => [name, new SharedArrayBuffer(tableBytes(specOf(name, clusters), threads))] as const,
  );
  return {
    threads,
    clusters,
    originMs: machineTime(),
    tables: Object.fromEntries(tables) as Record<SharedTableName, SharedArrayBuffer>,
  };
}

function specOf(name: SharedTableName, clusters: number): TableSpec {
  const { perCluster, ...layout } = TABLES[name];
  return { ...layout, capacity: perCluster * clusters };
}

/** One thread's view of the memory. */
export class SharedState {
  readonly thread: number;
  readonly threads: number;
  readonly #clusters: number;
  readonly #tables: Readonly<Record<SharedTableName, SharedTable>>;
  /** What a `Clock`'s time in this thread is short of the time since the memory was made. */
  readonly #shift: number;
  readonly #toldFull = new Set<SharedTableName>();

  /** `shift`: what to add to the time of this thread's `Clock`s; absent: as for the machine's. */
  constructor(memory: SharedMemory, thread: number, shift = shiftOf(memory)) {
    this.thread = thread;
    this.threads = memory.threads;
    this.#clusters = memory.clusters;
    this.#shift = shift;
    const tables = NAMES.map(
      (name) =>
        [name, new SharedTable(memory.tables[name], specOf(name, memory.clusters), memory.threads, thread)] as const,
    );
    this.#tables = Object.fromEntries(tables) as Record<SharedTableName, SharedTable>;
  }

  /** The table to acquire records from. */
  table(name: SharedTableName): SharedTable {
    return this.#tables[name];
  }

  /**
   * A thread's `Clock.now()` as ms that mean the same in all threads: each thread's own clock begins when it does.
   */
  time(now: number): number {
    return now + this.#shift;
  }

  /** Says once per table that this thread counts by itself what had no room in it. */
  tellFull(table: SharedTableName, name: string): void {
    if (this.#toldFull.has(table)) return;
    this.#toldFull.add(table);
    logger("shared").warn(
      { table, name, capacity: specOf(table, this.#clusters).capacity },
      "no room in the memory that threads share: this and what follows is counted by each thread alone",
    );
  }

  /** Gives back all that a thread held which has ended. Call it before another thread begins under its number. */
  releaseThread(thread: number): void {
    for (const name of NAMES) this.#tables[name].releaseThread(thread);
  }
}

/** The machine's monotonic clock, ms: of all threads the same. */
function machineTime(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** How far this thread's clock is from the memory's time: the best of several looks, as a thread may be held up in one. */
function shiftOf(memory: SharedMemory): number {
  let shortest = Number.POSITIVE_INFINITY;
  let shift = 0;
  for (let i = 0; i < 5; i++) {
    const before = performance.now();
    const machine = machineTime();
    const after = performance.now();
    if (after - before >= shortest) continue;
    shortest = after - before;
    shift = machine - (before + after) / 2 - memory.originMs;
  }
  return shift;
}
