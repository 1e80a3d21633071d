/**
 * The connections to one address of another sidecar that carry opaque connections as streams: few, replaced when the
 * workload has a new certificate or the peer goes away, closed when they have carried nothing for long.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { WheelTimer } from "../../core/timer-wheel.ts";
import type { Address } from "../../model/address.ts";
import { OPAQUE_ALPN, OPAQUE_STREAMS_ALPN } from "../../model/tls.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { ByteEnd } from "../codec/byte-end.ts";
import { OpaqueClientConnection, type OpaqueClientOwner } from "../codec/http2/opaque-client.ts";
import { connectOptions } from "./connect-options.ts";
import { tooLate, type UpstreamTlsConnector } from "./connector.ts";
import { connectTo } from "./happy-eyeballs.ts";
import { sweepIdle } from "./idle-connections.ts";
import type { ConnectFailure, OpaqueAttempt } from "./opaque-attempt.ts";
import { OpaqueStreamAttempt, type StreamAttemptOwner } from "./opaque-stream-attempt.ts";
import type { EndpointPool, PoolCluster, PoolDeps } from "./pool.ts";

/** Who wants connections. */
export interface SharingOwner {
  opened(attempt: OpaqueAttempt, end: ByteEnd): void;
  failed(attempt: OpaqueAttempt, failure: ConnectFailure, detail: string): void;
  /** The attempt is to have a connection of its own; `socket`: this one, if not null. */
  openOwn(attempt: OpaqueAttempt, socket: Socket | null): void;
  /** The peer takes no streams. */
  onUnshared(): void;
}

/** The peer's choice: streams, or one connection as it is. */
const OFFER: readonly string[] = [OPAQUE_STREAMS_ALPN, OPAQUE_ALPN];

export class SharedConnections implements OpaqueClientOwner, StreamAttemptOwner {
  readonly #endpoint: EndpointState<EndpointPool>;
  readonly #cluster: PoolCluster;
  readonly #deps: PoolDeps;
  readonly #address: Address | null;
  readonly #owner: SharingOwner;
  /** Those that take new streams, the oldest first. */
  readonly #usable: OpaqueClientConnection[] = [];
  readonly #all = new Set<OpaqueClientConnection>();
  readonly #waiting: OpaqueAttempt[] = [];
  /** Set while a connection is being opened. */
  #giveUp: (() => void) | null = null;
  /** What the usable connections were made with. */
  #tls: UpstreamTlsConnector | null = null;
  #material: object | null | undefined;
  readonly #sweep = new WheelTimer(() => this.#closeIdle());
  #draining = false;

  /** `address`: of the endpoint's addresses the one to connect to; null: any. */
  constructor(
    endpoint: EndpointState<EndpointPool>,
    cluster: PoolCluster,
    deps: PoolDeps,
    address: Address | null,
    owner: SharingOwner,
  ) {
    this.#endpoint = endpoint;
    this.#cluster = cluster;
    this.#deps = deps;
    this.#address = address;
    this.#owner = owner;
  }

  /** How many are open. */
  get size(): number {
    return this.#all.size;
  }

  /** Makes a stream of the attempt, once there is a connection for it. */
  place(attempt: OpaqueAttempt): void {
    this.#renew();
    this.#enqueue(attempt);
    this.#serve();
  }

  /** Makes a stream of the attempt, on a connection that was opened for it alone. */
  adopt(attempt: OpaqueAttempt, socket: Socket): void {
    this.#enqueue(attempt);
    this.#use(socket, false);
  }

