/**
 * What outlier detection remembers of one endpoint where several threads call it: a run of failures is one of all
 * threads, rates are the sum over them, and an endpoint that one ejects is out in all.
 */
import type { Clock } from "../../../core/clock.ts";
import type { SharedState } from "../../../core/shared-state.ts";
import type { SharedTable } from "../../../core/shared-table.ts";
import { SharedCircuit, stateOf } from "../shared-circuit.ts";
import type { Ejection, HostRecord, Rates, Run } from "./host-record.ts";
import type { EjectionKind } from "./outlier-stats.ts";
import type { ReadmissionListener } from "./readmission.ts";
import { SharedReadmission } from "./shared-readmission.ts";

/** Where in the shared words, after those of a circuit. */
const FOR_MS = 3;
const BACKOFF = 4;
const EJECTIONS = 5;
const READMITTED_AT = 6;
const KIND = 7;
const RUN_5XX = 8;
const RUN_GATEWAY_FAILURE = 9;
const RUN_LOCAL_ORIGIN_FAILURE = 10;
const EJECTED_AT = 11;
/** What the sums over the lanes were when the last interval ended. */
const EXTERNAL_BASE = 12;
const LOCAL_BASE = 14;

/** Where in a lane: calls and successes since ever. */
const EXTERNAL = 2;
const LOCAL = 4;

const KINDS: readonly EjectionKind[] = [
  "consecutive_5xx",
  "consecutive_gateway_failure",
  "consecutive_local_origin_failure",
  "success_rate",
  "local_origin_success_rate",
  "failure_percentage",
  "local_origin_failure_percentage",
];

class SharedRun implements Run {
  readonly #cells: Int32Array;
  readonly #at: number;

  constructor(cells: Int32Array, at: number) {
    this.#cells = cells;
    this.#at = at;
  }

