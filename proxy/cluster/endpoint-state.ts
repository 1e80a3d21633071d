/**
 * One upstream endpoint as it lives through endpoint updates: found again by its address, so that its pool, its
 * counters and what is known of its health survive every new endpoint set.
 */
import { type Address, formatAddress } from "../../model/address.ts";
import type { Endpoint, LocalityEndpoints } from "../../model/endpoint.ts";
import type { Pool } from "./pool.ts";

/** How an attempt failed on this side of the wire: Envoy's local origin errors. */
export type LocalOriginFailure = "connect_failed" | "timeout" | "reset";

/** Who is told what came of each attempt: outlier detection, where the cluster has it. */
export interface OutcomeMonitor {
  /** A response came; `status` is its HTTP status, or the one that its gRPC status stands for. */
  onResponse(status: number): void;
  onLocalOriginFailure(kind: LocalOriginFailure): void;
  /** A connection stood; `final` says that nothing above it will report (opaque TCP). */
  onConnectSuccess(final: boolean): void;
  /** The attempt ended without telling anything about the endpoint: the caller went away. */
  onAbandoned(): void;
}

/** Why an endpoint gets no requests, in the order in which it is told. */
export type OutReason = "unhealthy" | "draining" | "ejected";

export class EndpointState<P extends Pool = Pool> {
  /** What endpoints are found again by: the address, or the DNS name of a LOGICAL_DNS cluster. */
  readonly key: string;
  /** Where connections go. Only LOGICAL_DNS changes it; a pool reads it for each new connection. */
  address: Address;
  config: Endpoint;
  /** The address that connections leave from, in the place of the cluster's; "" for none. */
  readonly source: string;
  locality: LocalityEndpoints["locality"];
  priority: number;
  /** Made when first needed; null while there is none. */
  pool: P | null = null;
  /** Set by outlier detection. */
  ejected = false;
  /** No longer in the endpoint set: its pool drains. */
  removed = false;
  monitor: OutcomeMonitor | null = null;

  activeRequests = 0;
  activeConnections = 0;
  // Envoy's host statistics, under its names.
  cx_total = 0;
  cx_connect_fail = 0;
  rq_total = 0;
  rq_success = 0;
  rq_error = 0;
  rq_timeout = 0;

  constructor(key: string, config: Endpoint, locality: LocalityEndpoints["locality"], priority: number, source = "") {
    this.key = key;
    this.source = source;
    this.address = config.address;
    this.config = config;
    this.locality = locality;
    this.priority = priority;
  }

  get weight(): number {
    return this.config.weight;
  }

  /** In normal service, as Envoy's coarse health `healthy`. */
  get healthy(): boolean {
    return !this.ejected && this.config.health === "healthy";
  }

  /** Used only when healthy endpoints do not suffice. */
  get degraded(): boolean {
    return !this.ejected && this.config.health === "degraded";
  }

  /** `10.0.0.3:80`. */
  get name(): string {
    return formatAddress(this.address);
  }

  /** Why it is out of service, null while it is in. */
  get outReason(): OutReason | null {
    if (this.config.health === "unhealthy" || this.config.health === "draining") return this.config.health;
    return this.ejected ? "ejected" : null;
  }

  /** A response came with this status. Those of gRPC calls say more: `GrpcCall` counts them. */
  recordResponse(status: number): void {
    this.countResponse(status < 500);
    this.monitor?.onResponse(status);
  }

  /** Envoy's host statistics alone; outlier detection hears of gRPC calls at another time. */
  countResponse(success: boolean): void {
    if (success) this.rq_success++;
    else this.rq_error++;
  }

  recordLocalOriginFailure(kind: LocalOriginFailure): void {
    if (kind === "connect_failed") this.cx_connect_fail++;
    else if (kind === "timeout") this.rq_timeout++;
    else this.rq_error++;
    this.monitor?.onLocalOriginFailure(kind);
  }

  /** A connection for a request stood. `final`: nothing above it will report, as with opaque TCP. */
  recordConnectSuccess(final: boolean): void {
    this.monitor?.onConnectSuccess(final);
  }

  /** The caller went away before there was an outcome. */
  recordAbandoned(): void {
    this.monitor?.onAbandoned();
  }
}