  #enqueue(attempt: OpaqueAttempt): void {
    this.#waiting.push(attempt);
    attempt.cancel = () => {
      const at = this.#waiting.indexOf(attempt);
      if (at >= 0) this.#waiting.splice(at, 1);
    };
  }

  /** No new streams: what is open ends with its last. */
  drain(): void {
    this.#draining = true;
    this.#retireAll();
  }

  /** Cuts what is open. Who waits is told nothing. */
  close(): void {
    this.#draining = true;
    this.#waiting.length = 0;
    this.#giveUp?.();
    this.#giveUp = null;
    this.#deps.wheel.cancel(this.#sweep);
    for (const { socket } of this.#all) socket.destroy();
  }

  #serve(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#usable.find(({ capacity }) => capacity > 0);
      if (connection === undefined) {
        this.#connect();
        return;
      }
      const attempt = this.#waiting.shift() as OpaqueAttempt;
      const limit = this.#cluster.config.connectTimeoutMs;
      new OpaqueStreamAttempt(attempt, connection, this, this.#deps.wheel).begin(limit);
    }
  }

  /** Connections that were made with what is not in force any more take no new streams. */
  #renew(): void {
    const tls = this.#cluster.tls(this.#endpoint);
    const material = tls?.current?.();
    if (tls === this.#tls && material === this.#material) return;
    this.#tls = tls;
    this.#material = material;
    this.#retireAll();
  }

  #retireAll(): void {
    for (const connection of [...this.#usable]) connection.retire();
  }

  #connect(): void {
    if (this.#giveUp !== null) return;
    const { config } = this.#cluster;
    const { own, wheel, clock } = this.#deps;
    const tls = this.#tls;
    const material = this.#material;
    const purpose = { tls, server: null, alpn: OFFER, own };
    this.#giveUp = connectTo(
      this.#endpoint,
      this.#address,
      (address) => connectOptions(config, this.#endpoint, address, purpose),
      wheel,
      {
        onConnected: (socket) => {
          clock.refresh();
          this.#giveUp = null;
          this.#use(socket, tls === this.#tls && material === this.#material && !this.#draining);
        },
        onFailed: (failure, detail) => {
          clock.refresh();
          this.#giveUp = null;
          for (const attempt of this.#waiting.splice(0)) this.#owner.failed(attempt, failure, detail);
        },
      },
    );
  }

  /** `lasting`: not only for those that wait already. */
  #use(socket: Socket, lasting: boolean): void {
    if (!(socket instanceof TLSSocket && socket.alpnProtocol === OPAQUE_STREAMS_ALPN)) {
      this.#owner.onUnshared();
      const [first, ...others] = this.#waiting.splice(0);
      if (first === undefined) socket.destroy();
      else this.#owner.openOwn(first, socket);
      for (const attempt of others) this.#owner.openOwn(attempt, null);
      return;
    }
    const connection = new OpaqueClientConnection(socket, this, this.#cluster.stats.opaque, this.#deps);
    this.#all.add(connection);
    this.#usable.push(connection);
    this.onCapacity(connection);
    if (!lasting) connection.retire();
  }

  onCapacity(connection: OpaqueClientConnection): void {
    this.#serve();
    if (connection.activeStreams > 0) return;
    connection.idleSince = this.#deps.clock.now();
    const idleTimeout = this.#cluster.config.http.idleTimeoutMs;
    if (idleTimeout > 0 && !this.#sweep.armed) this.#deps.wheel.arm(this.#sweep, idleTimeout);
  }

  onDraining(connection: OpaqueClientConnection): void {
    const at = this.#usable.indexOf(connection);
    if (at >= 0) this.#usable.splice(at, 1);
  }

  onClosed(connection: OpaqueClientConnection): void {
    this.#all.delete(connection);
    if (this.#all.size === 0) this.#deps.wheel.cancel(this.#sweep);
  }

  onStream(attempt: OpaqueAttempt, end: ByteEnd): void {
    this.#owner.opened(attempt, end);
  }

  onStreamRefused(attempt: OpaqueAttempt, connection: OpaqueClientConnection, again: boolean, detail: string): void {
    // Whatever it was, the next one is not to meet with the same.
    connection.retire();
    if (!connection.proven) {
      // It has ended before its peer has said anything, as one does that is not let in: as it would be by itself.
      this.#owner.onUnshared();
      this.#owner.openOwn(attempt, null);
    } else if (again && !attempt.refused) {
      attempt.refused = true;
      this.place(attempt);
    } else this.#owner.failed(attempt, "connect_failure", detail);
  }

  onStreamLate(attempt: OpaqueAttempt, connection: OpaqueClientConnection): void {
    connection.retire();
    this.#owner.failed(attempt, "connect_timeout", tooLate(this.#cluster.config.connectTimeoutMs));
  }

  /** Closes what has carried nothing for too long. */
  #closeIdle(): void {
    const limit = this.#cluster.config.http.idleTimeoutMs;
    const next = sweepIdle(this.#usable, limit, this.#deps.clock.now(), (connection) => connection.retire());
    if (next < Infinity) this.#deps.wheel.arm(this.#sweep, Math.max(1, next));
  }
}
