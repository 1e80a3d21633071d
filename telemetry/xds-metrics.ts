/** The configuration's way in the metrics: streams, updates, refusals, and what is in force. */
import type { Clock } from "../core/clock.ts";
import type { MetricsRegistry } from "./metrics.ts";

/** What the xDS client tells (its `XdsObserver`). */
export class XdsMetrics {
  readonly #clock: Clock;
  /** All that were ever tried. */
  readonly #servers = new Set<string>();
  readonly #connected = new Set<string>();
  readonly #versions = new Map<string, { version: string; at: number }>();
  readonly #updates;
  readonly #changed;
  readonly #rejected;
  readonly #disconnects;
  readonly #bytes;

  constructor(registry: MetricsRegistry, clock: Clock) {
    this.#clock = clock;
    this.#updates = registry.counter({
      name: "outrigger_xds_updates_total",
      help: "Responses of the control plane that were taken",
      labels: ["type"],
    });
    this.#changed = registry.counter({
      name: "outrigger_xds_resources_changed_total",
      help: "Resources that a taken response changed",
      labels: ["type"],
    });
    this.#rejected = registry.counter({
      name: "outrigger_xds_rejected_total",
      help: "Responses of the control plane that were refused, whole or in part",
      labels: ["type"],
    });
    this.#disconnects = registry.counter({
      name: "outrigger_xds_disconnects_total",
      help: "Streams to the control plane that ended or could not be opened",
      labels: ["server"],
    });
    this.#bytes = registry.counter({
      name: "outrigger_xds_bytes_total",
      help: "Bytes of xDS messages",
      labels: ["direction"],
    });
    registry.sampled(
      { name: "outrigger_xds_connected", type: "gauge", help: "1 while a stream is open", labels: ["server"] },
      (emit) => {
        for (const server of this.#servers) emit(this.#connected.has(server) ? 1 : 0, server);
      },
    );
    registry.sampled(
      {
        name: "outrigger_xds_version_info",
        type: "gauge",
        help: "1 for the version last taken",
        labels: ["type", "version"],
      },
      (emit) => {
        for (const [type, { version }] of this.#versions) emit(1, type, version);
      },
    );
    registry.sampled(
      {
        name: "outrigger_xds_update_age_seconds",
        type: "gauge",
        help: "Time since the last response that was taken",
        labels: ["type"],
      },
      (emit) => {
        for (const [type, { at }] of this.#versions) emit((this.#clock.now() - at) / 1000, type);
      },
    );
  }

  connected(server: string): void {
    this.#servers.add(server);
    this.#connected.add(server);
  }

  disconnected(server: string): void {
    this.#servers.add(server);
    this.#connected.delete(server);
    this.#disconnects.cell(server).inc();
  }

  /** `type` is Envoy's abbreviation (`CDS`). */
  accepted(type: string, version: string, changed: number): void {
    this.#versions.set(type, { version, at: this.#clock.now() });
    this.#updates.cell(type).inc();
    this.#changed.cell(type).inc(changed);
  }

  rejected(type: string): void {
    this.#rejected.cell(type).inc();
  }

  bytes(direction: "received" | "sent", count: number): void {
    this.#bytes.cell(direction).inc(count);
  }
}
