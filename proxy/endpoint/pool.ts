/**
 * The HTTP/1 connections to one endpoint: the most recently used idle one first, a bounded queue while new ones are
 * being opened, and limits that are the cluster's. One request has a connection to itself.
 */
import type { Socket } from "node:net";
import type { EventClock } from "../../core/clock.ts";
import { type TimerWheel, WheelTimer } from "../../core/timer-wheel.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { ClusterStats } from "../cluster/cluster-stats.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { Pool } from "../cluster/pool.ts";
import type { ResourceLimits } from "../cluster/resource-limits.ts";
import { type ClientOwner, Http1ClientConnection } from "../codec/http1/client-connection.ts";
import type { UpstreamFailure, UpstreamStream } from "../codec/stream.ts";
import { connect, type TlsServerName, type UpstreamTlsConnector } from "./connector.ts";
import { IdleLearner } from "./idle-learner.ts";

/** Who wants a connection. */
export interface PoolWaiter {
  onConnection(connection: UpstreamStream): void;
  onPoolFailure(failure: UpstreamFailure, detail: string): void;
}

/** What a pool reads of its cluster; the cluster may change under it. */
export interface PoolCluster {
  readonly config: Cluster;
  readonly stats: ClusterStats;
  /** The cluster's limits of the default and the high priority share one pool's connections under the first. */
  readonly limits: ResourceLimits;
  readonly tls: (endpoint: EndpointState<EndpointPool>) => UpstreamTlsConnector | null;
}

/** One server's share of an endpoint's connections. */
interface PoolPart {
  readonly server: TlsServerName;
  readonly learner: IdleLearner;
  readonly onEmpty: () => void;
}

export interface PoolDeps {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
}

/** How many bytes of a connection's life a pool reports when it ends. */
function countBytes(stats: ClusterStats, socket: Socket): void {
  stats.upstream_cx_rx_bytes_total += socket.bytesRead;
  stats.upstream_cx_tx_bytes_total += socket.bytesWritten;
}

export class EndpointPool implements Pool, ClientOwner {
  readonly #endpoint: EndpointState<EndpointPool>;
  readonly #cluster: PoolCluster;
  readonly #deps: PoolDeps;
  readonly #idle: Http1ClientConnection[] = [];
  readonly #all = new Set<Http1ClientConnection>();
  /** Connections being opened, as the ways to give them up. */
  readonly #opening = new Set<() => void>();
  readonly #waiting: PoolWaiter[] = [];
  readonly #sweep: WheelTimer;
  readonly #learner: IdleLearner;
  /** Pools of connections that were opened for one server name each. */
  readonly #byServer = new Map<string, EndpointPool>();
  /** null: the TLS context names the server. */
  readonly #part: PoolPart | null;
  #draining = false;

  constructor(
    endpoint: EndpointState<EndpointPool>,
    cluster: PoolCluster,
    deps: PoolDeps,
    part: PoolPart | null = null,
  ) {
    this.#endpoint = endpoint;
    this.#cluster = cluster;
    this.#deps = deps;
    this.#part = part;
    this.#learner = part?.learner ?? new IdleLearner();
    this.#sweep = new WheelTimer(() => this.#closeIdle());
  }

  get connections(): number {
    return this.#all.size;
  }

  get idleConnections(): number {
    return this.#idle.length;
  }

