/** One worker as the main thread sees it: its thread, what it was sent, and what it left behind when it ended. */
import { Worker } from "node:worker_threads";
import type { WorkloadCertificate } from "../../certs/workload-certificate.ts";
import type { Clock } from "../../core/clock.ts";
import type { Problem } from "../../core/errors.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../../model/snapshot.ts";
import type { ClusterView } from "../../telemetry/cluster-view.ts";
import { workerEntry } from "./entry.ts";
import type { BoundAddress, FromWorker, ToWorker, WorkerReport, WorkerStart } from "./messages.ts";
import type { PlaceBook } from "./places.ts";
import { snapshotSlices } from "./snapshot-slices.ts";

export interface WorkerEvents {
  /** Clusters became ready. */
  onReady(): void;
  /** It asks for a listener by a name that is not its own. */
  onAsk(name: string): void;
  /** The thread is gone; `error`: what killed it, null where it was asked to go. */
  onExit(error: Error | null): void;
}

/** A report that is on its way. */
interface Collecting {
  readonly id: number;
  readonly clusters: ClusterView[];
  readonly done: (report: WorkerReport | null) => void;
}

export class DataPlaneWorker {
  readonly #thread: Worker;
  readonly #clock: Clock;
  readonly #places: PlaceBook;
  /** Listening sockets' second descriptors, by the key of their address: they outlive the thread. */
  readonly #sockets: Map<string, number>;
  /** What the thread has, and what it is to have. */
  #sent: Snapshot = EMPTY_SNAPSHOT;
  #wanted: Snapshot = EMPTY_SNAPSHOT;
  #placesSent = -1;
  #syncing: Promise<readonly Problem[]> | null = null;
  #answered: (message: FromWorker | null) => void = () => undefined;
  #collecting: Collecting | null = null;
  #lastId = 0;
  #onStarted: () => void = () => undefined;
  /** Resolves when it runs, or has ended. */
  readonly started = new Promise<void>((resolve) => {
    this.#onStarted = resolve;
  });
  #drained: () => void = () => undefined;
  #ended: () => void = () => undefined;
  #error: Error | null = null;
  #alive = true;
  unready: readonly string[] = [];
  bound: ReadonlyMap<string, BoundAddress> = new Map();

  constructor(start: Omit<WorkerStart, "inherited">, left: ReadonlyMap<string, number>, deps: WorkerDeps) {
    this.#clock = deps.clock;
    this.#places = deps.places;
    this.#sockets = new Map(left);
    const workerData: WorkerStart = { ...start, inherited: [...left] };
    this.#thread = new Worker(workerEntry(), { workerData, name: `worker-${start.index}` });
    this.#thread.on("message", (message: FromWorker) => this.#take(message, deps.events));
    this.#thread.on("error", (error: Error) => {
      this.#error = error;
    });
    this.#thread.on("exit", (code) => {
      this.#alive = false;
      this.#onStarted();
      this.#answered(null);
      this.#collecting?.done(null);
      this.#drained();
      this.#ended();
      const error = this.#error ?? (code === 0 ? null : new Error(`exit status ${code}`));
      deps.events.onExit(error);
    });
  }

  /** Of an ended thread: what it listened on, with connections that wait for somebody. They are the caller's now. */
  takeSockets(): ReadonlyMap<string, number> {
    const left = new Map(this.#sockets);
    this.#sockets.clear();
    return left;
  }

  /**
   * Resolves when the thread has put the snapshot (or a newer one that came meanwhile) in force, with what it could not
   * do, or when it has ended.
   */
  apply(snapshot: Snapshot): Promise<readonly Problem[]> {
    this.#wanted = snapshot;
    this.#syncing ??= Promise.resolve().then(() => this.#sync());
    return this.#syncing;
  }

  async #sync(): Promise<readonly Problem[]> {
    let problems: readonly Problem[] = [];
    try {
      while (this.#alive && this.#sent !== this.#wanted) problems = await this.#send(this.#wanted);
      return problems;
    } finally {
      this.#syncing = null;
    }
  }

  /** The next slice goes out when the one before has been taken: in between the thread sees to its requests. */
  async #send(target: Snapshot): Promise<readonly Problem[]> {
    let problems: readonly Problem[] = [];
    for (const slice of snapshotSlices(this.#sent, target)) {
      const { version, entries } = this.#places;
      const fresh = slice.end !== null && version !== this.#placesSent;
      if (fresh) this.#placesSent = version;
      const answer = await this.#ask({ kind: "slice", slice, places: fresh ? entries : null });
      if (answer === null) return [];
      if (answer.kind !== "applied") continue;
      problems = answer.problems;
      this.bound = answer.bound;
      this.unready = answer.unready;
    }
    this.#sent = target;
    return problems;
  }

  /** Everything that it counts; null where it does not answer within `patienceMs`. */
  collect(patienceMs: number): Promise<WorkerReport | null> {
    if (!this.#alive) return Promise.resolve(null);
    return new Promise((resolve) => {
      const id = ++this.#lastId;
      const timer = this.#clock.after(patienceMs, () => done(null));
      const done = (report: WorkerReport | null): void => {
        timer.cancel();
        if (this.#collecting?.id === id) this.#collecting = null;
        resolve(report);
      };
      this.#collecting = { id, clusters: [], done };
      this.send({ kind: "collect", id });
    });
  }

  setCertificate(certificate: WorkloadCertificate): void {
    this.send({ kind: "certificate", certificate });
  }

  /** Resolves when it has drained or ended, or has not by `patienceMs`. */
  drain(deadlineMs: number, patienceMs: number): Promise<void> {
    if (!this.#alive) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#clock.after(patienceMs, resolve);
      this.#drained = () => {
        timer.cancel();
        resolve();
      };
      this.send({ kind: "drain", deadlineMs });
    });
  }

  /** Resolves when the thread is gone, by itself or after `patienceMs` by force. */
  async close(patienceMs: number): Promise<void> {
    if (!this.#alive) return;
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(patienceMs, () => void this.terminate());
      this.#ended = () => {
        timer.cancel();
        resolve();
      };
      this.send({ kind: "close" });
    });
  }

  /** Ends the thread at once, whatever it is doing. */
  async terminate(): Promise<void> {
    await this.#thread.terminate();
  }

  send(message: ToWorker): void {
    if (this.#alive) this.#thread.postMessage(message);
  }

  #ask(message: ToWorker): Promise<FromWorker | null> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      if (this.#alive) this.send(message);
      else resolve(null);
    });
  }

  #take(message: FromWorker, events: WorkerEvents): void {
    switch (message.kind) {
      case "started":
        this.#onStarted();
        break;
      case "taken":
      case "applied":
        this.#answered(message);
        break;
      case "unready":
        this.unready = message.names;
        events.onReady();
        break;
      case "ask":
        events.onAsk(message.name);
        break;
      case "report_clusters":
        if (this.#collecting?.id === message.id) this.#collecting.clusters.push(...message.clusters);
        break;
      case "report":
        if (this.#collecting?.id !== message.id) break;
        this.#collecting.done({ ...message.report, clusters: this.#collecting.clusters });
        break;
      case "drained":
        this.#drained();
        break;
      case "adopting":
      case "closing":
        this.#sockets.delete(message.key);
        break;
      case "listening":
        this.#sockets.set(message.key, message.fd);
    }
  }
}

export interface WorkerDeps {
  readonly clock: Clock;
  readonly places: PlaceBook;
  readonly events: WorkerEvents;
}
