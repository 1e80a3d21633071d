/**
 * Connections to one endpoint that carry opaque bytes: each belongs to one caller from its first byte to its last, be it a
 * socket of its own or a stream of a shared one. What they cost and whom they count for is kept here.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Address, formatAddress } from "../../model/address.ts";
import { OPAQUE_ALPN, OPAQUE_STREAMS_ALPN } from "../../model/tls.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { ByteEnd } from "../codec/byte-end.ts";
import { SocketEnd } from "../codec/socket-end.ts";
import { connectOptions } from "./connect-options.ts";
import { connectTo } from "./happy-eyeballs.ts";
import { type ConnectFailure, OpaqueAttempt, type OpaqueResult } from "./opaque-attempt.ts";
import type { EndpointPool, PoolCluster, PoolDeps } from "./pool.ts";
import { SharedConnections, type SharingOwner } from "./shared-connections.ts";
import { StreamChoice } from "./stream-choice.ts";

const OPAQUE: readonly string[] = [OPAQUE_ALPN];
const NONE: readonly string[] = [];

/** A peer that takes no streams may be replaced by one that does, ms. */
const ASK_AGAIN_MS = 60_000;

export class OpaqueConnections implements SharingOwner {
  readonly #endpoint: EndpointState<EndpointPool>;
  readonly #cluster: PoolCluster;
  readonly #deps: PoolDeps;
  readonly #sockets = new Set<Socket>();
  readonly #choice = new StreamChoice();
  /** By the address that is meant, "" for any. */
  readonly #shared = new Map<string, SharedConnections>();
  /** Open ones and those on their way, streams among them. */
  #size = 0;
  /** Until then the peer is not asked again whether it takes streams. */
  #unsharedUntil = -Infinity;
  #draining = false;

  constructor(endpoint: EndpointState<EndpointPool>, cluster: PoolCluster, deps: PoolDeps) {
    this.#endpoint = endpoint;
    this.#cluster = cluster;
    this.#deps = deps;
  }

  get size(): number {
    return this.#size;
  }

  /** Connections that carry several. */
  get shared(): number {
    let size = 0;
    for (const connections of this.#shared.values()) size += connections.size;
    return size;
  }

  /**
   * Begins a connection for which the caller has taken a place under the cluster's limit of connections; it is given back
   * when the attempt fails or the connection ends. `meant`: of the endpoint's addresses the one to connect to. Returns the
   * way to give the attempt up.
   */
  open(result: OpaqueResult, meant: Address | null = null): () => void {
    this.#cluster.stats.upstream_cx_total++;
    this.#endpoint.cx_total++;
    this.#size++;
    const attempt = new OpaqueAttempt(result, meant);
    if (this.#shares()) this.#sharedTo(meant).place(attempt);
    else this.openOwn(attempt, null);
    return () => {
      if (attempt.over) return;
      this.#leave(attempt);
      attempt.cancel?.();
    };
  }

  /** Shared connections take no new streams; whatever is open lives on. */
  drain(): void {
    this.#draining = true;
    for (const connections of this.#shared.values()) connections.drain();
  }

  /** Cuts what is open. */
  close(): void {
    this.#draining = true;
    for (const socket of this.#sockets) socket.destroy();
    for (const connections of this.#shared.values()) connections.close();
  }

  /** Whether the next connection is to be a stream. */
  #shares(): boolean {
    const { config, tls } = this.#cluster;
    if (this.#draining || config.outrigger?.opaque !== true || !config.outrigger.multiplex) return false;
    const now = this.#deps.clock.now();
    return this.#choice.choose(this.#size, now) && now >= this.#unsharedUntil && tls(this.#endpoint) !== null;
  }

  #sharedTo(meant: Address | null): SharedConnections {
    const key = meant === null ? "" : formatAddress(meant);
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      shared = new SharedConnections(this.#endpoint, this.#cluster, this.#deps, meant, this);
      this.#shared.set(key, shared);
    }
    return shared;
  }

  openOwn(attempt: OpaqueAttempt, socket: Socket | null): void {
    if (socket !== null) {
      this.#openedOwn(attempt, socket);
      return;
    }
    const { config, tls } = this.#cluster;
    const endpoint = this.#endpoint;
    const alpn = config.outrigger?.opaque === true ? OPAQUE : NONE;
    const purpose = { tls: tls(endpoint), server: null, alpn, own: this.#deps.own };
    attempt.cancel = connectTo(
      endpoint,
      attempt.meant,
      (address) => connectOptions(config, endpoint, address, purpose),
      this.#deps.wheel,
      {
        onConnected: (connected) => {
          this.#deps.clock.refresh();
          // The TLS context has a list of its own to offer.
          if (connected instanceof TLSSocket && connected.alpnProtocol === OPAQUE_STREAMS_ALPN) {
            this.#sharedTo(attempt.meant).adopt(attempt, connected);
          } else this.#openedOwn(attempt, connected);
        },
        onFailed: (failure, detail) => {
          this.#deps.clock.refresh();
          this.failed(attempt, failure, detail);
        },
      },
    );
  }

  #openedOwn(attempt: OpaqueAttempt, socket: Socket): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    this.opened(attempt, new SocketEnd(socket));
  }

  opened(attempt: OpaqueAttempt, end: ByteEnd): void {
    const { stats, limits } = this.#cluster;
    attempt.over = true;
    attempt.cancel = null;
    stats.upstream_cx_active++;
    this.#endpoint.activeConnections++;
    end.watch(() => {
      this.#size--;
      stats.upstream_cx_active--;
      stats.upstream_cx_destroy++;
      this.#endpoint.activeConnections--;
      limits.releaseConnection();
    });
    attempt.result.onConnected(end);
  }

  failed(attempt: OpaqueAttempt, failure: ConnectFailure, detail: string): void {
    const { stats } = this.#cluster;
    this.#leave(attempt);
    stats.upstream_cx_connect_fail++;
    if (failure === "connect_timeout") stats.upstream_cx_connect_timeout++;
    attempt.result.onConnectFailed(failure, detail);
  }

  onUnshared(): void {
    this.#unsharedUntil = this.#deps.clock.now() + ASK_AGAIN_MS;
  }

  #leave(attempt: OpaqueAttempt): void {
    attempt.over = true;
    this.#size--;
    this.#cluster.limits.releaseConnection();
  }
}
