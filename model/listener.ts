/** Where connections are accepted and what is done with them: `envoy.config.listener.v3`. */
import type { AccessLog } from "./access-log.ts";
import type { Address, Cidr } from "./address.ts";
import type { HttpConnectionManager } from "./http.ts";
import type { RbacPolicy } from "./rbac.ts";
import type { TcpProxy } from "./tcp.ts";
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
  /**
   * `use_original_dst`: a connection is handed to the listener at its original destination, else to the one at that port
   * of any address (0.0.0.0, ::), and served here only where there is neither.
   */
  readonly useOriginalDst?: true;
  /** `transparent`: the socket takes connections to addresses that are not this machine's (TPROXY). */
  readonly transparent?: true;
  /** What Outrigger's own control plane says about this listener (`metadata.filter_metadata["outrigger"]`). */
  readonly outrigger: ListenerExtension | null;
}

export interface ListenerExtension {
  /** Which service an outbound listener stands for. */
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
  /** Both sides are watched while nobody has spoken; absent: only the client, as in Envoy. */
  readonly detection?: Detection;
  /**
   * The listener that intercepted connections come to. `outbound`: one to an endpoint's own address is served as a call of
   * that endpoint's service, pinned to it. `registryOnly`: what the mesh does not know is refused, and the log says why.
   * `inbound`: plaintext that no chain takes is refused for want of mutual TLS, and the log says so.
   */
  readonly virtual?: { readonly kind: "outbound"; readonly registryOnly: boolean } | { readonly kind: "inbound" };
  /** What is called here and not known is asked for; absent: what was not told does not exist. */
  readonly onDemand?: OnDemand;
}

/** Calls wait while the control plane is asked for what they are for. */
export interface OnDemand {
  /** How long a call waits, ms. */
  readonly timeoutMs: number;
  /** Requests that only this virtual host takes are for something that is not known; "": connections are held instead. */
  readonly virtualHost: string;
}

/**
 * How the protocol of a connection is found where it was not declared. A server that speaks first must not wait for a client
 * that waits for it: after a short silence the chain that takes opaque bytes begins to connect. If the server speaks, the
 * connection is opaque; if the client does, its first bytes tell.
 */
export interface Detection {
  /** Silence after which the server is listened to, ms, for ports of which nothing was learned. */
  readonly serverFirstAfterMs: number;
}

/** A listener filter; `disabled` (`filter_disabled`) names the destination ports for which it does not run. */
export interface ListenerFilter {
  /**
   * `http_inspector` reads the first line of plaintext for `applicationProtocols` of the match: `http/1.0`, `http/1.1` or
   * `h2c`.
   */
  readonly kind: "tls_inspector" | "http_inspector" | "original_dst";
  readonly disabled?: PortPredicate;
}

/** `ListenerFilterChainMatchPredicate` over destination ports. */
export type PortPredicate =
  | { readonly kind: "any" }
  /** From `start` to before `end`. */
  | { readonly kind: "ports"; readonly start: number; readonly end: number }
  | { readonly kind: "or" | "and"; readonly of: readonly PortPredicate[] }
  | { readonly kind: "not"; readonly of: PortPredicate };

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
  | { readonly kind: "http_connection_manager"; readonly config: HttpConnectionManager }
  | { readonly kind: "tcp_proxy"; readonly config: TcpProxy };
