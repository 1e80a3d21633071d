/** The place of one worker among the others: who is in it now, and what those before have left. */
import { type BackoffPolicy, backoffDelay } from "../../core/backoff.ts";
import type { Clock, Timer } from "../../core/clock.ts";
import { logger } from "../../core/log.ts";
import type { Random } from "../../core/random.ts";
import type { WorkerView } from "../../telemetry/worker-metrics.ts";
import { countersOf, mergeReports } from "./merge-reports.ts";
import type { WorkerReport } from "./messages.ts";
import type { DataPlaneWorker, WorkerEvents } from "./worker.ts";

export interface SlotOptions {
  readonly index: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Starts a worker; `left`: sockets that the one before it has left listening. */
  readonly start: (left: ReadonlyMap<string, number>, events: WorkerEvents) => DataPlaneWorker;
  /** Clusters of the worker became ready. */
  readonly onReady: () => void;
  /** It asks for a listener by a name that is not its own. */
  readonly onAsk: (name: string) => void;
  /** A worker's thread is gone, and the next has not begun. */
  readonly onEnded: () => void;
  /** Closes a descriptor that nobody wants any more. */
  readonly closeSocket: (fd: number) => void;
}

const log = logger("main");

/** A worker that has lived this long is replaced at once when it ends. */
const STEADY_MS = 60_000;
const BACKOFF: BackoffPolicy = { baseMs: 1000, maxMs: 30_000 };
/** A worker that is busy for longer is shown with what it said before; if it has said nothing yet, it gets more time. */
const PATIENCE_MS = 1000;
const FIRST_PATIENCE_MS = 5000;
const ACCEPTED = "outrigger_downstream_connections_opened_total";

export class WorkerSlot {
  readonly #options: SlotOptions;
  #worker: DataPlaneWorker | null = null;
  #begunAt = 0;
  /** Ends one after another, none of whose workers had lived long. */
  #quickEnds = 0;
  #restart: Timer | null = null;
  #stopped = false;
  #restarts = 0;
  #answered = false;
  /** What the worker last told of itself. */
  report: WorkerReport | null = null;
  /** What those before it had counted. */
  ended: WorkerReport | null = null;

  constructor(options: SlotOptions) {
    this.#options = options;
    this.#begin(new Map());
  }

  /** null between two of them. */
  get worker(): DataPlaneWorker | null {
    return this.#worker;
  }

  /** Asks the worker for its counts; where it does not answer, those from before stay. */
  async refresh(): Promise<void> {
    const worker = this.#worker;
    const patienceMs = this.report === null ? FIRST_PATIENCE_MS : PATIENCE_MS;
    const report = (await worker?.collect(patienceMs)) ?? null;
    if (worker !== this.#worker) return;
    this.#answered = report !== null;
    this.report = report ?? this.report;
  }

  view(): WorkerView {
    const { report } = this;
    const connections = [...(report?.connections.values() ?? [])];
    const accepted = report?.families.find(({ name }) => name === ACCEPTED)?.samples ?? [];
    return {
      worker: String(this.#options.index),
      up: this.#worker !== null && this.#answered,
      restarts: this.#restarts,
      cpuSeconds: report?.cpuSeconds ?? 0,
      connectionsActive: connections.reduce((sum, open) => sum + open, 0),
      connectionsAccepted: accepted.reduce((sum, { value }) => sum + value, 0),
    };
  }

  stopRestarting(): void {
    this.#stopped = true;
    this.#restart?.cancel();
  }

  #begin(sockets: ReadonlyMap<string, number>): void {
    const { clock, start, onReady, onAsk } = this.#options;
    this.#begunAt = clock.now();
    const worker: DataPlaneWorker = start(sockets, { onReady, onAsk, onExit: (error) => this.#onExit(worker, error) });
    this.#worker = worker;
  }

  #onExit(worker: DataPlaneWorker, error: Error | null): void {
    const { index, clock, random, onEnded } = this.#options;
    this.#worker = null;
    this.#answered = false;
    if (this.report !== null) {
      const counted = countersOf(this.report);
      this.ended = this.ended === null ? counted : mergeReports([this.ended, counted]);
      this.report = null;
    }
    const sockets = worker.takeSockets();
    onEnded();
    if (this.#stopped) {
      this.#closeAll(sockets);
      return;
    }
    this.#quickEnds = clock.now() - this.#begunAt < STEADY_MS ? this.#quickEnds + 1 : 0;
    const delayMs = this.#quickEnds < 2 ? 0 : backoffDelay(BACKOFF, this.#quickEnds - 2, random);
    this.#restarts++;
    log.error(
      { worker: index, error: error?.stack ?? "", delayMs: Math.round(delayMs) },
      `a worker has ended: ${error?.message ?? "it was not asked to"}; another takes its place`,
    );
    if (delayMs === 0) {
      // Connections that wait in its sockets are the next one's.
      this.#begin(sockets);
      return;
    }
    // For long nobody would take them: with the sockets gone new ones go to the other workers.
    this.#closeAll(sockets);
    this.#restart = clock.after(delayMs, () => this.#begin(new Map()));
  }

  #closeAll(sockets: ReadonlyMap<string, number>): void {
    for (const fd of sockets.values()) this.#options.closeSocket(fd);
  }
}