  add(): number {
    return Atomics.add(this.#cells, this.#at, 1) + 1;
  }

  /** Hardly ever has to write, so that threads don't take a line of memory from one another for each success. */
  reset(): void {
    if (this.#cells[this.#at] !== 0) Atomics.store(this.#cells, this.#at, 0);
  }
}

class SharedRates implements Rates {
  lastTotal = 0;
  lastSuccess = 0;
  readonly #cells: Int32Array;
  readonly #own: number;
  readonly #lanes: readonly number[];
  readonly #base: number;

  constructor(table: SharedTable, at: number, threads: number, word: number, base: number) {
    this.#cells = table.cells;
    this.#own = table.lane(at) + word;
    this.#lanes = Array.from({ length: threads }, (_, thread) => table.lane(at, thread) + word);
    this.#base = at + base;
  }

  count(success: boolean): void {
    const cells = this.#cells;
    const at = this.#own;
    cells[at] = (cells[at] as number) + 1;
    if (success) cells[at + 1] = (cells[at + 1] as number) + 1;
  }

  turn(): void {
    this.lastTotal = this.#since(0);
    this.lastSuccess = this.#since(1);
  }

  /** The growth of a sum since this was last asked, in whatever thread. */
  #since(word: 0 | 1): number {
    let sum = 0;
    for (const lane of this.#lanes) sum = (sum + Atomics.load(this.#cells, lane + word)) | 0;
    return (sum - Atomics.exchange(this.#cells, this.#base + word, sum)) | 0;
  }
}

export class SharedRecord implements HostRecord {
  readonly run5xx: Run;
  readonly runGatewayFailure: Run;
  readonly runLocalOriginFailure: Run;
  readonly external: Rates;
  readonly local: Rates;
  readmission: SharedReadmission | null = null;
  readonly #clock: Clock;
  readonly #shared: SharedState;
  readonly #table: SharedTable;
  readonly #at: number;
  readonly #circuit: SharedCircuit;
  /** What this thread can tell of an ejection, and of the how manieth. */
  #reason = "";
  #reasonOf = 0;
  #closed = false;

  /** `at`: a record of the table of hosts. */
  constructor(shared: SharedState, clock: Clock, at: number) {
    const table = shared.table("hosts");
    this.#clock = clock;
    this.#shared = shared;
    this.#table = table;
    this.#at = at;
    this.#circuit = new SharedCircuit(shared, table, at);
    this.run5xx = new SharedRun(table.cells, at + RUN_5XX);
    this.runGatewayFailure = new SharedRun(table.cells, at + RUN_GATEWAY_FAILURE);
    this.runLocalOriginFailure = new SharedRun(table.cells, at + RUN_LOCAL_ORIGIN_FAILURE);
    this.external = new SharedRates(table, at, shared.threads, EXTERNAL, EXTERNAL_BASE);
    this.local = new SharedRates(table, at, shared.threads, LOCAL, LOCAL_BASE);
  }

  get ejected(): boolean {
    return !this.#closed && !this.#circuit.isClosed;
  }

  get ejectedAt(): number {
    return this.#timeOf(this.#read(EJECTED_AT));
  }

  get ejectedForMs(): number {
    return this.#read(FOR_MS);
  }

  get ejections(): number {
    return this.#read(EJECTIONS);
  }

  get backoff(): number {
    return this.#read(BACKOFF);
  }

  get readmittedAt(): number | null {
    const at = this.#read(READMITTED_AT);
    return at === 0 ? null : this.#timeOf(at);
  }

  get kind(): EjectionKind {
    return KINDS[this.#read(KIND)] ?? "consecutive_5xx";
  }

  get reason(): string {
    return this.ejections === this.#reasonOf ? this.#reason : "";
  }

  eject({ kind, reason, forMs, backoff }: Ejection): boolean {
    const { word } = this.#circuit;
    if (stateOf(word) !== "closed") return false;
    // Whoever finds it ejected finds since when and for how long.
    this.#write(EJECTED_AT, this.#stamp(this.#clock.now()));
    this.#write(FOR_MS, forMs);
    if (this.#circuit.move(word, "open", this.#clock.now()) === null) return false;
    this.#write(BACKOFF, backoff);
    this.#write(KIND, KINDS.indexOf(kind));
    this.#reason = reason;
    this.#reasonOf = Atomics.add(this.#table.cells, this.#at + EJECTIONS, 1) + 1;
    return true;
  }

  ejectAgain({ forMs, backoff }: Omit<Ejection, "kind" | "reason">): boolean {
    const { word } = this.#circuit;
    if (stateOf(word) !== "half_open") return false;
    this.#write(EJECTED_AT, this.#stamp(this.#clock.now()));
    this.#write(FOR_MS, forMs);
    if (this.#circuit.move(word, "open", this.#clock.now()) === null) return false;
    this.#write(BACKOFF, backoff);
    return true;
  }

  undo(): void {
    this.#circuit.move(this.#circuit.word, "closed", this.#clock.now());
  }

  readmit(): boolean {
    const { word } = this.#circuit;
    const now = this.#clock.now();
    if (stateOf(word) === "closed" || this.#circuit.move(word, "closed", now) === null) return false;
    this.#write(READMITTED_AT, this.#stamp(now) || 1);
    this.#leaveProbe();
    return true;
  }

  lowerBackoff(): void {
    Atomics.sub(this.#table.cells, this.#at + BACKOFF, 1);
  }

  probe(onChange: ReadmissionListener): void {
    this.#leaveProbe();
    this.readmission = new SharedReadmission(this.#circuit, this.ejectedForMs, this.#clock, onChange);
    this.readmission.arm();
  }

  follow(onChange: ReadmissionListener | null): void {
    if (!this.ejected) this.#leaveProbe();
    else if (onChange !== null && this.readmission?.openForMs !== this.ejectedForMs) {
      this.#leaveProbe();
      this.readmission = new SharedReadmission(this.#circuit, this.ejectedForMs, this.#clock, onChange);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leaveProbe();
    this.#table.release(this.#at);
  }

  #leaveProbe(): void {
    this.readmission?.close();
    this.readmission = null;
  }

  #read(word: number): number {
    return Atomics.load(this.#table.cells, this.#at + word);
  }

  #write(word: number, value: number): void {
    Atomics.store(this.#table.cells, this.#at + word, value);
  }

  /** A time in a shared word as one of this thread's clock; never later than now. */
  #timeOf(stamp: number): number {
    const now = this.#clock.now();
    return now - Math.max(0, (this.#stamp(now) - stamp) | 0);
  }

  #stamp(now: number): number {
    return Math.floor(this.#shared.time(now)) | 0;
  }
}
