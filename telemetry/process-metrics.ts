/** The process in the metrics: event-loop lag, CPU, memory, uptime, what is running and which revision is in force. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Clock } from "../core/clock.ts";
import type { MetricsRegistry } from "./metrics.ts";

export interface ProcessMetricsOptions {
  readonly clock: Clock;
  readonly version: string;
  /** Revision of the configuration in force, "" while there is none. */
  readonly revision: () => string;
}

/** Every 20 ms a timer tells how late it is: a negligible load that still catches stalls of a few milliseconds. */
const LAG_RESOLUTION_MS = 20;
const NS = 1e9;
const LAG_QUANTILES = [50, 99] as const;

/** The thread that talks to the control plane and to scrapers; with one worker it also serves. */
const MAIN_THREAD = "main";

/**
 * Registers what each thread has of its own, its event loop and its heap, and starts to watch the former; call `stop` to
 * end that. The heaps of several threads are added up.
 */
export function registerThreadMetrics(registry: MetricsRegistry, thread: string): { stop(): void } {
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  lag.enable();
  registerLag(registry, lag, thread);
  let memory = process.memoryUsage();
  registry.beforeCollect(() => {
    memory = process.memoryUsage();
  });
  const gauge = (name: string, help: string, read: () => number): void =>
    registry.sampled({ name, help, type: "gauge" }, (emit) => emit(read()));
  gauge(
    "outrigger_heap_used_bytes",
    "Live and not yet collected objects of the JavaScript heap",
    () => memory.heapUsed,
  );
  gauge("outrigger_heap_size_bytes", "Size of the JavaScript heap", () => memory.heapTotal);
  gauge(
    "outrigger_external_memory_bytes",
    "Buffers and other memory held outside the JavaScript heap",
    () => memory.external,
  );
  return { stop: () => lag.disable() };
}

/** Registers the figures of the process and of its main thread, and starts to watch its event loop until `stop`. */
export function registerProcessMetrics(registry: MetricsRegistry, options: ProcessMetricsOptions): { stop(): void } {
  const thread = registerThreadMetrics(registry, MAIN_THREAD);
  const { clock } = options;
  const started = clock.wallTime() / 1000;
  const origin = clock.now();
  const gauge = (name: string, help: string, read: () => number): void =>
    registry.sampled({ name, help, type: "gauge" }, (emit) => emit(read()));

  registry.sampled(
    {
      name: "outrigger_build_info",
      type: "gauge",
      help: "1, with what is running and the configuration revision in force",
      labels: ["version", "node", "revision"],
    },
    (emit) => emit(1, options.version, process.version, options.revision()),
  );
  gauge("outrigger_uptime_seconds", "Time since the start", () => (clock.now() - origin) / 1000);
  gauge("process_start_time_seconds", "Start, in seconds since the Unix epoch", () => started);
  gauge("process_resident_memory_bytes", "Resident set size", () => process.memoryUsage.rss());
  registry.sampled(
    { name: "process_cpu_seconds_total", type: "counter", help: "CPU time, user and system" },
    (emit) => {
      const { user, system } = process.cpuUsage();
      emit((user + system) / 1e6);
    },
  );
  return thread;
}

/** Of the time since the last scrape, so that a peak shows once and in its own interval. */
function registerLag(registry: MetricsRegistry, lag: ReturnType<typeof monitorEventLoopDelay>, thread: string): void {
  registry.sampled(
    {
      name: "outrigger_event_loop_lag_seconds",
      type: "gauge",
      help: "How late timers ran since the last scrape, by quantile",
      labels: ["thread", "quantile"],
    },
    (emit) => {
      const idle = LAG_RESOLUTION_MS / 1000;
      const seconds = (ns: number): number => Math.max(0, ns / NS - idle);
      for (const percent of LAG_QUANTILES)
        emit(lag.count === 0 ? 0 : seconds(lag.percentile(percent)), thread, String(percent / 100));
      emit(lag.count === 0 ? 0 : seconds(lag.max), thread, "1");
      lag.reset();
    },
  );
}
