/** Each worker in the metrics: whether the load is spread over them, and whether one of them is in trouble. */
import type { MetricsRegistry } from "./metrics.ts";

export interface WorkerView {
  /** "0", "1" … */
  readonly worker: string;
  /** Whether it runs and answered when it was last asked. */
  readonly up: boolean;
  /** How often it has been started again. */
  readonly restarts: number;
  /** Since it was last started. */
  readonly cpuSeconds: number;
  readonly connectionsActive: number;
  readonly connectionsAccepted: number;
}

interface Figure {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly read: (view: WorkerView) => number;
}

const FIGURES: readonly Figure[] = [
  {
    name: "outrigger_worker_up",
    type: "gauge",
    help: "1 while the worker runs and answers the main thread",
    read: (w) => Number(w.up),
  },
  {
    name: "outrigger_worker_restarts_total",
    type: "counter",
    help: "How often the worker ended by itself and was started again",
    read: (w) => w.restarts,
  },
  {
    name: "outrigger_worker_cpu_seconds_total",
    type: "counter",
    help: "CPU time of the worker, user and system, since it was started",
    read: (w) => w.cpuSeconds,
  },
  {
    name: "outrigger_worker_connections_active",
    type: "gauge",
    help: "Open connections of callers",
    read: (w) => w.connectionsActive,
  },
  {
    name: "outrigger_worker_connections_accepted_total",
    type: "counter",
    help: "Connections accepted since the worker was started",
    read: (w) => w.connectionsAccepted,
  },
];

/** Registers the figures of all workers that `workers` gives. */
export function registerWorkerMetrics(registry: MetricsRegistry, workers: () => readonly WorkerView[]): void {
  for (const { name, type, help, read } of FIGURES) {
    registry.sampled({ name, type, help, labels: ["worker"] }, (emit) => {
      for (const view of workers()) emit(read(view), view.worker);
    });
  }
}
