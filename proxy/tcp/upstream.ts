/**
 * The way of one opaque connection to a cluster: limits, breaker, balancer, and attempts to connect. It decides nothing by
 * itself: `cluster/` does.
 */
import { formatAddress } from "../../model/address.ts";
import { Flag } from "../../model/flags.ts";
import type { StreamInfo } from "../../telemetry/stream-info.ts";
import { addressMeant, destinationOf } from "../cluster/destination.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { Destination, LbContext } from "../cluster/load-balancer/load-balancer.ts";
import { xxHash64 } from "../cluster/load-balancer/xxhash64.ts";
import type { ByteEnd } from "../codec/byte-end.ts";
import { nextConnectionId } from "../codec/connection-id.ts";
import { localAddressOf, remoteAddressOf } from "../codec/local-address.ts";
import type { OpaqueResult } from "../endpoint/opaque-attempt.ts";
import type { EndpointPool } from "../endpoint/pool.ts";
import type { UpstreamCluster } from "../outbound.ts";
import { type TcpFailure, tcpFailures } from "./failures.ts";
import type { TcpRuntime } from "./runtime.ts";

/** Told what came of it, never from inside `start`. */
export interface UpstreamOwner {
  onUpstream(end: ByteEnd): void;
  /** No attempt is left; why is in the stream's info. */
  onNoUpstream(): void;
}

/** How often another endpoint is drawn in place of one that has failed this connection. */
const OTHER_HOST_DRAWS = 3;

export class TcpUpstream implements LbContext, OpaqueResult {
  readonly hash: bigint | null;
  readonly triedHosts: object[] = [];
  readonly #runtime: TcpRuntime;
  readonly #info: StreamInfo;
  readonly #owner: UpstreamOwner;
  #cluster: UpstreamCluster | null = null;
  #endpoint: EndpointState<EndpointPool> | null = null;
  /** Set while an attempt is under way. */
  #giveUp: (() => void) | null = null;
  #startedAt = 0;
  #over = false;
  #name = "";

  constructor(runtime: TcpRuntime, info: StreamInfo, owner: UpstreamOwner) {
    this.#runtime = runtime;
    this.#info = info;
    this.#owner = owner;
    this.hash = runtime.config.hashSourceIp ? xxHash64(info.connection.remoteAddress) : null;
  }

  get destination(): Destination | null {
    return this.#cluster === null ? null : destinationOf(this.#info.connection, this.#cluster.config);
  }

  get hostSelectionRetries(): number {
    return this.triedHosts.length === 0 ? 0 : OTHER_HOST_DRAWS;
  }

  /** null: the cluster does not exist. */
  get cluster(): UpstreamCluster | null {
    return this.#cluster;
  }

  /** Of the cluster that was drawn, whether it exists or not. */
  get name(): string {
    return this.#name;
  }

  start(): void {
    // Who asks for an instance's own address asks for nothing else, whatever routes the service's name has.
    const name = this.#info.connection.pinned ?? this.#runtime.chooseCluster();
    this.#name = name;
    this.#cluster = this.#runtime.cluster(name);
    if (this.#cluster !== null) this.#info.cluster = name;
    if (this.#cluster === null) {
      this.#runtime.stats.downstream_cx_no_route++;
      this.#fail(tcpFailures.noCluster, "");
    } else this.#attempt(this.#cluster);
  }

  /** The caller's connection is over, or was never to be served: whatever is held for it is let go. */
  release(): void {
    this.#over = true;
    const cluster = this.#cluster;
    const endpoint = this.#endpoint;
    this.#endpoint = null;
    if (cluster === null || endpoint === null) return;
    if (this.#giveUp !== null) {
      this.#giveUp();
      this.#giveUp = null;
      cluster.limits.releasePending();
      cluster.stats.upstream_rq_pending_active--;
      cluster.stats.upstream_rq_cancelled++;
      endpoint.recordAbandoned();
      cluster.breaker?.abandon();
    } else {
      cluster.stats.upstream_rq_active--;
    }
    endpoint.activeRequests--;
  }

  #attempt(cluster: UpstreamCluster): void {
    const { stats, limits, breaker } = cluster;
    if (this.#info.attempts >= this.#runtime.config.maxConnectAttempts) {
      this.#info.flags |= Flag.URX;
      this.#tell();
      return;
    }
    if (breaker !== null && !breaker.allow()) {
      stats.breaker_rejected++;
      this.#fail(tcpFailures.breakerOpen, "");
      return;
    }
    if (!limits.tryAcquireConnection(false)) {
      this.#refuse(tcpFailures.connections);
      return;
    }
    const endpoint = cluster.choose(this);
    if (endpoint === null) {
      limits.releaseConnection();
      this.#refuse(tcpFailures.noHealthyUpstream, cluster.why(this.destination));
      return;
    }
    if (!limits.tryAcquirePending()) {
      // As in Envoy it is an attempt that has failed, and raises no flag of its own.
      limits.releaseConnection();
      breaker?.abandon();
      this.#info.attempts++;
      this.#explain(tcpFailures.pending, "");
      this.#attempt(cluster);
      return;
    }
    stats.upstream_rq_total++;
    stats.upstream_rq_pending_total++;
    stats.upstream_rq_pending_active++;
    endpoint.rq_total++;
    endpoint.activeRequests++;
    this.#endpoint = endpoint;
    this.#info.attempts++;
    const meant = addressMeant(endpoint, this);
    this.#info.upstreamHost = meant === null ? endpoint.name : formatAddress(meant);
    this.#startedAt = this.#runtime.clock.now();
    this.#giveUp = cluster.poolOf(endpoint).opaque.open(this, meant);
  }

