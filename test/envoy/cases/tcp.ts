/** Opaque bytes through the TCP proxy: ends, resets, limits, choices, and what the access logs say. */
import type { Difference, JsonObject } from "../harness/case.ts";
import { cluster, filter, host } from "../harness/config.ts";
import type { TcpArea, TcpCase, TcpServer, TcpStep } from "../harness/tcp/case.ts";

const serving = (...steps: TcpStep[]): Pick<TcpCase, "servers"> => ({ servers: { up: { steps } } });
const says = (text: string): TcpServer => ({ steps: [{ send: text }, { echo: true }] });

const ping: readonly TcpStep[] = [{ send: "ping" }, { bytes: 4 }];
const both: Readonly<Record<string, TcpServer>> = { a: says("a"), b: says("b") };
const members = [cluster("{case}-a", [host("a")]), cluster("{case}-b", [host("b")])];

const ends: TcpCase[] = [
  { name: "the caller ends its side", steps: [...ping, { end: "half" }] },
  { name: "the caller closes", steps: [...ping, { end: "close" }] },
  { name: "the caller resets", steps: [...ping, { end: "reset" }] },
  { name: "the caller resets at once", steps: [{ end: "reset" }] },
  { name: "the caller ends before it speaks", steps: [{ end: "half" }] },
  {
    name: "the caller ends its side and the server goes on",
    ...serving({ until: "end" }, { waitMs: 50 }, { send: "after" }, { waitMs: 50 }, { send: "wards" }, { end: "half" }),
    steps: [{ send: "ping" }, { end: "half" }, { bytes: 10 }, { until: "end" }],
  },
  {
    name: "the server ends its side and the caller goes on",
    ...serving({ send: "hello" }, { end: "half" }, { bytes: 8 }),
    steps: [
      { bytes: 5 },
      { until: "end" },
      { waitMs: 50 },
      { send: "after" },
      { waitMs: 50 },
      { send: "end" },
      { end: "half" },
    ],
  },
  {
    name: "the server closes",
    ...serving({ bytes: 4 }, { send: "pong" }, { end: "half" }),
    steps: [{ send: "ping" }, { until: "end" }],
  },
  {
    name: "the server resets",
    ...serving({ bytes: 4 }, { end: "reset" }),
    steps: [{ send: "ping" }, { until: "end" }],
  },
  {
    name: "the server resets after its answer",
    ...serving({ bytes: 4 }, { send: "pong" }, { waitMs: 80 }, { end: "reset" }),
    steps: [{ send: "ping" }, { bytes: 4 }, { until: "end" }],
  },
  {
    name: "the server resets after the caller's end",
    ...serving({ until: "end" }, { end: "reset" }),
    steps: [{ send: "ping" }, { end: "half" }, { until: "end" }],
  },
  {
    name: "the caller resets after the server's end",
    ...serving({ send: "hello" }, { end: "half" }, { until: "closed" }),
    steps: [{ bytes: 5 }, { until: "end" }, { end: "reset" }],
  },
  {
    name: "the server speaks first",
    ...serving({ send: "220 ready" }, { echo: true }),
    steps: [{ bytes: 9 }, ...ping],
  },
  { name: "a caller that is silent", steps: [{ waitMs: 300 }, { end: "half" }] },
  { name: "a mebibyte each way", steps: [{ send: "x".repeat(1 << 20) }, { bytes: 1 << 20 }, { end: "half" }] },
  {
    name: "a mebibyte to a server that reads late, then the end",
    ...serving({ deafMs: 200 }, { bytes: 1 << 20 }, { send: "got it" }),
    steps: [{ send: "x".repeat(1 << 20) }, { end: "half" }, { bytes: 6 }],
  },
];

