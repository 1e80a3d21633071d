/** Where the callers themselves say which endpoint is meant: by the address that they called. */
import type { Address } from "../../model/address.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { ConnectionInfo } from "../../telemetry/stream-info.ts";
import type { EndpointState } from "./endpoint-state.ts";
import type { Destination, LbContext } from "./load-balancer/load-balancer.ts";

/**
 * For `LbContext.destination`: the address that a connection was going to, where the cluster is ORIGINAL_DST or the
 * connection is pinned to that endpoint of it; else null.
 */
export function destinationOf(connection: ConnectionInfo, { name, discovery }: Cluster): Destination | null {
  if (connection.restored === undefined) return null;
  if (discovery.kind !== "original_dst" && connection.pinned !== name) return null;
  const { localAddress: host, localPort: port, remoteAddress: source } = connection;
  return connection.keepsSource && discovery.kind === "original_dst" ? { host, port, source } : { host, port };
}

/** Which of an endpoint's addresses a call is for; null: there is one only, or any of them will do. */
export function addressMeant({ config }: Pick<EndpointState, "config">, call: LbContext): Address | null {
  if (config.additionalAddresses === undefined) return null;
  const { destination } = call;
  return destination === null ? null : { kind: "tcp", host: destination.host, port: destination.port };
}