  onConnected(end: ByteEnd): void {
    const cluster = this.#cluster as UpstreamCluster;
    const endpoint = this.#endpoint as EndpointState<EndpointPool>;
    this.#leaveQueue(cluster);
    endpoint.recordConnectSuccess(true);
    cluster.breaker?.record(true, this.#runtime.clock.now() - this.#startedAt);
    cluster.stats.upstream_rq_active++;
    if (this.#runtime.isLogged) {
      const { socket } = end;
      this.#info.upstreamLocalAddress = localAddressOf(socket);
      if (endpoint.config.additionalAddresses !== undefined) this.#info.upstreamRemoteAddress = remoteAddressOf(socket);
    }
    this.#info.upstreamConnectionId = nextConnectionId();
    this.#owner.onUpstream(end);
  }

  onConnectFailed(failure: "connect_failure" | "connect_timeout", detail: string): void {
    const cluster = this.#cluster as UpstreamCluster;
    const endpoint = this.#endpoint as EndpointState<EndpointPool>;
    this.#leaveQueue(cluster);
    this.#endpoint = null;
    endpoint.activeRequests--;
    cluster.stats.upstream_rq_pending_failure_eject++;
    endpoint.recordLocalOriginFailure(failure === "connect_failure" ? "connect_failed" : "timeout");
    cluster.breaker?.record(false, this.#runtime.clock.now() - this.#startedAt);
    this.triedHosts.push(endpoint);
    this.#info.flags |= tcpFailures[failure].flags;
    // As in Envoy, that there was no time says all: nothing was heard from the transport.
    this.#info.upstreamTransportFailure = failure === "connect_failure" ? detail : "";
    this.#explain(tcpFailures[failure], `${this.#info.upstreamHost}: ${detail}`);
    this.#attempt(cluster);
  }

  #leaveQueue(cluster: UpstreamCluster): void {
    this.#giveUp = null;
    cluster.limits.releasePending();
    cluster.stats.upstream_rq_pending_active--;
  }

  /** Refused after the breaker had let it pass. */
  #refuse(failure: TcpFailure, detail = ""): void {
    this.#cluster?.breaker?.abandon();
    this.#fail(failure, detail);
  }

  #fail(failure: TcpFailure, detail: string): void {
    this.#info.flags |= failure.flags;
    this.#explain(failure, detail);
    this.#tell();
  }

  #explain({ sentence }: TcpFailure, detail: string): void {
    const { attempts } = this.#info;
    const tried = attempts > 1 ? ` (${attempts} attempts)` : "";
    this.#info.explanation = `cluster "${this.#name}": ${sentence}${detail === "" ? "" : `: ${detail}`}${tried}`;
  }

  /** Who asked has not yet returned, perhaps. */
  #tell(): void {
    queueMicrotask(() => {
      if (!this.#over) this.#owner.onNoUpstream();
    });
  }
}
