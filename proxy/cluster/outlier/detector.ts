/**
 * Outlier detection of one cluster (Envoy's `DetectorImpl`): ejects endpoints that fail where others do not, and takes
 * them back. With `probeBeforeReadmission` they come back through a probe instead of after a time alone.
 */
import type { Clock, Timer } from "../../../core/clock.ts";
import type { Random } from "../../../core/random.ts";
import type { SharedState } from "../../../core/shared-state.ts";
import type { OutlierDetection } from "../../../model/cluster.ts";
import type { EndpointState } from "../endpoint-state.ts";
import { type ClusterEventKind, type ClusterObserver, formatDuration, formatPercent } from "../events.ts";
import type { CircuitState } from "../opossum-circuit.ts";
import { enforcingPercent, nextEjection, reasonOf, runReason } from "./ejection-policy.ts";
import { HostMonitor, type RunListener } from "./host-monitor.ts";
import { type HostRecords, LocalRecords } from "./host-records.ts";
import { type EjectionKind, OutlierStats } from "./outlier-stats.ts";
import { SharedRecords } from "./shared-records.ts";
import { findOutliers } from "./success-rate.ts";

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
  /** Absent or null: this thread is the only one. */
  readonly shared?: SharedState | null;
  /** An endpoint was ejected or readmitted: the balancer has to be built anew. */
  readonly onChange: () => void;
}

