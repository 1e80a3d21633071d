/**
 * Outlier detection of one cluster (Envoy's `DetectorImpl`): ejects endpoints that fail where others do not, and takes
 * them back. With `probeBeforeReadmission` they come back through a probe instead of after a time alone.
 */
import type { Clock, Timer } from "../../../core/clock.ts";
import type { Random } from "../../../core/random.ts";
import type { OutlierDetection } from "../../../model/cluster.ts";
import type { EndpointState } from "../endpoint-state.ts";
import { type ClusterEventKind, type ClusterObserver, formatDuration, formatPercent } from "../events.ts";
import { HostMonitor, type RunListener } from "./host-monitor.ts";
import { type EjectionKind, OutlierStats } from "./outlier-stats.ts";
import { Readmission } from "./readmission.ts";
import { findOutliers, type IntervalCounts } from "./success-rate.ts";

/** What Outrigger's own policy adds; absent where only Envoy's resource is given. */
export interface OwnOutlierPolicy {
  readonly probeBeforeReadmission: boolean;
  readonly dryRun: boolean;
}

export interface DetectorDeps {
  readonly cluster: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly observer: ClusterObserver;
  /** An endpoint was ejected or readmitted: the balancer has to be built anew. */
  readonly onChange: () => void;
}

export class OutlierDetector implements RunListener {
  readonly stats = new OutlierStats();
  readonly #config: OutlierDetection;
  readonly #own: OwnOutlierPolicy | null;
  readonly #deps: DetectorDeps;
  readonly #monitors = new Map<EndpointState, HostMonitor>();
  #timer: Timer | null = null;
  /** Ejected endpoints that wait for a probe. */
  #halfOpen: HostMonitor[] = [];

  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  readonly split: boolean;

  constructor(config: OutlierDetection, own: OwnOutlierPolicy | null, deps: DetectorDeps) {
    this.#config = config;
    this.#own = own;
    this.#deps = deps;
    this.consecutive5xx = config.consecutive5xx;
    this.consecutiveGatewayFailure = config.consecutiveGatewayFailure;
    this.consecutiveLocalOriginFailure = config.consecutiveLocalOriginFailure;
    this.split = config.splitExternalLocalOriginErrors;
    this.#arm();
  }

  /** Watches an endpoint from now on. */
  add(endpoint: EndpointState): void {
    const monitor = new HostMonitor(endpoint, this);
    endpoint.monitor = monitor;
    this.#monitors.set(endpoint, monitor);
  }

  /** Forgets an endpoint; it is in service again as far as outlier detection is concerned. */
  remove(endpoint: EndpointState): void {
    const monitor = this.#monitors.get(endpoint);
    if (monitor === undefined) return;
    this.#monitors.delete(endpoint);
    this.#endReadmission(monitor);
    if (endpoint.ejected) this.stats.ejections_active--;
    endpoint.ejected = false;
    endpoint.monitor = null;
  }

  /** An ejected endpoint whose turn for a probe it is; the caller sends it the next request. null: none. */
  takeProbe(): EndpointState | null {
    for (const monitor of this.#halfOpen) {
      if (monitor.readmission?.takeProbe() !== true) continue;
      this.stats.probes++;
      this.#tell("probe", monitor, `probed after ${this.#since(monitor.ejectedAt)}: ${monitor.reason}`);
      return monitor.endpoint;
    }
    return null;
  }

  /** Whether `takeProbe` may find one: cheap enough to ask for each request. */
  get hasProbes(): boolean {
    return this.#halfOpen.length > 0;
  }