const failures: TcpCase[] = [
  {
    name: "nobody listens",
    cluster: { load_assignment: assigned("closed") },
    steps: [{ until: "end" }],
  },
  {
    name: "nobody listens, three tries",
    cluster: { load_assignment: assigned("closed") },
    proxy: { max_connect_attempts: 3 },
    steps: [{ until: "end" }],
  },
  {
    name: "the second of two tries reaches a server",
    cluster: { load_assignment: assigned("closed", "up") },
    proxy: { max_connect_attempts: 2 },
    connections: [
      [...ping, { end: "half" }],
      [...ping, { end: "half" }],
    ],
    apartMs: 60,
    // Where the round begins is chance; one of the two connections meets the closed port first.
    view: (all) => [
      ...all.filter((line) => line.startsWith("client")),
      ...all
        .filter((line) => /^log proxy: .* UF .* attempts=2 /.test(line))
        .map((line) => line.replace(/cluster=\S+/, ""))
        .slice(0, 1),
    ],
  },
  {
    name: "nobody listens at the first address",
    cluster: { load_assignment: reachable("closed", "up") },
    steps: [...ping, { end: "half" }],
  },
  {
    name: "nobody listens at any address, two tries",
    cluster: { load_assignment: reachable("closed", "closed") },
    proxy: { max_connect_attempts: 2 },
    steps: [{ until: "end" }],
  },
  { name: "no endpoint", cluster: { load_assignment: { cluster_name: "{case}" } }, steps: [{ until: "end" }] },
  {
    name: "no healthy endpoint",
    cluster: {
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
      load_assignment: {
        cluster_name: "{case}",
        endpoints: [{ lb_endpoints: [host("up", { health_status: "UNHEALTHY" })] }],
      },
    },
    steps: [{ until: "end" }],
  },
  {
    name: "no endpoint, three tries",
    cluster: { load_assignment: { cluster_name: "{case}" } },
    proxy: { max_connect_attempts: 3 },
    steps: [{ until: "end" }],
  },
  { name: "no such cluster", proxy: { cluster: "none" }, steps: [{ until: "end" }] },
];

/** One endpoint with the addresses of these servers. */
function reachable(first: string, ...others: string[]): JsonObject {
  const address = (name: string): JsonObject => ({
    socket_address: { address: "127.0.0.1", port_value: `{port:${name}}` },
  });
  const additional_addresses = others.map((name) => ({ address: address(name) }));
  const endpoint = { address: address(first), additional_addresses };
  return { cluster_name: "{case}", endpoints: [{ lb_endpoints: [{ endpoint }] }] };
}

function assigned(...servers: string[]): JsonObject {
  return { cluster_name: "{case}", endpoints: [{ lb_endpoints: servers.map((name) => host(name)) }] };
}

const limits: TcpCase[] = [
  { name: "idle", proxy: { idle_timeout: "1s" }, steps: [...ping, { until: "end" }] },
  { name: "idle before anybody spoke", proxy: { idle_timeout: "0.2s" }, steps: [{ until: "end" }] },
  {
    name: "idle after the caller's end",
    ...serving(
      { until: "end" },
      { waitMs: 1600 },
      { send: "late" },
      { waitMs: 50 },
      { send: "later" },
      { until: "closed" },
    ),
    proxy: { idle_timeout: "1s" },
    steps: [{ send: "ping" }, { end: "half" }, { until: "end" }],
  },
  {
    name: "an age at which it ends",
    proxy: { max_downstream_connection_duration: "0.6s" },
    steps: [...ping, { until: "end" }],
  },
  {
    name: "an age at which it ends, without an upstream",
    proxy: { max_downstream_connection_duration: "0.2s" },
    cluster: { load_assignment: assigned("closed") },
    steps: [{ until: "end" }],
  },
  {
    name: "one connection and no more",
    cluster: { circuit_breakers: { thresholds: [{ max_connections: 1 }] } },
    connections: [[...ping, { waitMs: 300 }, { end: "half" }], [{ until: "end" }]],
    apartMs: 100,
  },
  {
    name: "one connection and no more, with tries",
    cluster: { circuit_breakers: { thresholds: [{ max_connections: 1 }] } },
    proxy: { max_connect_attempts: 3 },
    connections: [[...ping, { waitMs: 300 }, { end: "half" }], [{ until: "end" }]],
    apartMs: 100,
  },
  {
    name: "no request may wait",
    cluster: { circuit_breakers: { thresholds: [{ max_pending_requests: 0 }] } },
    steps: [{ until: "end" }],
  },
  {
    name: "one request and no more",
    cluster: { circuit_breakers: { thresholds: [{ max_requests: 1 }] } },
    connections: [
      [...ping, { waitMs: 300 }, { end: "half" }],
      [...ping, { end: "half" }],
    ],
    apartMs: 100,
  },
];

