/** The control plane as a process, for Prometheus, under the names that every exporter has. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { Clock } from "../core/clock.ts";

export function registerProcessMetrics(registry: Registry, clock: Clock): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const started = clock.wallTime() / 1000;
  gauge("process_start_time_seconds", "Start, in seconds since the Unix epoch", () => started);
  gauge("process_resident_memory_bytes", "Resident set size", () => process.memoryUsage.rss());
  gauge("outrigger_heap_used_bytes", "Objects of the JavaScript heap", () => process.memoryUsage().heapUsed);
  new Counter({
    name: "process_cpu_seconds_total",
    help: "CPU time, user and system",
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}
