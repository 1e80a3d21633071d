/** How a cluster wants connections to its endpoints made. */
import type { Address } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { EndpointState } from "../cluster/endpoint-state.ts";
import type { Pool } from "../cluster/pool.ts";
import { bindAddressFor } from "./bind-address.ts";
import type { ConnectOptions } from "./connector.ts";

/** What a connection is for, beside what its cluster says. */
export type Purpose = Pick<ConnectOptions, "tls" | "server" | "alpn" | "own">;

/** For a connection to `address`, one of the endpoint's. */
export function connectOptions<P extends Pool>(
  cluster: Cluster,
  endpoint: EndpointState<P>,
  address: Address,
  purpose: Purpose,
): ConnectOptions {
  return {
    ...purpose,
    address,
    timeoutMs: cluster.connectTimeoutMs,
    hostname: endpoint.config.hostname || (address.kind === "tcp" ? address.host : ""),
    localAddress: bindAddressFor(cluster, { address, source: endpoint.source }),
    keepAlive: cluster.tcpKeepalive,
  };
}