const choices: TcpCase[] = [
  {
    name: "all the weight on one",
    clusters: members,
    servers: both,
    cluster: { load_assignment: assigned("a") },
    proxy: {
      weighted_clusters: {
        clusters: [
          { name: "{case}-b", weight: 4294967295 },
          { name: "{case}-a", weight: 1 },
        ],
      },
    },
    steps: [{ bytes: 1 }, { end: "half" }],
  },
  {
    name: "a weighted cluster that is not there",
    proxy: { weighted_clusters: { clusters: [{ name: "none", weight: 1 }] } },
    steps: [{ until: "end" }],
  },
  {
    name: "one endpoint after the other",
    servers: both,
    cluster: { load_assignment: assigned("a", "b") },
    connections: Array.from({ length: 4 }, () => [{ bytes: 1 }, { end: "half" }] as const),
    apartMs: 60,
    view: (lines) =>
      lines
        .filter((line) => /received "[ab]"/.test(line) && line.startsWith("client"))
        .map((line) => line.slice(-3))
        .toSorted(),
  },
  {
    name: "one endpoint for one caller",
    servers: both,
    cluster: { load_assignment: assigned("a", "b"), lb_policy: "RING_HASH" },
    proxy: { hash_policy: [{ source_ip: {} }] },
    connections: [
      [{ bytes: 1 }, { end: "half" }],
      [{ bytes: 1 }, { end: "half" }],
      [{ bytes: 1 }, { end: "half" }],
    ],
    apartMs: 60,
    view: (lines) => [
      `servers: ${new Set(lines.filter((line) => /^client.*received "[ab]"/.test(line)).map((line) => line.slice(-3))).size}`,
    ],
  },
];

const lines: TcpCase[] = [
  {
    name: "a line when it is connected",
    proxy: { access_log_options: { flush_access_log_on_connected: true } },
    steps: [...ping, { end: "half" }],
  },
  {
    name: "a line each so often",
    proxy: { access_log_options: { access_log_flush_interval: "0.8s" } },
    // How many there are in that time is chance on a busy machine.
    view: (all) => [
      ...new Set(all.map((line) => (line.includes("TcpPeriodic") ? line.replace(/rx=\d+ tx=\d+ /, "") : line))),
    ],
    steps: [...ping, { waitMs: 1200 }, ...ping, { end: "half" }],
  },
  {
    name: "operators of requests",
    log: "%REQ(:METHOD)% %REQ(X-A?:PATH)% %RESP(X-B)% %TRAILER(X)% %UPSTREAM_PROTOCOL% %GRPC_STATUS% %RESPONSE_FLAGS_LONG% %STREAM_ID% %TRACE_ID% %VIRTUAL_CLUSTER_NAME% %UPSTREAM_CLUSTER_RAW% %QUERY_PARAM(a)% %PATH%",
    steps: [...ping, { end: "half" }],
    // A name that nobody could guess.
    view: (all) => all.map((line) => line.replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/, "(uuid)")),
  },
  {
    name: "durations",
    log: "%DURATION% %REQUEST_DURATION% %REQUEST_TX_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%",
    steps: [...ping, { end: "half" }],
    view: (all) => all.map((line) => (line.startsWith("log") ? line.replaceAll(/\d+/g, "(ms)") : line)),
  },
  {
    name: "addresses",
    log: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_ADDRESS% %UPSTREAM_REMOTE_PORT%",
    steps: [...ping, { end: "half" }],
  },
];

const ANY_RULE: JsonObject = { permissions: [{ any: true }], principals: [{ any: true }] };
const rules = (action: string, more: JsonObject = {}): JsonObject =>
  filter("envoy.filters.network.rbac", "NetworkRBAC", {
    stat_prefix: "r_",
    rules: { action, policies: { everybody: ANY_RULE } },
    ...more,
  });