  /** `ejected 4 s ago: 5 consecutive 5xx`, "" for an endpoint in service. */
  describe(endpoint: EndpointState): string {
    const monitor = this.#monitors.get(endpoint);
    if (monitor === undefined || !endpoint.ejected) return "";
    const waiting = monitor.readmission?.state === "half_open" ? ", waits for a probe" : "";
    return `ejected ${this.#since(monitor.ejectedAt)} ago${waiting}: ${monitor.reason}`;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const endpoint of [...this.#monitors.keys()]) this.remove(endpoint);
  }

  onRun(monitor: HostMonitor, kind: EjectionKind): void {
    if (monitor.endpoint.ejected) return;
    this.#detected(monitor, kind, this.#runReason(kind));
    // Envoy resets only the run that triggered.
    if (kind === "consecutive_5xx") monitor.consecutive5xx = 0;
    else if (kind === "consecutive_gateway_failure") monitor.consecutiveGatewayFailure = 0;
    else monitor.consecutiveLocalOriginFailure = 0;
  }

  #runReason(kind: EjectionKind): string {
    if (kind === "consecutive_5xx") return `${this.consecutive5xx} consecutive 5xx`;
    if (kind === "consecutive_gateway_failure") {
      return `${this.consecutiveGatewayFailure} consecutive gateway failures (502, 503 or 504)`;
    }
    return `${this.consecutiveLocalOriginFailure} consecutive local origin failures (connect, timeout or reset)`;
  }

  #detected(monitor: HostMonitor, kind: EjectionKind, reason: string): void {
    this.stats[`ejections_detected_${kind}`]++;
    const after = this.stats.ejections_active + 1;
    const percent = (100 * after) / this.#monitors.size;
    const atMost = Math.min(100, this.#config.maxEjectionPercent);
    const first = this.#config.alwaysEjectOneHost === true && after === 1;
    const overflow =
      percent > atMost && !first
        ? `${after} of ${this.#monitors.size} endpoints (${formatPercent(percent)}) would be over ${formatPercent(atMost)}`
        : this.#own !== null && !this.#othersInService(monitor)
          ? "no other endpoint is in service"
          : "";
    if (overflow !== "") {
      this.stats.ejections_overflow++;
      this.#tell("ejection_overflow", monitor, `not ejected, ${overflow}: ${reason}`);
      return;
    }
    if (this.#own?.dryRun === true || this.#deps.random() * 100 >= this.#enforcing(kind)) {
      const why = this.#own?.dryRun === true ? "dry run" : `enforced for ${this.#enforcing(kind)}% of cases`;
      this.#tell("ejection_not_enforced", monitor, `not ejected, ${why}: ${reason}`);
      return;
    }
    this.stats.ejections_enforced_total++;
    this.stats[`ejections_enforced_${kind}`]++;
    this.#eject(monitor, reason);
  }

