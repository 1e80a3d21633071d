/** The HTTP/1 connections of a pool: the most recently used idle one first, each with one request to itself. */
import type { Socket } from "node:net";
import { WheelTimer } from "../../core/timer-wheel.ts";
import type { ClientOwner, Http1ClientConnection } from "../codec/http1/client-connection.ts";
import type { IdleLearner } from "./idle-learner.ts";
import type { PoolCluster, PoolDeps } from "./pool.ts";

/** The pool, as the connections of one protocol see it. */
export interface ConnectionsOwner {
  /** A connection can take a request: true if somebody took it, or will. */
  serve(): boolean;
  onConnectionClosed(socket: Socket): void;
  readonly draining: boolean;
  /** Draining, and nobody waits any more: what carries nothing ends. */
  readonly closing: boolean;
}

/** Envoy's `max_connection_duration`: past it a connection takes no more requests. */
export function retireWhenOld(
  socket: Socket,
  { config, stats }: PoolCluster,
  { wheel }: PoolDeps,
  retire: () => void,
): void {
  const limit = config.http.maxConnectionDurationMs;
  if (limit <= 0) return;
  const timer = wheel.after(limit, () => {
    stats.upstream_cx_max_duration_reached++;
    retire();
  });
  socket.once("close", () => wheel.cancel(timer));
}

export class Http1Connections implements ClientOwner {
  readonly #cluster: PoolCluster;
  readonly #deps: PoolDeps;
  readonly #learner: IdleLearner;
  readonly #owner: ConnectionsOwner;
  readonly #idle: Http1ClientConnection[] = [];
  readonly #all = new Set<Http1ClientConnection>();
  readonly #sweep: WheelTimer;

  constructor(cluster: PoolCluster, deps: PoolDeps, learner: IdleLearner, owner: ConnectionsOwner) {
    this.#cluster = cluster;
    this.#deps = deps;
    this.#learner = learner;
    this.#owner = owner;
    this.#sweep = new WheelTimer(() => this.#closeIdle());
  }

  get size(): number {
    return this.#all.size;
  }

  get idle(): number {
    return this.#idle.length;
  }

  add(connection: Http1ClientConnection): void {
    this.#all.add(connection);
    retireWhenOld(connection.socket, this.#cluster, this.#deps, () => {
      const at = this.#idle.indexOf(connection);
      if (at >= 0) this.#idle.splice(at, 1);
      connection.retire();
    });
    this.onIdle(connection);
  }

  /** Takes a free connection; undefined if there is none. */
  take(): Http1ClientConnection | undefined {
    let connection = this.#idle.pop();
    const limit = connection === undefined ? 0 : this.#learner.limitMs;
    if (limit <= 0) return connection;
    const now = this.#deps.clock.now();
    // The upstream is about to close what has been idle this long: a request now would race with it.
    while (connection !== undefined && now - connection.idleSince >= limit) {
      this.#cluster.stats.upstream_cx_idle_timeout++;
      connection.retire();
      connection = this.#idle.pop();
    }
    return connection;
  }

  onIdle(connection: Http1ClientConnection): void {
    const { config } = this.#cluster;
    const most = config.http.maxRequestsPerConnection;
    if (most > 0 && connection.requests >= most) {
      connection.retire();
      return;
    }
    connection.idleSince = this.#deps.clock.now();
    this.#idle.push(connection);
    // Also while draining: what waits has been promised a connection of this pool.
    if (this.#owner.serve()) return;
    if (this.#owner.draining) {
      this.#idle.pop();
      connection.retire();
      return;
    }
    const idleTimeout = config.http.idleTimeoutMs;
    if (idleTimeout > 0 && !this.#sweep.armed) this.#deps.wheel.arm(this.#sweep, idleTimeout);
  }

  onClosed(connection: Http1ClientConnection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) {
      this.#idle.splice(at, 1);
      if (this.#cluster.config.outrigger?.learnIdleTimeout && !this.#owner.draining) {
        this.#learner.sawClose(this.#deps.clock.now() - connection.idleSince);
      }
    }
    if (!this.#all.delete(connection)) return;
    if (this.#all.size === 0) this.#deps.wheel.cancel(this.#sweep);
    this.#owner.onConnectionClosed(connection.socket);
  }

  retireAll(): void {
    for (const connection of this.#idle.splice(0)) connection.retire();
    for (const connection of this.#all) connection.retire();
    this.stop();
  }

  destroyAll(): void {
    this.stop();
    for (const connection of [...this.#all]) connection.socket.destroy();
  }

  stop(): void {
    this.#deps.wheel.cancel(this.#sweep);
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
