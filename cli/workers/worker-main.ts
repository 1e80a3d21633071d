/** What a worker runs: a data plane that does as the main thread says. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { WorkloadCertificate } from "../../certs/workload-certificate.ts";
import { systemClock } from "../../core/clock.ts";
import { messageOf, type Problem } from "../../core/errors.ts";
import { setLogLevel } from "../../core/log.ts";
import { SharedState } from "../../core/shared-state.ts";
import { WatchCell } from "../../core/watch.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { loadSocketOptions } from "../../proxy/listener/socket-options.ts";
import type { ClusterView } from "../../telemetry/cluster-view.ts";
import { MetricsRegistry } from "../../telemetry/metrics.ts";
import { registerThreadMetrics } from "../../telemetry/process-metrics.ts";
import { registerProtocolMetrics } from "../../telemetry/protocol-metrics.ts";
import { LocalDataPlane } from "../local-data-plane.ts";
import { loadDescriptors } from "./descriptors.ts";
import { isWorkerStart } from "./entry.ts";
import type { BoundAddress, FromWorker, ToWorker, WorkerStart } from "./messages.ts";
import { WorkerPlaces } from "./places.ts";
import { SnapshotReceiver } from "./snapshot-slices.ts";

/** How long one that joins others waits for its clusters' endpoints before it takes connections all the same, ms. */
const JOIN_PATIENCE_MS = 5000;

/** A millisecond or two of work. */
const CLUSTERS_AT_ONCE = 64;

class DataPlaneWorker {
  readonly #port: MessagePort;
  readonly #registry = new MetricsRegistry(systemClock);
  readonly #certificate = new WatchCell<WorkloadCertificate>();
  readonly #absent = new WatchCell<ReadonlySet<string>>();
  readonly #local: LocalDataPlane;
  readonly #places: WorkerPlaces;
  readonly #snapshots = new SnapshotReceiver();
  #joining: boolean;
  #onReady: () => void = () => undefined;

  constructor(start: WorkerStart, places: WorkerPlaces, port: MessagePort) {
    this.#port = port;
    this.#places = places;
    this.#joining = start.joining;
    if (start.certificate !== null) this.#certificate.set(start.certificate);
    this.#local = new LocalDataPlane({
      ...start.settings,
      clock: systemClock,
      registry: this.#registry,
      identity: start.hasIdentity ? this.#certificate : null,
      names: { ask: (name) => this.#tell({ kind: "ask", name }), absent: this.#absent },
      among: { shared: new SharedState(start.memory, start.index), places, ticketSecret: start.ticketSecret },
    });
    registerThreadMetrics(this.#registry, String(start.index));
    registerProtocolMetrics(this.#registry, () => this.#local.protocols());
    this.#local.onReady(() => {
      this.#tell({ kind: "unready", names: this.#local.unready() });
      this.#onReady();
    });
  }

  take(message: ToWorker): void {
    switch (message.kind) {
      case "slice":
        if (message.places !== null) this.#places.update(message.places);
        this.#takeSlice(message.slice);
        return;
      case "certificate":
        this.#certificate.set(message.certificate);
        return;
      case "absent":
        this.#absent.set(message.names);
        return;
      case "collect":
        void this.#report(message.id);
        return;
      case "log_level":
        setLogLevel(message.level, message.component);
        return;
      case "reopen_logs":
        this.#local.reopenLogs();
        return;
      case "settle":
        this.#local.settle();
        return;
      case "drain":
        void this.#local.drain(message.deadlineMs).then(() => this.#tell({ kind: "drained" }));
        return;
      case "close":
        void this.#local.close().finally(() => process.exit(0));
    }
  }

  #tell(message: FromWorker): void {
    this.#port.postMessage(message);
  }

  #takeSlice(slice: Parameters<SnapshotReceiver["take"]>[0]): void {
    const snapshot = this.#snapshots.take(slice);
    if (snapshot === null) {
      this.#tell({ kind: "taken" });
      return;
    }
    void this.#apply(snapshot)
      .catch((error: unknown): Problem[] => [{ message: messageOf(error) }])
      .then((problems) => {
        this.#tell({ kind: "applied", problems, bound: this.#bound(), unready: this.#local.unready() });
      });
  }

  async #apply(snapshot: Snapshot): Promise<readonly Problem[]> {
    if (this.#joining) {
      this.#joining = false;
      // Connections wait in the sockets that were left to this worker; others are served by its peers meanwhile.
      await this.#local.apply({ ...snapshot, listeners: new Map() });
      await this.#clustersReady();
    }
    const problems = await this.#local.apply(snapshot);
    this.#places.closeInherited();
    return problems;
  }

  #clustersReady(): Promise<void> {
    return new Promise((resolve) => {
      const timer = systemClock.after(JOIN_PATIENCE_MS, resolve);
      this.#onReady = () => {
        if (this.#local.unready().length > 0) return;
        this.#onReady = () => undefined;
        timer.cancel();
        resolve();
      };
      this.#onReady();
    });
  }

  #bound(): Map<string, BoundAddress> {
    const bound = new Map<string, BoundAddress>();
    for (const { config, boundAddress } of this.#local.listeners)
      if (boundAddress !== null) bound.set(config.name, boundAddress);
    return bound;
  }

  /** In pieces with turns of the event loop in between: the clusters may be many. */
  async #report(id: number): Promise<void> {
    let clusters: ClusterView[] = [];
    for (const cluster of this.#local.clusters()) {
      clusters.push(cluster);
      if (clusters.length < CLUSTERS_AT_ONCE) continue;
      this.#tell({ kind: "report_clusters", id, clusters });
      clusters = [];
      await nextTurn();
    }
    this.#tell({ kind: "report_clusters", id, clusters });
    const { user, system } = process.threadCpuUsage();
    const listeners = [...this.#local.listeners];
    const report = {
      families: this.#registry.collect(),
      stats: [...this.#local.stats()],
      connections: new Map(listeners.map(({ config, connections }) => [config.name, connections])),
      cpuSeconds: (user + system) / 1e6,
    };
    this.#tell({ kind: "report", id, report });
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Runs this thread as a worker of the data plane. */
async function runWorker(start: WorkerStart, port: MessagePort): Promise<void> {
  for (const [level, component] of start.logLevels) setLogLevel(level, component);
  const tell = (message: FromWorker): void => port.postMessage(message);
  // Both of the C library, which is loaded once. With socket options, who waits at the end is accepted.
  const [descriptors] = await Promise.all([loadDescriptors(), loadSocketOptions()]);
  const places = new WorkerPlaces(start.index, start.inherited, descriptors, tell);
  const worker = new DataPlaneWorker(start, places, port);
  // Messages that came before wait in the port, and it keeps the thread alive.
  port.on("message", (message: ToWorker) => worker.take(message));
  tell({ kind: "started" });
}

if (parentPort !== null && isWorkerStart(workerData)) void runWorker(workerData, parentPort);