/** Which connections the proxy's log has: one that was served, and one that found nobody. */
const filtered = (name: string, logFilter: JsonObject): TcpCase[] =>
  ["up", "closed"].map((server) => ({
    name: `logged: ${name}: ${server}`,
    cluster: { load_assignment: assigned(server) },
    proxy: {
      access_log: [
        {
          ...filter("file", "FileAccessLog", {
            path: "{logFile}",
            log_format: { text_format_source: { inline_string: "logged %RESPONSE_FLAGS%\n" } },
          }),
          filter: logFilter,
        },
      ],
    },
    steps: [{ waitMs: 60 }, { end: "half" }, { until: "end" }],
    view: (all) => all.filter((line) => line.startsWith("log")),
  }));

const comparison = (op: string, value: number): JsonObject => ({
  comparison: { op, value: { default_value: value, runtime_key: "none" } },
});

const filters: TcpCase[] = [
  ...filtered("with a flag", { response_flag_filter: { flags: ["UF"] } }),
  ...filtered("with any flag", { response_flag_filter: {} }),
  ...filtered("with another flag", { response_flag_filter: { flags: ["NR"] } }),
  ...filtered("no status", { status_code_filter: comparison("EQ", 0) }),
  ...filtered("a status of errors", { status_code_filter: comparison("GE", 500) }),
  ...filtered("quick ones", { duration_filter: comparison("LE", 60_000) }),
  ...filtered("slow ones", { duration_filter: comparison("GE", 60_000) }),
  ...filtered("with a header", { header_filter: { header: { name: "x", present_match: true } } }),
  ...filtered("without a header", {
    header_filter: { header: { name: "x", present_match: true, invert_match: true } },
  }),
  ...filtered("no health checks", { not_health_check_filter: {} }),
  ...filtered("of gRPC", { grpc_status_filter: { statuses: ["OK"] } }),
  ...filtered("both", {
    and_filter: { filters: [{ response_flag_filter: {} }, { duration_filter: comparison("GE", 0) }] },
  }),
];

/** What Envoy does for a caller that rules turn away: it has called the upstream already, and passes on what that says. */
const turnedAway = (rx: number, tx: number, envoy: readonly string[], outrigger: readonly string[]): Difference => {
  const line = (bytes: string, upstream: string): string =>
    `log proxy: 0 - details=- ended=rbac_access_denied_matched_policy[everybody] ${bytes} ${upstream} up=- - sni=- chain=- route=- TcpConnectionEnd`;
  return {
    why: "nobody is called for a caller that may not call, and nothing is said to it",
    envoy: [
      ...envoy,
      'up 1> received ""',
      "up 1> ended",
      line(`rx=${rx} tx=${tx}`, "attempts=1 cluster={case} host=127.0.0.1:up to=127.0.0.1:up"),
    ],
    outrigger: [...outrigger, line("rx=0 tx=0", "attempts=0 cluster=- host=- to=-")],
  };
};

const access: TcpCase[] = [
  { name: "access allowed", before: [rules("ALLOW")], steps: [...ping, { end: "half" }] },
  {
    name: "access denied",
    before: [rules("DENY")],
    steps: [{ send: "ping" }, { until: "end" }],
    // Whether the caller sees an end or a reset is chance: its bytes may be unread.
    view: (all) => all.map((line) => (/^client> (ended|ECONNRESET)/.test(line) ? "client> over" : line)),
    differs: turnedAway(4, 0, [], []),
  },
  {
    name: "access denied to a silent caller",
    before: [rules("DENY")],
    steps: [{ waitMs: 300 }],
    differs: turnedAway(0, 0, ["client> still open"], ["client> ended"]),
  },
  {
    name: "access denied where the server speaks first",
    before: [rules("DENY")],
    ...serving({ send: "220 ready" }),
    steps: [{ waitMs: 300 }],
    differs: turnedAway(
      0,
      9,
      ['client> received "220 ready"', "client> still open"],
      ['client> received ""', "client> ended"],
    ),
  },
  {
    name: "access allowed where the server speaks first",
    before: [rules("ALLOW")],
    ...serving({ send: "220 ready" }),
    steps: [{ bytes: 9 }],
  },
];

export const tcp: TcpArea = {
  name: "tcp",
  kind: "tcp",
  cases: [...ends, ...failures, ...limits, ...choices, ...lines, ...filters, ...access],
};
