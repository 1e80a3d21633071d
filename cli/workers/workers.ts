/**
 * The data plane in several threads, as the process sees it: one configuration for all of them, one sum of what they
 * count, and a new thread for each that ends by itself.
 */
import { randomBytes } from "node:crypto";
import { closeSync } from "node:fs";
import type { Clock } from "../../core/clock.ts";
import type { Problem } from "../../core/errors.ts";
import { defaultLogLevel, type LogLevel, logger, logLevels, setLogLevel } from "../../core/log.ts";
import { systemRandom } from "../../core/random.ts";
import { createSharedMemory, type SharedMemory, SharedState } from "../../core/shared-state.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../../model/snapshot.ts";
import type { NameService } from "../../proxy/on-demand.ts";
import type { FamilySamples } from "../../telemetry/metrics.ts";
import type { WorkerView } from "../../telemetry/worker-metrics.ts";
import type { DataPlaneHost, DataPlaneSettings, HostedListener, IdentityWatch } from "../data-plane-host.ts";
import { mergeWithEnded } from "./merge-reports.ts";
import type { BoundAddress, ToWorker, WorkerReport } from "./messages.ts";
import { PlaceBook } from "./places.ts";
import { DataPlaneWorker, type WorkerEvents } from "./worker.ts";
import { WorkerSlot } from "./worker-slot.ts";

export interface WorkersOptions {
  readonly clock: Clock;
  readonly count: number;
  readonly settings: DataPlaneSettings;
  readonly identity: IdentityWatch | null;
}

/** What a drain may take longer than its deadline, and the end of a worker at all. */
const END_PATIENCE_MS = 2000;

export class Workers implements DataPlaneHost {
  readonly slots: readonly WorkerSlot[];
  readonly #options: WorkersOptions;
  readonly #places = new PlaceBook();
  readonly #memory: SharedMemory;
  readonly #shared: SharedState;
  readonly #ticketSecret = randomBytes(32);
  readonly #stopIdentity: () => void;
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  /** Until then no worker is to know of the snapshot: places come first. */
  #placing: Promise<void> = Promise.resolve();
  #applied = false;
  #merged: WorkerReport | null = null;
  #refreshing: Promise<void> | null = null;
  #onReady: () => void = () => undefined;
  #names: NameService | null = null;
  #stopNames: () => void = () => undefined;
  #ending = false;