  /** The connections whose TLS was about this server; made when first needed, gone with its last connection. */
  forServer(name: string, server: TlsServerName): EndpointPool {
    let pool = this.#byServer.get(name);
    if (pool === undefined) {
      const onEmpty = (): void => {
        this.#byServer.delete(name);
      };
      pool = new EndpointPool(this.#endpoint, this.#cluster, this.#deps, { server, learner: this.#learner, onEmpty });
      this.#byServer.set(name, pool);
    }
    return pool;
  }

  /** Gives a free connection, or null after queueing the waiter or telling it why not. */
  acquire(waiter: PoolWaiter): UpstreamStream | null {
    let connection = this.#idle.pop();
    if (connection !== undefined) {
      const limit = this.#learner.limitMs;
      if (limit > 0) {
        const now = this.#deps.clock.now();
        // The upstream is about to close what has been idle this long: a request now would race with it.
        while (connection !== undefined && now - connection.idleSince >= limit) {
          this.#cluster.stats.upstream_cx_idle_timeout++;
          connection.retire();
          connection = this.#idle.pop();
        }
      }
      if (connection !== undefined) return connection;
    }
    const { limits, stats } = this.#cluster;
    if (!limits.tryAcquirePending()) {
      this.#leaveIfEmpty();
      waiter.onPoolFailure("overflow", "too many requests wait for a connection (max_pending_requests)");
      return null;
    }
    stats.upstream_rq_pending_total++;
    stats.upstream_rq_pending_active++;
    this.#waiting.push(waiter);
    if (this.#opening.size < this.#waiting.length) this.#open();
    return null;
  }

  /** The waiter does not want a connection any more. */
  forget(waiter: PoolWaiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at < 0) return;
    this.#waiting.splice(at, 1);
    this.#cluster.stats.upstream_rq_pending_active--;
    this.#cluster.limits.releasePending();
    this.#leaveIfEmpty();
  }

  drain(reason: string): void {
    this.#draining = true;
    for (const pool of this.#byServer.values()) pool.drain(reason);
    for (const connection of this.#idle.splice(0)) connection.retire();
    for (const connection of this.#all) connection.retire();
    this.#deps.wheel.cancel(this.#sweep);
  }

  close(): void {
    this.#draining = true;
    for (const pool of [...this.#byServer.values()]) pool.close();
    this.#deps.wheel.cancel(this.#sweep);
    for (const giveUp of this.#opening) giveUp();
    for (let i = this.#opening.size; i > 0; i--) this.#cluster.limits.releaseConnection();
    this.#opening.clear();
    for (const connection of [...this.#all]) connection.socket.destroy();
    this.#failWaiting("local_close", "the cluster was removed");
  }

  onIdle(connection: Http1ClientConnection): void {
    const { config } = this.#cluster;
    const most = config.http.maxRequestsPerConnection;
    if (most > 0 && connection.requests >= most) {
      connection.retire();
      return;
    }
    // Also while draining: what waits here has been promised a connection of this pool.
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) {
      this.#leaveQueue();
      waiter.onConnection(connection);
      return;
    }
    if (this.#draining) {
      connection.retire();
      return;
    }
    connection.idleSince = this.#deps.clock.now();
    this.#idle.push(connection);
    const idleTimeout = config.http.idleTimeoutMs;
    if (idleTimeout > 0 && !this.#sweep.armed) this.#deps.wheel.arm(this.#sweep, idleTimeout);
  }

  onClosed(connection: Http1ClientConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) {
      this.#idle.splice(at, 1);
      if (this.#cluster.config.outrigger?.learnIdleTimeout && !this.#draining) {
        this.#learner.sawClose(this.#deps.clock.now() - connection.idleSince);
      }
    }
    if (!this.#all.delete(connection)) return;
    const { stats, limits } = this.#cluster;
    countBytes(stats, connection.socket);
    stats.upstream_cx_active--;
    stats.upstream_cx_destroy++;
    this.#endpoint.activeConnections--;
    limits.releaseConnection();
    if (this.#all.size === 0) this.#deps.wheel.cancel(this.#sweep);
    if (this.#waiting.length > this.#opening.size) this.#open();
    this.#leaveIfEmpty();
  }

  /** A caller may name any server: no pool outlives its use. */
  #leaveIfEmpty(): void {
    if (this.#part === null) return;
    if (this.#all.size + this.#opening.size + this.#waiting.length > 0) return;
    this.#deps.wheel.cancel(this.#sweep);
    this.#part.onEmpty();
  }

  /** Learns an announced idle limit (`Keep-Alive: timeout=5`). */
  announceIdleLimit(ms: number): void {
    if (this.#cluster.config.outrigger?.learnIdleTimeout) this.#learner.sawAnnouncement(ms);
  }

  #open(): void {
    const { limits, stats, config } = this.#cluster;
    const endpoint = this.#endpoint;
    const only = this.#all.size === 0 && this.#opening.size === 0;
    if (!limits.tryAcquireConnection(only)) return;
    stats.upstream_cx_total++;
    endpoint.cx_total++;
    const tls = this.#cluster.tls(endpoint);
    const hostname = endpoint.config.hostname || (endpoint.address.kind === "tcp" ? endpoint.address.host : "");
    const giveUp = connect(
      {
        address: endpoint.address,
        timeoutMs: config.connectTimeoutMs,
        tls,
        hostname,
        server: this.#part?.server ?? null,
        localAddress: config.bindAddress?.kind === "tcp" ? config.bindAddress.host : null,
        keepAlive: config.tcpKeepalive,
      },
      this.#deps.wheel,
      {
        onConnected: (socket) => {
          this.#deps.clock.refresh();
          this.#opening.delete(giveUp);
          this.#onConnected(socket);
        },
        onFailed: (failure, detail) => {
          this.#deps.clock.refresh();
          this.#opening.delete(giveUp);
          limits.releaseConnection();
          stats.upstream_cx_connect_fail++;
          if (failure === "connect_timeout") stats.upstream_cx_connect_timeout++;
          // As in Envoy, a failed connection takes everything that waited for it with it; retries are decided above.
          this.#failWaiting(failure, detail);
          this.#leaveIfEmpty();
        },
      },
    );
    this.#opening.add(giveUp);
  }

  #onConnected(socket: Socket): void {
    const { stats, config } = this.#cluster;
    stats.upstream_cx_active++;
    this.#endpoint.activeConnections++;
    this.#endpoint.recordConnectSuccess(false);
    const connection = new Http1ClientConnection(
      socket,
      { maxHeadBytes: config.http.maxResponseHeadersKb * 1024, maxFields: config.http.maxHeadersCount },
      this,
      this.#deps.clock,
    );
    this.#all.add(connection);
    this.onIdle(connection);
  }

  #leaveQueue(): void {
    this.#cluster.stats.upstream_rq_pending_active--;
    this.#cluster.limits.releasePending();
  }

  #failWaiting(failure: UpstreamFailure, detail: string): void {
    for (const waiter of this.#waiting.splice(0)) {
      this.#leaveQueue();
      this.#cluster.stats.upstream_rq_pending_failure_eject++;
      waiter.onPoolFailure(failure, detail);
    }
  }

  /** Closes what has been idle too long; the oldest are at the bottom of the stack. */
  #closeIdle(): void {
    const limit = this.#cluster.config.http.idleTimeoutMs;
    const now = this.#deps.clock.now();
    while (this.#idle.length > 0 && now - (this.#idle[0] as Http1ClientConnection).idleSince >= limit) {
      this.#cluster.stats.upstream_cx_idle_timeout++;
      this.#idle.shift()?.retire();
    }
    const oldest = this.#idle[0];
    if (oldest !== undefined) this.#deps.wheel.arm(this.#sweep, Math.max(1, limit - (now - oldest.idleSince)));
  }
}
