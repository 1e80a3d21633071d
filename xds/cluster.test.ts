import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { UpstreamHttp } from "../model/cluster.ts";
import { DEFAULT_HTTP2 } from "../model/http.ts";
import { clusterCodec } from "./cluster.ts";
import { cluster } from "./testing/arbitrary-cluster.ts";
import { httpOptions, type Json, upstreamTls } from "./testing/bootstrap-json.ts";
import { decodeJson, problemsOf } from "./testing/from-json.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";

const ENDPOINT = { endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: 80 } } } };
const ASSIGNMENT = { cluster_name: "c", endpoints: [{ lb_endpoints: [ENDPOINT] }] };

test("a cluster survives the way to bytes and back", () => {
  fc.assert(
    fc.property(cluster, (value) => assertRoundTrip(clusterCodec, value)),
    { numRuns: 100 },
  );
});

test("a cluster of little more than a name has Envoy's defaults", () => {
  assert.deepEqual(decodeJson(clusterCodec, { name: "c", load_assignment: ASSIGNMENT }), {
    name: "c",
    discovery: {
      kind: "static",
      endpoints: {
        name: "c",
        overprovisioningFactor: 140,
        localities: [
          {
            locality: { region: "", zone: "", subZone: "" },
            weight: null,
            priority: 0,
            endpoints: [
              {
                address: { kind: "tcp", host: "127.0.0.1", port: 80 },
                weight: 1,
                health: "healthy",
                hostname: "",
                transportSocketMatch: {},
                workload: "",
              },
            ],
          },
        ],
      },
    },
    connectTimeoutMs: 5000,
    lbPolicy: { kind: "round_robin" },
    commonLb: { healthyPanicThreshold: 50, localityWeighted: false },
    limits: {
      default: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, retryBudget: null },
      high: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3, retryBudget: null },
    },
    outlierDetection: null,
    tls: null,
    tlsMatches: [],
    http: {
      protocol: "http1",
      idleTimeoutMs: 3_600_000,
      maxConnectionDurationMs: 0,
      maxRequestsPerConnection: 0,
      maxHeadersCount: 100,
      maxResponseHeadersKb: null,
      http2: DEFAULT_HTTP2,
    },
    perConnectionBufferLimitBytes: 1_048_576,
    tcpKeepalive: null,
    bindAddress: null,
    outrigger: null,
  });
});

test("an empty outlier detection has Envoy's defaults", () => {
  const { outlierDetection } = decodeJson(clusterCodec, {
    name: "c",
    outlier_detection: { base_ejection_time: "400s" },
  });
  assert.equal(outlierDetection?.consecutive5xx, 5);
  assert.equal(outlierDetection?.intervalMs, 10_000);
  assert.equal(outlierDetection?.maxEjectionPercent, 10);
  assert.equal(outlierDetection?.successRateStdevFactor, 1900);
  // At least the base time, where that is longer than the default of 300 s.
  assert.equal(outlierDetection?.maxEjectionTimeMs, 400_000);
});

test("an empty retry budget is 20% and at least 3", () => {
  const json = { name: "c", circuit_breakers: { thresholds: [{ priority: "HIGH", retry_budget: {} }] } };
  const { limits } = decodeJson(clusterCodec, json);
  assert.deepEqual(limits.high.retryBudget, { percent: 20, minRetryConcurrency: 3 });
  assert.equal(limits.default.retryBudget, null);
});

test("the deprecated places of the HTTP options still count", () => {
  const { http } = decodeJson(clusterCodec, {
    name: "c",
    max_requests_per_connection: 7,
    common_http_protocol_options: { idle_timeout: "5s" },
  });
  assert.equal(http.maxRequestsPerConnection, 7);
  assert.equal(http.idleTimeoutMs, 5000);
});

const FEW_STREAMS = { http2_protocol_options: { max_concurrent_streams: 10 } };
const PROTOCOLS: readonly [UpstreamHttp["protocol"], Json][] = [
  ["http2", { explicit_http_config: FEW_STREAMS }],
  ["use_downstream", { use_downstream_protocol_config: FEW_STREAMS }],
  ["auto", { auto_config: FEW_STREAMS }],
];

for (const [protocol, options] of PROTOCOLS) {
  test(`HTTP/2 is spoken upstream under ${Object.keys(options)}`, () => {
    const { http } = decodeJson(clusterCodec, {
      name: "c",
      transport_socket: upstreamTls(),
      typed_extension_protocol_options: httpOptions(options),
    });
    assert.equal(http.protocol, protocol);
    assert.deepEqual(http.http2, { ...DEFAULT_HTTP2, maxConcurrentStreams: 10 });
  });
}

