/**
 * What is known of one request on its way: filled in by the data plane, read by access logs, header formatting, traces
 * and metrics. One flat object per exchange, reused, so that keeping it costs a few stores.
 */
import { HeaderMap } from "../core/header-map.ts";

/** The downstream connection, made once per connection. */
export interface ConnectionInfo {
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** null: plaintext. */
  readonly tls: ConnectionTls | null;
  readonly listener: string;
  readonly filterChain: string;
  /** `localAddress` and `localPort` are what the caller asked for, restored from the kernel: the connection was intercepted. */
  readonly restored?: true;
  /** The socket's own address, where another was restored. */
  readonly direct?: { readonly address: string; readonly port: number };
  /** What is called for it sees the caller's own address (TPROXY). */
  readonly keepsSource?: true;
  /** That address is an endpoint's own, of this cluster: what the connection has for the cluster goes to it alone. */
  readonly pinned?: string;
  /** What a ClientHello that was not for us asked for (SNI). */
  readonly serverName?: string;
}

export interface ConnectionTls {
  /** `TLSv1.3` */
  readonly version: string;
  readonly cipher: string;
  /** Server name that the client asked for, "" if none. */
  readonly sni: string;
  readonly alpn: string;
  readonly resumed: boolean;
  /** null: the client gave no certificate. */
  readonly peer: PeerInfo | null;
  /** Own certificate's URI SANs. */
  readonly localUriSans: readonly string[];
  readonly localSubject: string;
}

/** A verified (or deliberately unverified) peer certificate, parsed once per connection. */
export interface PeerInfo {
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  /** RFC 2253, as Envoy prints it. */
  readonly subject: string;
  readonly issuer: string;
  /** Hex, lower case. */
  readonly serial: string;
  /** SHA-256 of the certificate, hex lower case. */
  readonly fingerprint256: string;
  /** Milliseconds since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** PEM of the leaf, made on demand. */
  readonly pem: () => string;
  /** PEM of the chain, made on demand. */
  readonly chainPem: () => string;
  /** True if the chain was verified against roots. */
  readonly verified: boolean;
}

/** The parts of a request that formatters and matchers read. */
export interface RequestView {
  method: string;
  /** Path with query, as it is now (after rewriting). */
  path: string;
  authority: string;
  /** `http` or `https` */
  scheme: string;
  /** `HTTP/1.1` … */
  protocol: string;
  headers: HeaderMap;
}

/** What formats and matchers read where there is no request; each caller has its own, because its parts may be set. */
export function noRequest(): RequestView {
  return { method: "", path: "", authority: "", scheme: "", protocol: "", headers: new HeaderMap() };
}

/** What is known of a gRPC call beyond its being a request; its path names service and method. */
export interface GrpcInfo {
  /** Set when the exchange is over; null: there was no response. */
  readonly status: number | null;
  /** Messages received from the caller and sent to it. */
  readonly requestMessages: number;
  readonly responseMessages: number;
}

/** `%ACCESS_LOG_TYPE%`. */
export type AccessLogType = "NotSet" | "DownstreamEnd" | "TcpConnectionEnd" | "TcpUpstreamConnected" | "TcpPeriodic";

export class StreamInfo {
  connection: ConnectionInfo;
  /** Caller's `host:port` by a trusted `x-forwarded-for` (port 0 as in Envoy), "" where it is the connection's peer. */
  downstreamAddress = "";
  /** Wall clock, ms since the epoch. */
  startTime = 0;
  /** Monotonic ms; 0 means "has not happened". */
  startedAt = 0;
  requestEndAt = 0;
  upstreamFirstByteSentAt = 0;
  upstreamLastByteSentAt = 0;
  upstreamFirstByteReceivedAt = 0;
  upstreamLastByteReceivedAt = 0;
  endedAt = 0;
  /** Body bytes received from and sent to the caller. */
  bytesReceived = 0;
  bytesSent = 0;
  /** 0: no response was sent. */
  responseCode = 0;
  /** Envoy's %RESPONSE_CODE_DETAILS%: `via_upstream`, `route_not_found` … */
  responseCodeDetails = "";
  /** Bits of model/flags.ts. */
  flags = 0;
  routeName = "";
  virtualHost = "";
  /** Chosen cluster, "" while there is none. */
  cluster = "";
  upstreamHost = "";
  /** Where the connection went, where the host has several addresses; "" where it has one. */
  upstreamRemoteAddress = "";
  upstreamLocalAddress = "";
  /** What the upstream connection speaks (`HTTP/2`), "" while there is none. */
  upstreamProtocol = "";
  /** 0: there is no upstream connection. */
  upstreamConnectionId = 0;
  upstreamTransportFailure = "";
  /** Why a connection was ended from here (`%CONNECTION_TERMINATION_DETAILS%`), "" where it was not. */
  terminationDetails = "";
  /** Of an opaque connection that is logged; requests have their `x-request-id`. */
  streamId = "";
  /** What a line of the access log is about. */
  logType: AccessLogType = "DownstreamEnd";
  /** Attempts made, retries included. */
  attempts = 0;
  /** `:path` before rewriting. */
  originalPath = "";
  /** Trace and span ids in hex, "" without tracing. */
  traceId = "";
  spanId = "";
  sampled = false;
  /** Free-form facts for logs (`DYNAMIC_METADATA`), null while there are none. */
  metadata: Record<string, Record<string, string | boolean>> | null = null;
  /** Sentence for operators: why a call was refused or failed. */
  explanation = "";
  /** Values of `set-cookie` that the proxy adds to the answer of the upstream, null for none. */
  setCookies: string[] | null = null;
  /** null: not a gRPC call. */
  grpc: GrpcInfo | null = null;
  /** A `grpc_stats` filter lets logs read the numbers of messages. */
  showsGrpcMessages = false;

  constructor(connection: ConnectionInfo) {
    this.connection = connection;
  }

  reset(connection: ConnectionInfo): void {
    this.connection = connection;
    this.downstreamAddress = "";
    this.startTime = 0;
    this.startedAt = 0;
    this.requestEndAt = 0;
    this.upstreamFirstByteSentAt = 0;
    this.upstreamLastByteSentAt = 0;
    this.upstreamFirstByteReceivedAt = 0;
    this.upstreamLastByteReceivedAt = 0;
    this.endedAt = 0;
    this.bytesReceived = 0;
    this.bytesSent = 0;
    this.responseCode = 0;
    this.responseCodeDetails = "";
    this.flags = 0;
    this.routeName = "";
    this.virtualHost = "";
    this.cluster = "";
    this.upstreamHost = "";
    this.upstreamRemoteAddress = "";
    this.upstreamLocalAddress = "";
    this.upstreamProtocol = "";
    this.upstreamConnectionId = 0;
    this.upstreamTransportFailure = "";
    this.terminationDetails = "";
    this.streamId = "";
    this.logType = "DownstreamEnd";
    this.attempts = 0;
    this.originalPath = "";
    this.traceId = "";
    this.spanId = "";
    this.sampled = false;
    this.metadata = null;
    this.explanation = "";
    this.setCookies = null;
    this.grpc = null;
    this.showsGrpcMessages = false;
  }
}
