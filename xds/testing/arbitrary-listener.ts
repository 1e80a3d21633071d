/** Arbitrary listeners of the model, valid as a whole: no two filter chains match the same connections. */
import fc from "fast-check";
import type { Address } from "../../model/address.ts";
import type {
  FilterChain,
  FilterChainMatch,
  Listener,
  ListenerExtension,
  ListenerFilter,
  NetworkFilter,
  PortPredicate,
} from "../../model/listener.ts";
import type { TcpProxy } from "../../model/tcp.ts";
import type { DownstreamTls } from "../../model/tls.ts";
import { accessLog, httpConnectionManager } from "./arbitrary-http.ts";
import { cidr } from "./arbitrary-matcher.ts";
import { rbacPolicy } from "./arbitrary-rbac.ts";
import { andPerhaps, durationMs, few, name, nonEmptyText, orNull, plainText, port, uint32 } from "./arbitrary-text.ts";

const socketAddress = fc.record({
  kind: fc.constant("tcp" as const),
  host: fc.constantFrom("0.0.0.0", "127.0.0.5", "::", "::1"),
  port: fc.oneof(fc.constant(0), port),
});

const address: fc.Arbitrary<Address> = fc.oneof(
  andPerhaps(socketAddress, { networkNamespace: nonEmptyText }),
  fc.record({ kind: fc.constant("pipe" as const), path: nonEmptyText }),
);

/** The chain's place among its neighbours: each has a destination port of its own, so that none overlap. */
const match = (index: number): fc.Arbitrary<FilterChainMatch> =>
  fc.record({
    destinationPort: fc.constant(1 + index),
    prefixRanges: fc.uniqueArray(cidr, { maxLength: 2 }),
    serverNames: fc.subarray(["a.example", "*.example", "b"]),
    transportProtocol: fc.constantFrom("", "tls", "raw_buffer"),
    applicationProtocols: fc.subarray(["h2", "http/1.1", "istio"]),
    sourceType: fc.constantFrom("any" as const, "same_ip_or_loopback" as const, "external" as const),
    sourcePrefixRanges: fc.uniqueArray(cidr, { maxLength: 2 }),
    sourcePorts: fc.uniqueArray(port, { maxLength: 2 }),
  });

const EVERYTHING: FilterChainMatch = {
  destinationPort: null,
  prefixRanges: [],
  serverNames: [],
  transportProtocol: "",
  applicationProtocols: [],
  sourceType: "any",
  sourcePrefixRanges: [],
  sourcePorts: [],
};

/** A fixed context: what TLS is made of has its own round trip. */
const TLS: DownstreamTls = {
  params: { minVersion: "TLSv1.2", maxVersion: null, cipherSuites: [], ecdhCurves: [] },
  certificates: [{ kind: "sds", name: "default", source: { kind: "ads", initialFetchTimeoutMs: 0 } }],
  validation: {
    roots: { kind: "sds", name: "ROOTCA", source: { kind: "ads", initialFetchTimeoutMs: 0 } },
    subjectAltNames: [],
    certificateHashes: [],
    spkiHashes: [],
    acceptUntrusted: false,
    allowExpired: false,
  },
  requireClientCertificate: true,
  alpn: ["h2", "http/1.1"],
  requireSni: false,
  sessionTickets: true,
};

const tcpProxy: fc.Arbitrary<TcpProxy> = fc.record({
  statPrefix: nonEmptyText,
  cluster: fc.oneof(
    fc.record({ kind: fc.constant("name" as const), name }),
    fc.record({
      kind: fc.constant("weighted" as const),
      clusters: few(fc.record({ name, weight: uint32.map((weight) => weight || 1) }), 1),
    }),
  ),
  idleTimeoutMs: durationMs,
  maxConnectAttempts: fc.integer({ min: 1, max: 9 }),
  maxDownstreamConnectionDurationMs: durationMs,
  accessLogs: few(accessLog),
  logOnConnected: fc.boolean(),
  logIntervalMs: durationMs,
  hashSourceIp: fc.boolean(),
});

const filters: fc.Arbitrary<readonly NetworkFilter[]> = fc
  .tuple(
    few(fc.record({ kind: fc.constant("rbac" as const), statPrefix: nonEmptyText, policy: rbacPolicy(false) })),
    fc.oneof(
      fc.record({ kind: fc.constant("http_connection_manager" as const), config: httpConnectionManager }),
      fc.record({ kind: fc.constant("tcp_proxy" as const), config: tcpProxy }),
    ),
    fc.boolean(),
  )
  .map(([before, last, empty]) => (empty ? [] : [...before, last]));

const filterChain = (matching: fc.Arbitrary<FilterChainMatch>): fc.Arbitrary<FilterChain> =>
  fc.record({
    name: plainText,
    match: matching,
    tls: fc.constantFrom(null, TLS),
    transportSocketConnectTimeoutMs: durationMs,
    filters,
  });

const portPredicate: fc.Arbitrary<PortPredicate> = fc.letrec<{ predicate: PortPredicate }>((tie) => ({
  predicate: fc.oneof(
    { maxDepth: 2 },
    fc.record({ kind: fc.constant("any" as const) }),
    fc.record({ kind: fc.constant("ports" as const), start: port, end: port }),
    fc.record({ kind: fc.constantFrom("or" as const, "and" as const), of: few(tie("predicate"), 2) }),
    fc.record({ kind: fc.constant("not" as const), of: tie("predicate") }),
  ),
})).predicate;

const listenerFilter: fc.Arbitrary<ListenerFilter> = andPerhaps(
  fc.record({ kind: fc.constantFrom("tls_inspector" as const, "http_inspector" as const, "original_dst" as const) }),
  { disabled: portPredicate },
);

const plainExtension = fc.record({
  service: orNull(fc.record({ name, namespace: name, port, portName: plainText })),
  httpProxy: fc.boolean(),
  multiplex: fc.boolean(),
});

const extension: fc.Arbitrary<ListenerExtension> = andPerhaps(plainExtension, {
  detection: fc.record({ serverFirstAfterMs: durationMs }),
  virtual: fc.oneof(
    fc.record({ kind: fc.constant("outbound" as const), registryOnly: fc.boolean() }),
    fc.record({ kind: fc.constant("inbound" as const) }),
  ),
  onDemand: fc.record({ timeoutMs: durationMs, virtualHost: plainText }),
});

const anyListener = fc.record({
  name,
  address,
  statPrefix: plainText,
  bindToPort: fc.boolean(),
  trafficDirection: fc.constantFrom("unspecified" as const, "inbound" as const, "outbound" as const),
  listenerFilters: few(listenerFilter),
  listenerFiltersTimeoutMs: durationMs,
  continueOnListenerFiltersTimeout: fc.boolean(),
  filterChains: fc
    .integer({ min: 1, max: 2 })
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, i) => filterChain(match(i))))),
  defaultFilterChain: orNull(filterChain(fc.constant(EVERYTHING))),
  perConnectionBufferLimitBytes: uint32,
  accessLogs: few(accessLog),
  tcpBacklogSize: uint32,
  reusePort: fc.boolean(),
  outrigger: orNull(extension),
});

const anyAddress = fc.constant({ kind: "tcp" as const, host: "::", port: 80, ipv4Compat: true as const });

export const listener: fc.Arbitrary<Listener> = andPerhaps(anyListener, {
  additionalAddresses: few(fc.oneof(address, anyAddress), 1),
  useOriginalDst: fc.constant(true as const),
  transparent: fc.constant(true as const),
});
