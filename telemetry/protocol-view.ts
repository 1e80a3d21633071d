/**
 * What connections speak and how often peers misused it, as metrics and `/stats` see it: read from the data plane
 * whenever someone asks.
 */

/** Those of Envoy's `http2.*` statistics that Outrigger has, under Envoy's names. */
export const HTTP2_NUMBERS = [
  "goaway_sent",
  "header_overflow",
  "inbound_empty_frames_flood",
  "inbound_priority_frames_flood",
  "inbound_window_update_frames_flood",
  "keepalive_timeout",
  "outbound_control_flood",
  "outbound_flood",
  "rx_messaging_error",
  "rx_reset",
  "streams_active",
  "tx_reset",
] as const;

export type Http2Numbers = { readonly [name in (typeof HTTP2_NUMBERS)[number]]: number } & {
  /** Times that a caller was cut off because it reset its streams before they were answered. */
  readonly premature_reset_flood: number;
  /** Connections that ended because the peer broke the protocol. */
  readonly protocol_errors: number;
  readonly streams_total: number;
  readonly connections_total: number;
  readonly connections_active: number;
};

/** The connections of one place where they are counted together. */
export interface ProtocolView {
  readonly side: "downstream" | "upstream";
  /** A connection manager's `stat_prefix`, or a cluster. */
  readonly name: string;
  readonly http1: { readonly connections_total: number; readonly connections_active: number };
  readonly http2: Http2Numbers;
  /** Between sidecars, with HTTP/1 as streams. */
  readonly multiplexed: Http2Numbers;
}

/** Connection managers' numbers, under Envoy's names. */
export interface DownstreamNumbers {
  readonly downstream_cx_http1_total: number;
  readonly downstream_cx_http1_active: number;
  readonly downstream_rq_http1_total: number;
  readonly http1_protocol_errors: number;
  readonly http2: Http2Numbers;
  readonly multiplexed: Http2Numbers;
}

/** A cluster's numbers, under Envoy's names. */
export interface UpstreamNumbers {
  readonly upstream_cx_active: number;
  readonly upstream_cx_http1_total: number;
  readonly http2: Http2Numbers;
  readonly multiplexed: Http2Numbers;
  /** Connections to other sidecars whose streams are opaque connections, and are counted as such. */
  readonly opaque: Http2Numbers;
}

/** Gives what has been spoken by now. */
export type ProtocolSource = () => Iterable<ProtocolView>;

export function downstreamView(name: string, numbers: DownstreamNumbers): ProtocolView {
  const { http2, multiplexed } = numbers;
  const http1 = {
    connections_total: numbers.downstream_cx_http1_total,
    connections_active: numbers.downstream_cx_http1_active,
  };
  return { side: "downstream", name, http1, http2, multiplexed };
}

export function upstreamView(name: string, numbers: Omit<UpstreamNumbers, "opaque">): ProtocolView {
  const { http2, multiplexed } = numbers;
  const http1 = {
    connections_total: numbers.upstream_cx_http1_total,
    connections_active: numbers.upstream_cx_active - http2.connections_active - multiplexed.connections_active,
  };
  return { side: "upstream", name, http1, http2, multiplexed };
}
