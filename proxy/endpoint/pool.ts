/**
 * The connections to one endpoint and the requests that wait for them: a bounded queue while new ones are being opened, and
 * limits that are the cluster's. What a connection speaks is the cluster's to say, or for ALPN to settle.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { EventClock } from "../../core/clock.ts";
import type { Random } from "../../core/random.ts";
import type { TimerWheel } from "../../core/timer-wheel.ts";
import { type Address, formatAddress } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { ClusterStats } from "../cluster/cluster-stats.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { Pool } from "../cluster/pool.ts";
import type { ResourceLimits } from "../cluster/resource-limits.ts";
import { Http1ClientConnection } from "../codec/http1/client-connection.ts";
import { Http2ClientConnection } from "../codec/http2/client-connection.ts";
import { MULTIPLEXED } from "../codec/http2/protocol.ts";
import type { UpstreamFailure, UpstreamStream } from "../codec/stream.ts";
import { connectOptions } from "./connect-options.ts";
import type { TlsServerName, UpstreamTlsConnector } from "./connector.ts";
import { connectTo } from "./happy-eyeballs.ts";
import { type ConnectionsOwner, Http1Connections } from "./http1-connections.ts";
import { Http2Connections } from "./http2-connections.ts";
import { IdleLearner } from "./idle-learner.ts";
import { MultiplexChoice } from "./multiplex-choice.ts";
import { OpaqueConnections } from "./opaque-connections.ts";
import type { OwnConnections } from "./own-connections.ts";

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

/** What the connections of a pool speak; `auto`: what ALPN says. */
export type PoolProtocol = "http1" | "http2" | "auto" | "multiplexed";

/** An endpoint's connections of one kind, where it has several. */
interface PoolPart {
  /** null: the TLS context names the server. */
  readonly server: TlsServerName | null;
  /** Of the endpoint's addresses the one that is meant; null: any. */
  readonly address: Address | null;
  readonly protocol: PoolProtocol;
  readonly learner: IdleLearner;
  /** The pool that it is a part of, and its name there. */
  readonly parent: EndpointPool;
  readonly key: string;
}

export interface PoolDeps {
  readonly clock: EventClock;
  readonly wheel: TimerWheel;
  readonly random: Random;
  /** Who knows the connections of this process; absent: nobody asks. */
  readonly own?: OwnConnections;
}

const ALPN: Readonly<Record<PoolProtocol, readonly string[]>> = {
  http1: ["http/1.1"],
  http2: ["h2"],
  auto: ["h2", "http/1.1"],
  multiplexed: [MULTIPLEXED, "http/1.1"],
};

/** A peer that does not take calls as streams may be replaced by one that does, ms. */
const ASK_AGAIN_MS = 60_000;

/** What keeps a shared connection honest where the cluster says nothing (ms). */
const KEEPALIVE = { intervalMs: 60_000, timeoutMs: 20_000, intervalJitterPercent: 15, idleIntervalMs: 0 };

/** Envoy's defaults where the cluster does not say how large a response's head may be. */
const HTTP1_RESPONSE_HEAD_KB = 80;
const HTTP2_RESPONSE_HEAD_KB = 60;

/** How many bytes of a connection's life a pool reports when it ends. */
function countBytes(stats: ClusterStats, socket: Socket): void {
  stats.upstream_cx_rx_bytes_total += socket.bytesRead;
  stats.upstream_cx_tx_bytes_total += socket.bytesWritten;
}

