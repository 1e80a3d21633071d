/** What sidecars speak to each other and to applications: versions of HTTP, ALPN, HTTP/2's settings. */

import type { UpstreamHttp } from "../../model/cluster.ts";
import { DEFAULT_HTTP2, type Http2Options } from "../../model/http.ts";
import { OPAQUE_ALPN, OPAQUE_STREAMS_ALPN } from "../../model/tls.ts";
import type { HttpProtocol } from "../manifest/port-protocol.ts";

/**
 * What a sidecar takes of its peers, first choice first: HTTP/1.1 calls as streams of one connection (offered by other
 * sidecars alone), HTTP/2, HTTP/1.1. A peer that offers none of them is taken too, and what it speaks is detected.
 */
export const INBOUND_ALPN = ["outrigger-mux/1", "h2", "http/1.1"];

/** What it takes of them where bytes are not looked into: many connections as streams of one, or one as it is. */
export const INBOUND_OPAQUE_ALPN = [OPAQUE_STREAMS_ALPN, OPAQUE_ALPN];

/** WebSockets pass through HTTP/2 as extended CONNECT (RFC 8441). */
export const HTTP2: Http2Options = { ...DEFAULT_HTTP2, allowConnect: true };

/**
 * Between sidecars, pings find a peer that is gone without a word: nothing else would end a gRPC stream that is silent
 * by nature. Applications are not pinged: gRPC servers close connections that are pinged more often than they like, and
 * the kernel tells when a neighbour on the same machine dies.
 */
export const PEER_HTTP2: Http2Options = {
  ...HTTP2,
  keepalive: { intervalMs: 60_000, timeoutMs: 20_000, intervalJitterPercent: 15, idleIntervalMs: 0 },
  // One connection carries the cancelled calls of many callers (deadlines, watches): Envoy's 1000 and 33 a second, which
  // are meant for one client at the edge, would end it for all of them. The peer has proved who it is.
  streamResetBurst: 100_000,
  streamResetRate: 10_000,
};

/** What is spoken to endpoints of `protocol`; `http2`: how, where it may be HTTP/2. Trailers pass in either version. */
export function upstreamProtocol(
  protocol: HttpProtocol,
  http2: Http2Options,
): Pick<UpstreamHttp, "protocol" | "http2" | "trailers"> {
  if (protocol === "http1") return { protocol: "http1", http2: DEFAULT_HTTP2, trailers: true };
  if (protocol === "any") return { protocol: "use_downstream", http2, trailers: true };
  return { protocol: "http2", http2 };
}
