/** Forwarding of opaque bytes: `envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`. Durations are ms. */
import type { AccessLog } from "./access-log.ts";

export interface TcpProxy {
  readonly statPrefix: string;
  readonly cluster:
    | { readonly kind: "name"; readonly name: string }
    /** Drawn once for each connection; weights are above 0. */
    | { readonly kind: "weighted"; readonly clusters: readonly WeightedCluster[] };
  /** Without a byte in either direction. Envoy's default: 1 h; 0: never. */
  readonly idleTimeoutMs: number;
  /** Tries to connect before the connection is given up. Envoy's default: 1. */
  readonly maxConnectAttempts: number;
  /** 0: no limit. */
  readonly maxDownstreamConnectionDurationMs: number;
  readonly accessLogs: readonly AccessLog[];
  /** A line when the upstream connection stands, beside the one at the end. */
  readonly logOnConnected: boolean;
  /** A line each so often while the connection lasts; 0: none. */
  readonly logIntervalMs: number;
  /** `hash_policy` with `source_ip`: where the cluster hashes, connections of one caller go to one endpoint. */
  readonly hashSourceIp: boolean;
}

export interface WeightedCluster {
  readonly name: string;
  readonly weight: number;
}