export class EndpointPool implements Pool, ConnectionsOwner {
  readonly #endpoint: EndpointState<EndpointPool>;
  readonly #cluster: PoolCluster;
  readonly #deps: PoolDeps;
  readonly #http1: Http1Connections;
  readonly #http2: Http2Connections;
  /** Connections being opened, as the ways to give them up. */
  readonly #opening = new Set<() => void>();
  readonly #waiting: PoolWaiter[] = [];
  readonly #learner: IdleLearner;
  /** Pools of connections of one kind each: for one server's name, or of one protocol. */
  readonly #parts = new Map<string, EndpointPool>();
  /** null: the pool of all that is of no special kind. */
  readonly #part: PoolPart | null;
  /** Whether the last connection spoke HTTP/2, where ALPN settles it. */
  #negotiatedHttp2 = false;
  readonly #choice = new MultiplexChoice();
  /** Until then the peer is not asked again whether it takes calls as streams. */
  #unsharedUntil = 0;
  #serving = false;
  #draining = false;
  /** Made when first needed. */
  #opaque: OpaqueConnections | null = null;

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
    this.#http1 = new Http1Connections(cluster, deps, this.#learner, this);
    this.#http2 = new Http2Connections(cluster, deps, this);
  }

  get connections(): number {
    return this.#http1.size + this.#http2.size;
  }

  /** Connections of opaque bytes; they outlive a drain, since each ends with its caller's. */
  get opaque(): OpaqueConnections {
    return (this.#opaque ??= new OpaqueConnections(this.#endpoint, this.#cluster, this.#deps));
  }

  get idleConnections(): number {
    return this.#http1.idle + this.#http2.idle;
  }

  get draining(): boolean {
    return this.#draining;
  }

  get closing(): boolean {
    return this.#draining && this.#waiting.length === 0;
  }

  /** What connections of this pool are to speak. */
  get #protocol(): PoolProtocol {
    if (this.#part !== null) return this.#part.protocol;
    const { protocol } = this.#cluster.config.http;
    return protocol === "use_downstream" ? "http1" : protocol;
  }

  /** The connections whose TLS was about this server; made when first needed, gone with its last connection. */
  forServer(name: string, server: TlsServerName): EndpointPool {
    return this.#partOf(`server ${name}`, server, this.#protocol);
  }

  /** The connections that speak the caller's version (`use_downstream_protocol_config`). */
  forVersion(http2: boolean): EndpointPool {
    return this.#partOf(http2 ? "http2" : "http1", this.#part?.server ?? null, http2 ? "http2" : "http1");
  }

  /** The connections to that one of the endpoint's addresses, which the caller asked for. */
  forAddress(address: Address): EndpointPool {
    return this.#partOf(`address ${formatAddress(address)}`, this.#part?.server ?? null, this.#protocol, address);
  }

  /**
   * The connections that carry a call of HTTP/1 to another sidecar: streams of a few, while there are many calls, or one to
   * each.
   */
  forLoad(): EndpointPool {
    const { config, tls } = this.#cluster;
    if (config.outrigger?.multiplex !== true || this.#protocol !== "http1") return this;
    const now = this.#deps.clock.now();
    if (!this.#choice.choose(this.#endpoint.activeRequests, now) || now < this.#unsharedUntil) return this;
    if (tls(this.#endpoint) === null) return this;
    return this.#partOf("multiplexed", this.#part?.server ?? null, "multiplexed");
  }

  #partOf(
    key: string,
    server: TlsServerName | null,
    protocol: PoolProtocol,
    address = this.#part?.address ?? null,
  ): EndpointPool {
    let pool = this.#parts.get(key);
    if (pool === undefined) {
      const part: PoolPart = { server, address, protocol, learner: this.#learner, parent: this, key };
      pool = new EndpointPool(this.#endpoint, this.#cluster, this.#deps, part);
      this.#parts.set(key, pool);
    }
    return pool;
  }

  /** The peer does not take calls as streams: this pool has the connection, and those that waited for one. */
  #takeOver(socket: Socket, waiting: readonly PoolWaiter[]): void {
    this.#unsharedUntil = this.#deps.clock.now() + ASK_AGAIN_MS;
    this.#waiting.push(...waiting);
    this.serve();
    this.#use(socket, false);
  }

  /** Gives a connection that is free for one request, or null after queueing the waiter or telling it why not. */
  acquire(waiter: PoolWaiter): UpstreamStream | null {
    const connection = this.#take();
    if (connection !== undefined) return connection;
    const { limits, stats } = this.#cluster;
    if (!limits.tryAcquirePending()) {
      this.#leaveIfEmpty();
      waiter.onPoolFailure("overflow", "too many requests wait for a connection (max_pending_requests)");
      return null;
    }
    stats.upstream_rq_pending_total++;
    stats.upstream_rq_pending_active++;
    this.#waiting.push(waiter);
    this.#openForWaiting();
    return null;
  }

  #take(): UpstreamStream | undefined {
    switch (this.#protocol) {
      case "http1":
        return this.#http1.take();
      case "http2":
        return this.#http2.take();
      default:
        return this.#http2.take() ?? this.#http1.take();
    }
  }

  /**
   * Gives what is free to those that wait, in their order. False: nobody took anything. Who is served may give back what
   * it got at once, which is for the next: that is found by the loop that is under way, however many do so.
   */
  serve(): boolean {
    if (this.#serving) return this.#waiting.length > 0;
    let served = false;
    this.#serving = true;
    try {
      while (this.#waiting.length > 0) {
        const connection = this.#take();
        if (connection === undefined) break;
        const waiter = this.#waiting.shift() as PoolWaiter;
        this.#leaveQueue();
        served = true;
        waiter.onConnection(connection);
      }
    } finally {
      this.#serving = false;
    }
    return served;
  }

  /** The waiter does not want a connection any more. */
  forget(waiter: PoolWaiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at < 0) {
      // It may have been handed to the pool that this is a part of.
      this.#part?.parent.forget(waiter);
      return;
    }
    this.#waiting.splice(at, 1);
    this.#cluster.stats.upstream_rq_pending_active--;
    this.#cluster.limits.releasePending();
    this.#leaveIfEmpty();
  }

  drain(reason: string): void {
    this.#draining = true;
    for (const pool of this.#parts.values()) pool.drain(reason);
    this.#http1.retireAll();
    this.#http2.retireAll();
    this.#opaque?.drain();
  }

  close(): void {
    this.#draining = true;
    for (const pool of [...this.#parts.values()]) pool.close();
    for (const giveUp of this.#opening) giveUp();
    for (let i = this.#opening.size; i > 0; i--) this.#cluster.limits.releaseConnection();
    this.#opening.clear();
    this.#http1.destroyAll();
    this.#http2.destroyAll();
    this.#opaque?.close();
    this.#failWaiting("local_close", "the cluster was removed");
  }

  onConnectionClosed(socket: Socket): void {
    const { stats, limits } = this.#cluster;
    countBytes(stats, socket);
    stats.upstream_cx_active--;
    stats.upstream_cx_destroy++;
    this.#endpoint.activeConnections--;
    limits.releaseConnection();
    this.#openForWaiting();
    this.#leaveIfEmpty();
  }

  /** A caller may name any server: no pool outlives its use. */
  #leaveIfEmpty(): void {
    if (this.#part === null) return;
    if (this.connections + this.#opening.size + this.#waiting.length + this.#parts.size > 0) return;
    this.#http1.stop();
    this.#http2.stop();
    const { parent, key } = this.#part;
    // Once gone, another may have its name.
    if (parent.#parts.get(key) !== this) return;
    parent.#parts.delete(key);
    parent.#leaveIfEmpty();
  }

  /** Learns an announced idle limit (`Keep-Alive: timeout=5`). */
  announceIdleLimit(ms: number): void {
    if (this.#cluster.config.outrigger?.learnIdleTimeout) this.#learner.sawAnnouncement(ms);
  }

  /** As many connections as those that wait need; with ALPN that is not known before the first one stands. */
  #openForWaiting(): void {
    const protocol = this.#protocol;
    const many = protocol !== "http1" && (protocol === "http2" || this.#negotiatedHttp2 || this.#http1.size === 0);
    const needed = many ? Math.ceil(this.#waiting.length / this.#http2.expectedStreams) : this.#waiting.length;
    while (this.#opening.size < needed) if (!this.#open()) break;
  }

  /** False: the cluster's limit of connections is reached. */
  #open(): boolean {
    const { limits, stats, config } = this.#cluster;
    const endpoint = this.#endpoint;
    const only = this.connections === 0 && this.#opening.size === 0;
    if (!limits.tryAcquireConnection(only)) return false;
    stats.upstream_cx_total++;
    endpoint.cx_total++;
    const { own } = this.#deps;
    const server = this.#part?.server ?? null;
    const purpose = { tls: this.#cluster.tls(endpoint), server, alpn: ALPN[this.#protocol], own };
    const giveUp = connectTo(
      endpoint,
      this.#part?.address ?? null,
      (address) => connectOptions(config, endpoint, address, purpose),
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
    return true;
  }

  #onConnected(socket: Socket): void {
    this.#cluster.stats.upstream_cx_active++;
    this.#endpoint.activeConnections++;
    this.#endpoint.recordConnectSuccess(false);
    const protocol = this.#protocol;
    const alpn = socket instanceof TLSSocket ? socket.alpnProtocol : null;
    const multiplexed = protocol === "multiplexed" && alpn === MULTIPLEXED;
    this.#negotiatedHttp2 = multiplexed || (protocol === "auto" && alpn === "h2");
    if (protocol === "multiplexed" && !multiplexed && this.#part !== null) {
      this.#part.parent.#takeOver(socket, this.#waiting.splice(0));
      this.#leaveIfEmpty();
    } else this.#use(socket, multiplexed);
  }

  #use(socket: Socket, multiplexed: boolean): void {
    const { stats, config } = this.#cluster;
    const { http } = config;
    const isHttp2 = this.#protocol === "http2" || this.#negotiatedHttp2;
    const headKb =
      http.maxResponseHeadersKb ?? (isHttp2 && !multiplexed ? HTTP2_RESPONSE_HEAD_KB : HTTP1_RESPONSE_HEAD_KB);
    const limits = { maxHeadBytes: headKb * 1024, maxFields: http.maxHeadersCount };
    if (isHttp2) {
      const keepalive = http.http2.keepalive ?? (multiplexed ? KEEPALIVE : null);
      // There is no table of headers that one bad message could put out of step.
      const streamErrorOnInvalidMessage = multiplexed || http.http2.streamErrorOnInvalidMessage;
      const options = { ...limits, http2: { ...http.http2, keepalive, streamErrorOnInvalidMessage } };
      const counts = multiplexed ? stats.multiplexed : stats.http2;
      this.#http2.add(new Http2ClientConnection(socket, options, multiplexed, this.#http2, counts, this.#deps));
    } else {
      stats.upstream_cx_http1_total++;
      this.#http1.add(new Http1ClientConnection(socket, limits, this.#http1, this.#deps.clock));
    }
    this.#openForWaiting();
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
}