  constructor(options: WorkersOptions) {
    this.#options = options;
    // Components whose loggers are the workers' own: `/logging` knows their names.
    for (const component of ["listener", "cluster", "shared"]) logger(component);
    // The last lane is this thread's, which holds nothing but gives back what ended threads held.
    this.#memory = createSharedMemory(options.count + 1);
    this.#shared = new SharedState(this.#memory, options.count);
    this.slots = Array.from({ length: options.count }, (_, index) => this.#slot(index));
    this.#stopIdentity =
      options.identity?.subscribe((certificate) => this.#tell({ kind: "certificate", certificate })) ??
      (() => undefined);
  }

  #slot(index: number): WorkerSlot {
    return new WorkerSlot({
      index,
      clock: this.#options.clock,
      random: systemRandom,
      start: (left, events) => this.#start(index, left, events),
      onReady: () => this.#onReady(),
      onAsk: (name) => this.#names?.ask(name),
      onEnded: () => this.#shared.releaseThread(index),
      closeSocket: closeSync,
    });
  }

  #start(index: number, left: ReadonlyMap<string, number>, events: WorkerEvents): DataPlaneWorker {
    const { clock, settings, identity } = this.#options;
    const levels = Object.entries(logLevels()).map(([component, level]) => [level, component] as const);
    const start = {
      role: "outrigger-data-plane",
      index,
      settings,
      memory: this.#memory,
      ticketSecret: this.#ticketSecret,
      logLevels: [[defaultLogLevel()], ...levels],
      hasIdentity: identity !== null,
      certificate: identity?.get() ?? null,
      joining: this.#applied,
    } as const;
    const worker = new DataPlaneWorker(start, left, { clock, places: this.#places, events });
    const absent = this.#names?.absent.get();
    if (absent) worker.send({ kind: "absent", names: absent });
    if (this.#applied) void worker.apply(this.#snapshot);
    return worker;
  }

  /** Resolves when all of them run, but for those that could not. */
  async started(): Promise<void> {
    await Promise.all(this.slots.map(({ worker }) => worker?.started));
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  async apply(snapshot: Snapshot): Promise<readonly Problem[]> {
    this.#placing = this.#placing.then(() => this.#places.add(snapshot));
    await this.#placing;
    this.#snapshot = snapshot;
    this.#applied = true;
    const results = await Promise.all(this.slots.map(({ worker }) => worker?.apply(snapshot) ?? []));
    // What is not in force in all of them alike is one problem.
    const problems = new Map(results.flat().map((problem) => [`${problem.resource} ${problem.message}`, problem]));
    if (this.#snapshot === snapshot) this.#places.prune(snapshot);
    return [...problems.values()];
  }

  unready(): readonly string[] {
    return [...new Set(this.slots.flatMap(({ worker }) => worker?.unready ?? []))];
  }

  onReady(callback: () => void): void {
    this.#onReady = callback;
  }

  /** Whom workers ask from now on for what is called and not known. */
  askThrough(names: NameService): void {
    this.#names = names;
    this.#stopNames = names.absent.subscribe((absent) => this.#tell({ kind: "absent", names: absent }));
  }

  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh();
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    try {
      await Promise.all(this.slots.map((slot) => slot.refresh()));
      const live = this.slots.flatMap(({ report }) => (report === null ? [] : [report]));
      const ended = this.slots.flatMap((slot) => (slot.ended === null ? [] : [slot.ended]));
      this.#merged = mergeWithEnded(live, ended);
    } finally {
      this.#refreshing = null;
    }
  }

  readonly clusters = (): WorkerReport["clusters"] => this.#merged?.clusters ?? [];

  get listeners(): Iterable<HostedListener> {
    const bound = new Map<string, BoundAddress>(this.slots.flatMap(({ worker }) => [...(worker?.bound ?? [])]));
    return [...this.#snapshot.listeners.values()]
      .filter((config) => bound.has(config.name) || !config.bindToPort)
      .map((config) => ({
        config,
        boundAddress: bound.get(config.name) ?? null,
        connections: this.#merged?.connections.get(config.name) ?? 0,
      }));
  }

  stats(): WorkerReport["stats"] {
    return this.#merged?.stats ?? [];
  }

  families(): readonly FamilySamples[] {
    return this.#merged?.families ?? [];
  }

  /** Each worker by itself. */
  readonly views = (): readonly WorkerView[] => this.slots.map((slot) => slot.view());

  setLogLevel(level: LogLevel, component?: string): void {
    setLogLevel(level, component);
    this.#tell({ kind: "log_level", level, component });
  }

  reopenLogs(): void {
    this.#tell({ kind: "reopen_logs" });
  }

  settle(): void {
    this.#tell({ kind: "settle" });
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#end();
    const patience = deadlineMs + END_PATIENCE_MS;
    await Promise.all(this.slots.map(({ worker }) => worker?.drain(deadlineMs, patience)));
  }

  async close(): Promise<void> {
    this.#end();
    await Promise.all(this.slots.map(({ worker }) => worker?.close(END_PATIENCE_MS)));
  }

  /** From now on a worker that ends is not started again. */
  #end(): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#stopIdentity();
    this.#stopNames();
    this.#places.close();
    for (const slot of this.slots) slot.stopRestarting();
  }

  #tell(message: ToWorker): void {
    for (const { worker } of this.slots) worker?.send(message);
  }
}