test("HTTP/2 is asked for by the deprecated field, too, unless there are options", () => {
  const deprecated = { name: "c", ...FEW_STREAMS };
  assert.equal(decodeJson(clusterCodec, deprecated).http.protocol, "http2");
  assert.equal(decodeJson(clusterCodec, deprecated).http.http2.maxConcurrentStreams, 10);
  const options = httpOptions({ explicit_http_config: { http_protocol_options: {} } });
  const { http } = decodeJson(clusterCodec, { ...deprecated, typed_extension_protocol_options: options });
  assert.equal(http.protocol, "http1");
  assert.deepEqual(http.http2, DEFAULT_HTTP2);
});

const ROUTER = { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" };

const REFUSED: [string, object, string][] = [
  ["original destination", { type: "ORIGINAL_DST" }, "lb_policy: an ORIGINAL_DST cluster needs CLUSTER_PROVIDED"],
  ["maglev", { lb_policy: "MAGLEV" }, "lb_policy: MAGLEV is not supported"],
  ["no EDS config", { type: "EDS" }, "eds_cluster_config.eds_config: is required for an EDS cluster"],
  [
    "a name in a static cluster",
    { load_assignment: { cluster_name: "c", endpoints: [{ lb_endpoints: [withAddress("db.local", 80)] }] } },
    "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: malformed IP address: db.local",
  ],
  [
    "a port out of range",
    { load_assignment: { cluster_name: "c", endpoints: [{ lb_endpoints: [withAddress("::1", 65_536)] }] } },
    "load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value: a port must be at most 65535, got 65536",
  ],
  [
    "two endpoints behind LOGICAL_DNS",
    {
      type: "LOGICAL_DNS",
      load_assignment: { cluster_name: "c", endpoints: [{ lb_endpoints: [ENDPOINT, ENDPOINT] }] },
    },
    "load_assignment: a LOGICAL_DNS cluster must have exactly one endpoint",
  ],
  ["no time to connect", { connect_timeout: "0s" }, "connect_timeout: a duration must be greater than 0"],
  ["a negative time", { connect_timeout: "-1s" }, "connect_timeout: a duration must not be negative"],
  [
    "one choice",
    { lb_policy: "LEAST_REQUEST", least_request_lb_config: { choice_count: 1 } },
    "least_request_lb_config.choice_count: must be at least 2",
  ],
  [
    "an inverted ring",
    { lb_policy: "RING_HASH", ring_hash_lb_config: { minimum_ring_size: 10, maximum_ring_size: 9 } },
    "ring_hash_lb_config.minimum_ring_size: must not be above maximum_ring_size",
  ],
  [
    "more than all ejected",
    { outlier_detection: { enforcing_consecutive_5xx: 101 } },
    "outlier_detection.enforcing_consecutive_5xx: must be at most 100",
  ],
  [
    "an unknown transport socket",
    { transport_socket: { name: "x", typed_config: ROUTER } },
    "transport_socket.typed_config: type envoy.extensions.filters.http.router.v3.Router is not supported here (supported: " +
      "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext, envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer)",
  ],
  [
    "an unknown upstream filter",
    { filters: [{ name: "f", typed_config: ROUTER }] },
    "filters[0]: upstream filter envoy.extensions.filters.http.router.v3.Router is not supported",
  ],
  [
    "DNS asked all the time",
    { type: "STRICT_DNS", dns_refresh_rate: "0.001s" },
    "dns_refresh_rate: must be greater than 1ms",
  ],
  [
    "ALPN without TLS",
    { typed_extension_protocol_options: httpOptions({ auto_config: {} }) },
    'typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].auto_config: ' +
      "needs TLS in transport_socket: ALPN chooses the protocol",
  ],
  [
    "a typo in Outrigger's own policy",
    { metadata: { filter_metadata: { outrigger: { breaker: { errorpercent: 3 } } } } },
    'metadata.filter_metadata["outrigger"].breaker.errorpercent: unknown field',
  ],
];

for (const [what, fields, problem] of REFUSED) {
  test(`refused, with its path: ${what}`, () => {
    assert.deepEqual(problemsOf(clusterCodec, { name: "c", ...fields }), [`cluster "c": ${problem}`]);
  });
}

test("all errors of a cluster are reported at once", () => {
  const json = { type: "ORIGINAL_DST", lb_policy: "MAGLEV", connect_timeout: "0s", alt_stat_name: "x" };
  assert.equal(problemsOf(clusterCodec, json).length, 4);
});

function withAddress(address: string, port: number): object {
  return { endpoint: { address: { socket_address: { address, port_value: port } } } };
}
