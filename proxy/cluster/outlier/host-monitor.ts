/**
 * What outlier detection remembers of one endpoint (Envoy's `DetectorHostMonitorImpl`): runs of failures, rates by
 * interval, and its ejections.
 */
import type { EndpointState, LocalOriginFailure, OutcomeMonitor } from "../endpoint-state.ts";
import type { EjectionKind } from "./outlier-stats.ts";
import type { Readmission } from "./readmission.ts";
import { IntervalCounts } from "./success-rate.ts";

/** Told when a run of failures has reached its threshold. */
export interface RunListener {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  readonly split: boolean;
  onRun(monitor: HostMonitor, kind: EjectionKind): void;
}

export class HostMonitor implements OutcomeMonitor {
  readonly endpoint: EndpointState;
  readonly #detector: RunListener;
  consecutive5xx = 0;
  consecutiveGatewayFailure = 0;
  consecutiveLocalOriginFailure = 0;
  readonly external = new IntervalCounts();
  readonly local = new IntervalCounts();
  /** Ejections since the endpoint is known. */
  ejections = 0;
  /** Multiplies the base ejection time; goes down again while the endpoint behaves. */
  backoff = 0;
  ejectedAt = 0;
  /** null: never readmitted yet. */
  readmittedAt: number | null = null;
  /** How long the present ejection lasts at least, ms, jitter included. */
  ejectedForMs = 0;
  jitterMs = 0;
  /** Why it was ejected last. */
  reason = "";
  /** Set while ejected under Outrigger's own policy. */
  readmission: Readmission | null = null;

  constructor(endpoint: EndpointState, detector: RunListener) {
    this.endpoint = endpoint;
    this.#detector = detector;
  }

  onResponse(status: number): void {
    this.readmission?.report(status >= 500 && status <= 599);
    this.#response(status);
  }

  /** Not split, local failures count as the status that the caller would see: 503, or 504 for a timeout. */
  onLocalOriginFailure(kind: LocalOriginFailure): void {
    this.readmission?.report(true);
    if (!this.#detector.split) {
      this.#response(kind === "timeout" ? 504 : 503);
      return;
    }
    this.local.total++;
    if (++this.consecutiveLocalOriginFailure === this.#detector.consecutiveLocalOriginFailure) {
      this.#detector.onRun(this, "consecutive_local_origin_failure");
    }
  }

  onConnectSuccess(final: boolean): void {
    if (final) this.readmission?.report(false);
    if (this.#detector.split) {
      this.local.total++;
      this.local.success++;
      this.consecutiveLocalOriginFailure = 0;
    } else if (final) {
      this.#response(200);
    }
  }

  onAbandoned(): void {
    this.readmission?.abandon();
  }

  /** Runs begin anew, so that a few new failures do not eject it again. */
  resetRuns(): void {
    this.consecutive5xx = 0;
    this.consecutiveGatewayFailure = 0;
    this.consecutiveLocalOriginFailure = 0;
  }

  #response(status: number): void {
    this.external.total++;
    if (status < 500 || status > 599) {
      this.external.success++;
      this.consecutive5xx = 0;
      this.consecutiveGatewayFailure = 0;
      return;
    }
    if (status >= 502 && status <= 504) {
      if (++this.consecutiveGatewayFailure === this.#detector.consecutiveGatewayFailure) {
        this.#detector.onRun(this, "consecutive_gateway_failure");
      }
    } else {
      this.consecutiveGatewayFailure = 0;
    }
    if (++this.consecutive5xx === this.#detector.consecutive5xx) this.#detector.onRun(this, "consecutive_5xx");
  }
}
