/** Arbitrary listeners of the model, valid as a whole: no two filter chains match the same connections. */
import fc from "fast-check";
import type { Address } from "../../model/address.ts";
import type { FilterChain, FilterChainMatch, Listener, NetworkFilter } from "../../model/listener.ts";
import type { DownstreamTls } from "../../model/tls.ts";
import { accessLog, httpConnectionManager } from "./arbitrary-http.ts";
import { cidr } from "./arbitrary-matcher.ts";
import { rbacPolicy } from "./arbitrary-rbac.ts";
import { andPerhaps, durationMs, few, name, nonEmptyText, orNull, plainText, port, uint32 } from "./arbitrary-text.ts";

const address: fc.Arbitrary<Address> = fc.oneof(
  fc.record({
    kind: fc.constant("tcp" as const),
    host: fc.constantFrom("0.0.0.0", "127.0.0.5", "::", "::1"),
    port: fc.oneof(fc.constant(0), port),
  }),
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

const filters: fc.Arbitrary<readonly NetworkFilter[]> = fc
  .tuple(
    few(fc.record({ kind: fc.constant("rbac" as const), statPrefix: nonEmptyText, policy: rbacPolicy(false) })),
    fc.record({ kind: fc.constant("http_connection_manager" as const), config: httpConnectionManager }),
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

const anyListener = fc.record({
  name,
  address,
  statPrefix: plainText,
  bindToPort: fc.boolean(),
  trafficDirection: fc.constantFrom("unspecified" as const, "inbound" as const, "outbound" as const),
  listenerFilters: fc.subarray([{ kind: "tls_inspector" as const }, { kind: "http_inspector" as const }]),
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
  outrigger: orNull(
    fc.record({
      service: orNull(fc.record({ name, namespace: name, port, portName: plainText })),
      httpProxy: fc.boolean(),
      multiplex: fc.boolean(),
    }),
  ),
});

const anyAddress = fc.constant({ kind: "tcp" as const, host: "::", port: 80, ipv4Compat: true as const });

export const listener: fc.Arbitrary<Listener> = andPerhaps(anyListener, {
  additionalAddresses: few(fc.oneof(address, anyAddress), 1),
});
