/**
 * Connections to one endpoint that carry opaque bytes: each belongs to one caller from its first byte to its last, so
 * there is nothing to pool. What they cost and whom they count for is kept here.
 */
import type { Socket } from "node:net";
import type { Address } from "../../model/address.ts";
import { OPAQUE_ALPN } from "../../model/tls.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { ByteEnd } from "../codec/byte-end.ts";
import { SocketEnd } from "../codec/socket-end.ts";
import { connectOptions } from "./connect-options.ts";
import { connectTo } from "./happy-eyeballs.ts";
import type { EndpointPool, PoolCluster, PoolDeps } from "./pool.ts";

/** What came of an attempt; one of these is called once, never from inside `open`. */
export interface OpaqueResult {
  onConnected(end: ByteEnd): void;
  onConnectFailed(failure: "connect_failure" | "connect_timeout", detail: string): void;
}

const OPAQUE: readonly string[] = [OPAQUE_ALPN];
const NONE: readonly string[] = [];

export class OpaqueConnections {
  readonly #endpoint: EndpointState<EndpointPool>;
  readonly #cluster: PoolCluster;
  readonly #deps: PoolDeps;
  readonly #sockets = new Set<Socket>();

  constructor(endpoint: EndpointState<EndpointPool>, cluster: PoolCluster, deps: PoolDeps) {
    this.#endpoint = endpoint;
    this.#cluster = cluster;
    this.#deps = deps;
  }

  get size(): number {
    return this.#sockets.size;
  }

  /**
   * Begins a connection for which the caller has taken a place under the cluster's limit of connections; it is given back
   * when the attempt fails or the connection ends. `meant`: of the endpoint's addresses the one to connect to. Returns the way to give the attempt up.
   */
  open(result: OpaqueResult, meant: Address | null = null): () => void {
    const endpoint = this.#endpoint;
    const { stats, config, limits } = this.#cluster;
    stats.upstream_cx_total++;
    endpoint.cx_total++;
    let over = false;
    const alpn = config.outrigger?.opaque === true ? OPAQUE : NONE;
    const purpose = { tls: this.#cluster.tls(endpoint), server: null, alpn, own: this.#deps.own };
    const giveUp = connectTo(
      endpoint,
      meant,
      (address) => connectOptions(config, endpoint, address, purpose),
      this.#deps.wheel,
      {
        onConnected: (socket) => {
          this.#deps.clock.refresh();
          over = true;
          this.#add(socket);
          result.onConnected(new SocketEnd(socket));
        },
        onFailed: (failure, detail) => {
          this.#deps.clock.refresh();
          over = true;
          limits.releaseConnection();
          stats.upstream_cx_connect_fail++;
          if (failure === "connect_timeout") stats.upstream_cx_connect_timeout++;
          result.onConnectFailed(failure, detail);
        },
      },
    );
    return () => {
      if (over) return;
      over = true;
      limits.releaseConnection();
      giveUp();
    };
  }

  /** Cuts what is open. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #add(socket: Socket): void {
    const { stats } = this.#cluster;
    stats.upstream_cx_active++;
    this.#endpoint.activeConnections++;
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      stats.upstream_cx_active--;
      stats.upstream_cx_destroy++;
      this.#endpoint.activeConnections--;
      this.#cluster.limits.releaseConnection();
    });
  }
}
