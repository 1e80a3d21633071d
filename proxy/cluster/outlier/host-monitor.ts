/** Hears what came of each attempt at one endpoint and counts it as Envoy's `DetectorHostMonitorImpl` does. */
import type { EndpointState, LocalOriginFailure, OutcomeMonitor } from "../endpoint-state.ts";
import type { HostRecord } from "./host-record.ts";
import type { EjectionKind } from "./outlier-stats.ts";

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
  readonly record: HostRecord;
  readonly #detector: RunListener;

  constructor(endpoint: EndpointState, record: HostRecord, detector: RunListener) {
    this.endpoint = endpoint;
    this.record = record;
    this.#detector = detector;
  }

  onResponse(status: number): void {
    this.record.readmission?.report(status >= 500 && status <= 599);
    this.#response(status);
  }

  /** Not split, local failures count as the status that the caller would see: 503, or 504 for a timeout. */
  onLocalOriginFailure(kind: LocalOriginFailure): void {
    this.record.readmission?.report(true);
    if (!this.#detector.split) {
      this.#response(kind === "timeout" ? 504 : 503);
      return;
    }
    this.record.local.count(false);
    if (this.record.runLocalOriginFailure.add() === this.#detector.consecutiveLocalOriginFailure) {
      this.#detector.onRun(this, "consecutive_local_origin_failure");
    }
  }

  onConnectSuccess(final: boolean): void {
    if (final) this.record.readmission?.report(false);
    if (this.#detector.split) {
      this.record.local.count(true);
      this.record.runLocalOriginFailure.reset();
    } else if (final) {
      this.#response(200);
    }
  }

  onAbandoned(): void {
    this.record.readmission?.abandon();
  }

  /** Runs begin anew, so that a few new failures do not eject it again. */
  resetRuns(): void {
    this.record.run5xx.reset();
    this.record.runGatewayFailure.reset();
    this.record.runLocalOriginFailure.reset();
  }

  #response(status: number): void {
    const { record } = this;
    if (status < 500 || status > 599) {
      record.external.count(true);
      record.run5xx.reset();
      record.runGatewayFailure.reset();
      return;
    }
    record.external.count(false);
    if (status >= 502 && status <= 504) {
      if (record.runGatewayFailure.add() === this.#detector.consecutiveGatewayFailure) {
        this.#detector.onRun(this, "consecutive_gateway_failure");
      }
    } else {
      record.runGatewayFailure.reset();
    }
    if (record.run5xx.add() === this.#detector.consecutive5xx) this.#detector.onRun(this, "consecutive_5xx");
  }
}
