/** Where connections are accepted and what is done with them: `envoy.config.listener.v3`. */
import type { AccessLog } from "./access-log.ts";
import type { Address, Cidr } from "./address.ts";
import type { HttpConnectionManager } from "./http.ts";
import type { RbacPolicy } from "./rbac.ts";
import type { DownstreamTls } from "./tls.ts";

export type TrafficDirection = "unspecified" | "inbound" | "outbound";

export interface Listener {
  readonly name: string;
  readonly address: Address;
  /** Where connections are accepted besides. */
  readonly additionalAddresses?: readonly Address[];
  readonly statPrefix: string;
  readonly bindToPort: boolean;
  readonly trafficDirection: TrafficDirection;
  readonly listenerFilters: readonly ListenerFilter[];
  /** 0 means no limit. Envoy's default: 15 s. */
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  readonly filterChains: readonly FilterChain[];
  readonly defaultFilterChain: FilterChain | null;
  /** Soft limit of what is buffered per connection and direction, bytes. Envoy's default: 1 MiB. */
  readonly perConnectionBufferLimitBytes: number;
  readonly accessLogs: readonly AccessLog[];
  readonly tcpBacklogSize: number;
  /** `enable_reuse_port`. */
  readonly reusePort: boolean;
  /** What Outrigger's own control plane says about this listener (`metadata.filter_metadata["outrigger"]`). */
  readonly outrigger: ListenerExtension | null;
}

/** For sidecars without interception: which service an outbound listener stands for. */
export interface ListenerExtension {
  readonly service: {
    readonly name: string;
    readonly namespace: string;
    readonly port: number;
    readonly portName: string;
  } | null;
  /** True for the listener that `http_proxy` names. */
  readonly httpProxy: boolean;
  /** HTTP/1.1 calls of other Outrigger sidecars may come as streams of few connections. */
  readonly multiplex: boolean;
}

export type ListenerFilter =
  | { readonly kind: "tls_inspector" }
  /** Reads the first line of plaintext for `applicationProtocols` of the match: `http/1.0`, `http/1.1` or `h2c`. */
  | { readonly kind: "http_inspector" }
  | { readonly kind: "original_dst" };

/** `FilterChainMatch`: every given criterion must hold; Envoy's order of specificity applies. */
export interface FilterChainMatch {
  readonly destinationPort: number | null;
  readonly prefixRanges: readonly Cidr[];
  /** Exact names, or `*.suffix`. */
  readonly serverNames: readonly string[];
  /** `raw_buffer`, `tls` or "" for any. */
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  readonly sourceType: "any" | "same_ip_or_loopback" | "external";
  readonly sourcePrefixRanges: readonly Cidr[];
  readonly sourcePorts: readonly number[];
}

export interface FilterChain {
  readonly name: string;
  readonly match: FilterChainMatch;
  /** null: plaintext. */
  readonly tls: DownstreamTls | null;
  /** 0: no limit. */
  readonly transportSocketConnectTimeoutMs: number;
  /** In order; the last one is terminal. */
  readonly filters: readonly NetworkFilter[];
}

export type NetworkFilter =
  | { readonly kind: "rbac"; readonly statPrefix: string; readonly policy: RbacPolicy }
  | { readonly kind: "http_connection_manager"; readonly config: HttpConnectionManager };
