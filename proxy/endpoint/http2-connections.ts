/** The HTTP/2 connections of a pool: few, each with many requests, replaced before they get too old. */
import { WheelTimer } from "../../core/timer-wheel.ts";
import type { Http2ClientConnection, Http2Owner } from "../codec/http2/client-connection.ts";
import type { Http2ClientStream } from "../codec/http2/client-stream.ts";
import { type ConnectionsOwner, retireWhenOld } from "./http1-connections.ts";
import { sweepIdle } from "./idle-connections.ts";
import type { PoolCluster, PoolDeps } from "./pool.ts";

/** RFC 9113, section 6.5.2, advises servers to allow no fewer streams: what is counted on before they have said. */
const USUAL_STREAMS = 100;

export class Http2Connections implements Http2Owner {
  readonly #cluster: PoolCluster;
  readonly #deps: PoolDeps;
  readonly #owner: ConnectionsOwner;
  /** Those that take new streams, the oldest first. */
  readonly #usable: Http2ClientConnection[] = [];
  readonly #all = new Set<Http2ClientConnection>();
  readonly #sweep: WheelTimer;
  /** How many streams the peer allowed when it last said so, at most as many as are usual. */
  #allowed = USUAL_STREAMS;

  constructor(cluster: PoolCluster, deps: PoolDeps, owner: ConnectionsOwner) {
    this.#cluster = cluster;
    this.#deps = deps;
    this.#owner = owner;
    this.#sweep = new WheelTimer(() => this.#closeIdle());
  }

  get size(): number {
    return this.#all.size;
  }

  /** Those that carry no stream at the moment. */
  get idle(): number {
    let idle = 0;
    for (const connection of this.#all) if (connection.activeStreams === 0) idle++;
    return idle;
  }

  /** How many requests a connection that is being opened will carry at once, at least. */
  get expectedStreams(): number {
    const { http2, maxRequestsPerConnection: most } = this.#cluster.config.http;
    return Math.max(1, Math.min(this.#allowed, http2.maxConcurrentStreams, most > 0 ? most : USUAL_STREAMS));
  }

  add(connection: Http2ClientConnection): void {
    this.#all.add(connection);
    // What the same peer has said before will hold again.
    connection.untoldStreams = this.#allowed;
    retireWhenOld(connection.socket, this.#cluster, this.#deps, () => connection.retire());
    connection.idleSince = this.#deps.clock.now();
    if (!connection.draining) this.#usable.push(connection);
    this.onCapacity(connection);
  }

  /** Opens a stream where there is room; undefined if there is none. */
  take(): Http2ClientStream | undefined {
    const most = this.#cluster.config.http.maxRequestsPerConnection;
    for (const connection of this.#usable) {
      if (connection.capacity <= 0) continue;
      const stream = connection.open();
      // Envoy's `max_requests_per_connection`: this is its last.
      if (most > 0 && connection.requests >= most) connection.retire();
      return stream;
    }
    return undefined;
  }

  onCapacity(connection: Http2ClientConnection): void {
    const { announcedStreams } = connection;
    if (announcedStreams >= 0) this.#allowed = Math.min(announcedStreams, USUAL_STREAMS);
    if (connection.activeStreams === 0) connection.idleSince = this.#deps.clock.now();
    if (connection.capacity > 0) this.#owner.serve();
    if (connection.activeStreams > 0) return;
    if (this.#owner.closing) connection.retire();
    else this.#armSweep();
  }

  onDraining(connection: Http2ClientConnection): void {
    const at = this.#usable.indexOf(connection);
    if (at >= 0) this.#usable.splice(at, 1);
  }

  onClosed(connection: Http2ClientConnection): void {
    this.onDraining(connection);
    if (!this.#all.delete(connection)) return;
    if (this.#all.size === 0) this.stop();
    this.#owner.onConnectionClosed(connection.socket);
  }

  retireAll(): void {
    for (const connection of [...this.#all]) connection.retire();
    this.stop();
  }

  destroyAll(): void {
    this.stop();
    for (const connection of [...this.#all]) connection.socket.destroy();
  }

  stop(): void {
    this.#deps.wheel.cancel(this.#sweep);
  }

  #armSweep(): void {
    const idleTimeout = this.#cluster.config.http.idleTimeoutMs;
    if (idleTimeout > 0 && !this.#sweep.armed) this.#deps.wheel.arm(this.#sweep, idleTimeout);
  }

  /** Closes what has carried nothing for too long. */
  #closeIdle(): void {
    const limit = this.#cluster.config.http.idleTimeoutMs;
    const next = sweepIdle(this.#usable, limit, this.#deps.clock.now(), (connection) => {
      this.#cluster.stats.upstream_cx_idle_timeout++;
      connection.retire();
    });
    if (next < Infinity) this.#deps.wheel.arm(this.#sweep, Math.max(1, next));
  }
}