  /** Outrigger's own rule: whatever the percentage, the last endpoint in service stays. */
  #othersInService(monitor: HostMonitor): boolean {
    for (const { endpoint } of this.#monitors.values()) {
      if (endpoint !== monitor.endpoint && (endpoint.healthy || endpoint.degraded)) return true;
    }
    return false;
  }

  #eject(monitor: HostMonitor, reason: string): void {
    const { baseEjectionTimeMs, maxEjectionTimeMs, maxEjectionTimeJitterMs } = this.#config;
    this.stats.ejections_active++;
    monitor.endpoint.ejected = true;
    monitor.ejections++;
    monitor.reason = reason;
    monitor.jitterMs = Math.floor(this.#deps.random() * (maxEjectionTimeJitterMs + 1));
    if (monitor.backoff * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs) monitor.backoff++;
    this.#begin(monitor);
    this.#tell(
      "ejected",
      monitor,
      `ejected for ${formatDuration(monitor.ejectedForMs)} (${monitor.ejections}.): ${reason}`,
    );
    this.#deps.onChange();
  }

  /** Starts the time of an ejection. */
  #begin(monitor: HostMonitor): void {
    monitor.ejectedAt = this.#deps.clock.now();
    monitor.ejectedForMs =
      Math.min(this.#config.baseEjectionTimeMs * monitor.backoff, this.#config.maxEjectionTimeMs) + monitor.jitterMs;
    if (this.#own?.probeBeforeReadmission !== true) return;
    this.#endReadmission(monitor);
    monitor.readmission = new Readmission(monitor.ejectedForMs, this.#deps.clock, (state) => {
      if (state === "half_open") this.#halfOpen.push(monitor);
      else if (state === "closed") this.#readmit(monitor, `the probe succeeded`);
      else this.#ejectAgain(monitor);
    });
  }

  /** The probe failed: out for longer. */
  #ejectAgain(monitor: HostMonitor): void {
    const { baseEjectionTimeMs, maxEjectionTimeMs } = this.#config;
    if (monitor.backoff * baseEjectionTimeMs < maxEjectionTimeMs + baseEjectionTimeMs) monitor.backoff++;
    this.#begin(monitor);
    this.#tell(
      "ejected",
      monitor,
      `stays ejected for ${formatDuration(monitor.ejectedForMs)}: the probe failed after ${monitor.reason}`,
    );
  }

  #readmit(monitor: HostMonitor, because: string): void {
    const { endpoint } = monitor;
    this.#endReadmission(monitor);
    this.stats.ejections_active--;
    this.stats.readmissions++;
    endpoint.ejected = false;
    monitor.readmittedAt = this.#deps.clock.now();
    monitor.resetRuns();
    this.#tell("readmitted", monitor, `readmitted after ${this.#since(monitor.ejectedAt)}: ${because}`);
    this.#deps.onChange();
  }

  #endReadmission(monitor: HostMonitor): void {
    monitor.readmission?.close();
    monitor.readmission = null;
    this.#halfOpen = this.#halfOpen.filter((other) => other !== monitor);
  }

  #arm(): void {
    this.#timer = this.#deps.clock.after(this.#config.intervalMs, () => {
      this.#onInterval();
      this.#arm();
    });
  }

  #onInterval(): void {
    const now = this.#deps.clock.now();
    for (const monitor of this.#monitors.values()) {
      if (monitor.endpoint.ejected && monitor.readmission === null && now - monitor.ejectedAt >= monitor.ejectedForMs) {
        this.#readmit(monitor, `its ${formatDuration(monitor.ejectedForMs)} are over`);
      }
      monitor.external.turn();
      monitor.local.turn();
    }
    this.#judge("external");
    if (this.split) this.#judge("local");
    for (const monitor of this.#monitors.values()) {
      if (monitor.endpoint.ejected || monitor.readmittedAt === null || monitor.backoff === 0) continue;
      if (now - monitor.readmittedAt >= this.#config.intervalMs) monitor.backoff--;
    }
  }

  #judge(origin: "external" | "local"): void {
    const size = this.#monitors.size;
    if (size < this.#config.successRateMinimumHosts && size < this.#config.failurePercentageMinimumHosts) return;
    const judged = [...this.#monitors.values()].filter((monitor) => !monitor.endpoint.ejected);
    const counts: IntervalCounts[] = judged.map((monitor) => monitor[origin]);
    for (const { index, kind, reason } of findOutliers(counts, this.#config)) {
      const monitor = judged[index] as HostMonitor;
      // Found by its success rate already.
      if (monitor.endpoint.ejected) continue;
      this.#detected(monitor, origin === "external" ? kind : `local_origin_${kind}`, reason);
    }
  }

  #enforcing(kind: EjectionKind): number {
    const config = this.#config;
    switch (kind) {
      case "consecutive_5xx":
        return config.enforcingConsecutive5xx;
      case "consecutive_gateway_failure":
        return config.enforcingConsecutiveGatewayFailure;
      case "consecutive_local_origin_failure":
        return config.enforcingConsecutiveLocalOriginFailure;
      case "success_rate":
        return config.enforcingSuccessRate;
      case "local_origin_success_rate":
        return config.enforcingLocalOriginSuccessRate ?? 100;
      case "failure_percentage":
        return config.enforcingFailurePercentage;
      case "local_origin_failure_percentage":
        return config.enforcingFailurePercentageLocalOrigin ?? 0;
    }
  }

  #since(at: number): string {
    return formatDuration(this.#deps.clock.now() - at);
  }

  #tell(kind: ClusterEventKind, monitor: HostMonitor, message: string): void {
    this.#deps.observer.onClusterEvent({ kind, cluster: this.#deps.cluster, endpoint: monitor.endpoint.name, message });
  }
}