export class OutlierDetector implements RunListener {
  readonly stats = new OutlierStats();
  readonly #config: OutlierDetection;
  readonly #own: OwnOutlierPolicy | null;
  readonly #deps: DetectorDeps;
  readonly #records: HostRecords;
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
    const { cluster, clock, shared } = deps;
    const policy = JSON.stringify([config, own]);
    this.#records =
      (shared ? SharedRecords.acquire(cluster, policy, config.intervalMs, clock, shared) : null) ??
      new LocalRecords(clock);
    this.#arm();
  }

  /** Watches an endpoint from now on. */
  add(endpoint: EndpointState): void {
    const monitor = new HostMonitor(endpoint, this.#records.open(endpoint.key), this);
    endpoint.monitor = monitor;
    this.#monitors.set(endpoint, monitor);
    this.#follow(monitor);
  }

  /** Forgets an endpoint; it is in service again as far as outlier detection is concerned. */
  remove(endpoint: EndpointState): void {
    const monitor = this.#monitors.get(endpoint);
    if (monitor === undefined) return;
    this.#monitors.delete(endpoint);
    this.#leaveProbe(monitor);
    monitor.record.close();
    if (endpoint.ejected) this.stats.ejections_active--;
    endpoint.ejected = false;
    endpoint.monitor = null;
  }

  /** An ejected endpoint whose turn for a probe it is; the caller sends it the next request. null: none. */
  takeProbe(): EndpointState | null {
    for (const monitor of this.#halfOpen) {
      const { record } = monitor;
      if (record.readmission?.takeProbe() !== true) continue;
      this.stats.probes++;
      this.#tell(
        "probe",
        monitor,
        `probed after ${this.#since(record.ejectedAt)}: ${reasonOf(monitor.record, this.#config)}`,
      );
      return monitor.endpoint;
    }
    return null;
  }

  /** Takes in what other threads have ejected and readmitted: cheap enough to call for each request. */
  catchUp(): void {
    if (this.#records.changed) this.#followAll();
  }

  /** Whether `takeProbe` may find one: cheap enough to ask for each request. */
  get hasProbes(): boolean {
    return this.#halfOpen.length > 0;
  }

  /** `ejected 4 s ago: 5 consecutive 5xx`, "" for an endpoint in service. */
  describe(endpoint: EndpointState): string {
    const monitor = this.#monitors.get(endpoint);
    if (monitor === undefined || !endpoint.ejected) return "";
    const waiting = monitor.record.readmission?.state === "half_open" ? ", waits for a probe" : "";
    return `ejected ${this.#since(monitor.record.ejectedAt)} ago${waiting}: ${reasonOf(monitor.record, this.#config)}`;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const endpoint of [...this.#monitors.keys()]) this.remove(endpoint);
    this.#records.close();
  }

  onRun(monitor: HostMonitor, kind: EjectionKind): void {
    if (monitor.endpoint.ejected) return;
    this.#detected(monitor, kind, runReason(kind, this.#config));
    // Envoy resets only the run that triggered.
    if (kind === "consecutive_5xx") monitor.record.run5xx.reset();
    else if (kind === "consecutive_gateway_failure") monitor.record.runGatewayFailure.reset();
    else monitor.record.runLocalOriginFailure.reset();
  }

  #detected(monitor: HostMonitor, kind: EjectionKind, reason: string): void {
    this.catchUp();
    if (monitor.endpoint.ejected) return;
    this.stats[`ejections_detected_${kind}`]++;
    const overflow = this.#overflow(monitor, this.stats.ejections_active + 1);
    if (overflow !== "") {
      this.#refuse(monitor, overflow, reason);
      return;
    }
    if (this.#own?.dryRun === true || this.#deps.random() * 100 >= enforcingPercent(kind, this.#config)) {
      const why =
        this.#own?.dryRun === true ? "dry run" : `enforced for ${enforcingPercent(kind, this.#config)}% of cases`;
      this.#tell("ejection_not_enforced", monitor, `not ejected, ${why}: ${reason}`);
      return;
    }
    this.#eject(monitor, kind, reason);
  }

  /** Why one endpoint more, the `active`th, may not be ejected; "" if it may. */
  #overflow(monitor: HostMonitor, active: number): string {
    const percent = (100 * active) / this.#monitors.size;
    const atMost = Math.min(100, this.#config.maxEjectionPercent);
    const first = this.#config.alwaysEjectOneHost === true && active === 1;
    if (percent > atMost && !first) {
      return `${active} of ${this.#monitors.size} endpoints (${formatPercent(percent)}) would be over ${formatPercent(atMost)}`;
    }
    return this.#own !== null && !this.#othersInService(monitor) ? "no other endpoint is in service" : "";
  }

  #refuse(monitor: HostMonitor, overflow: string, reason: string): void {
    this.stats.ejections_overflow++;
    this.#tell("ejection_overflow", monitor, `not ejected, ${overflow}: ${reason}`);
  }

  /** Outrigger's own rule: whatever the percentage, the last endpoint in service stays. */
  #othersInService(monitor: HostMonitor): boolean {
    for (const { endpoint } of this.#monitors.values()) {
      if (endpoint !== monitor.endpoint && (endpoint.healthy || endpoint.degraded)) return true;
    }
    return false;
  }

  #eject(monitor: HostMonitor, kind: EjectionKind, reason: string): void {
    const { record } = monitor;
    if (!record.eject({ ...nextEjection(record, this.#config, this.#deps.random), kind, reason })) return;
    this.#followAll();
    // Another thread may have ejected another one meanwhile; each now sees both.
    const overflow = this.#overflow(monitor, this.stats.ejections_active);
    if (overflow !== "") {
      record.undo();
      this.#publish();
      this.#refuse(monitor, overflow, reason);
      return;
    }
    this.stats.ejections_enforced_total++;
    this.stats[`ejections_enforced_${kind}`]++;
    this.#probeLater(monitor);
    this.#publish();
    this.#tell(
      "ejected",
      monitor,
      `ejected for ${formatDuration(record.ejectedForMs)} (${record.ejections}.): ${reason}`,
    );
  }

  /** An endpoint that was ejected here is to come back through a probe, if the policy says so. */
  #probeLater(monitor: HostMonitor): void {
    if (this.#own?.probeBeforeReadmission !== true) return;
    this.#leaveProbe(monitor);
    monitor.record.probe((state) => this.#onReadmission(monitor, state));
  }

  #onReadmission(monitor: HostMonitor, state: CircuitState): void {
    if (state === "closed") this.#readmit(monitor, `the probe succeeded`);
    else if (state === "open") this.#ejectAgain(monitor);
    else {
      this.#waitForProbe(monitor);
      this.#publish();
    }
  }

  /** The probe failed: out for longer. */
  #ejectAgain(monitor: HostMonitor): void {
    const { record } = monitor;
    if (!record.ejectAgain(nextEjection(record, this.#config, this.#deps.random))) return;
    this.#probeLater(monitor);
    this.#publish();
    this.#tell(
      "ejected",
      monitor,
      `stays ejected for ${formatDuration(record.ejectedForMs)}: the probe failed after ${reasonOf(monitor.record, this.#config)}`,
    );
  }

  #readmit(monitor: HostMonitor, because: string): void {
    const { record } = monitor;
    const { ejectedAt } = record;
    if (!record.readmit()) return;
    this.stats.readmissions++;
    monitor.resetRuns();
    this.#publish();
    this.#tell("readmitted", monitor, `readmitted after ${this.#since(ejectedAt)}: ${because}`);
  }

  /** Something has changed here: the balancer and the other threads take it in. */
  #publish(): void {
    this.#records.publish();
    this.#followAll();
  }

  /** Takes in what was changed, here or elsewhere. */
  #followAll(): void {
    // Before looking: what changes meanwhile is taken in the next time.
    this.#records.seen();
    let changed = false;
    for (const monitor of this.#monitors.values()) changed = this.#follow(monitor) || changed;
    if (changed) this.#deps.onChange();
  }

  /** True if the endpoint has gone out of service or come back. */
  #follow(monitor: HostMonitor): boolean {
    const { record, endpoint } = monitor;
    record.follow(this.#own?.probeBeforeReadmission === true ? (state) => this.#onReadmission(monitor, state) : null);
    if (record.readmission?.state === "half_open") this.#waitForProbe(monitor);
    else this.#leaveProbe(monitor);
    if (endpoint.ejected === record.ejected) return false;
    endpoint.ejected = record.ejected;
    this.stats.ejections_active += record.ejected ? 1 : -1;
    return true;
  }

  /** Who has waited for longest comes first, also where other threads have ejected several meanwhile. */
  #waitForProbe(monitor: HostMonitor): void {
    if (this.#halfOpen.includes(monitor)) return;
    const dueAt = ({ record }: HostMonitor): number => record.ejectedAt + record.ejectedForMs;
    this.#halfOpen = [...this.#halfOpen, monitor].sort(
      (a, b) => dueAt(a) - dueAt(b) || a.record.ejectedAt - b.record.ejectedAt,
    );
  }

  #leaveProbe(monitor: HostMonitor): void {
    if (this.#halfOpen.includes(monitor)) this.#halfOpen = this.#halfOpen.filter((other) => other !== monitor);
  }

  #arm(): void {
    this.#timer = this.#deps.clock.after(this.#config.intervalMs, () => {
      this.#onInterval();
      this.#arm();
    });
  }

  #onInterval(): void {
    this.catchUp();
    if (!this.#records.takeInterval()) return;
    const now = this.#deps.clock.now();
    for (const monitor of this.#monitors.values()) {
      const { record } = monitor;
      record.readmission?.check();
      if (record.ejected && record.readmission === null && now - record.ejectedAt >= record.ejectedForMs) {
        this.#readmit(monitor, `its ${formatDuration(record.ejectedForMs)} are over`);
      }
      record.external.turn();
      record.local.turn();
    }
    this.#judge("external");
    if (this.split) this.#judge("local");
    for (const { record } of this.#monitors.values()) {
      if (record.ejected || record.readmittedAt === null || record.backoff === 0) continue;
      if (now - record.readmittedAt >= this.#config.intervalMs) record.lowerBackoff();
    }
  }

  #judge(origin: "external" | "local"): void {
    const size = this.#monitors.size;
    if (size < this.#config.successRateMinimumHosts && size < this.#config.failurePercentageMinimumHosts) return;
    const judged = [...this.#monitors.values()].filter((monitor) => !monitor.endpoint.ejected);
    const counts = judged.map(({ record }) => record[origin]);
    for (const { index, kind, reason } of findOutliers(counts, this.#config)) {
      const monitor = judged[index] as HostMonitor;
      // Found by its success rate already.
      if (monitor.endpoint.ejected) continue;
      this.#detected(monitor, origin === "external" ? kind : `local_origin_${kind}`, reason);
    }
  }

  #since(at: number): string {
    return formatDuration(this.#deps.clock.now() - at);
  }

  #tell(kind: ClusterEventKind, monitor: HostMonitor, message: string): void {
    this.#deps.observer.onClusterEvent({ kind, cluster: this.#deps.cluster, endpoint: monitor.endpoint.name, message });
  }
}
