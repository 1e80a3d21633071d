/** How connections find their filter chain where nobody has declared what they carry, and what becomes of those that find none. */
import type { JsonObject } from "../harness/case.ts";
import { cluster, filter, host } from "../harness/config.ts";
import type { TcpArea, TcpCase, TcpStep } from "../harness/tcp/case.ts";

const TLS_INSPECTOR = filter("envoy.filters.listener.tls_inspector", "TlsInspector");
const HTTP_INSPECTOR = filter("envoy.filters.listener.http_inspector", "HttpInspector");
const ORIGINAL_DST = filter("envoy.filters.listener.original_dst", "OriginalDst");

type Filters = readonly JsonObject[];

const chain = (name: string, match: JsonObject, filters: Filters): JsonObject => ({
  name,
  filter_chain_match: match,
  filters,
});

/** A chain for each protocol that the inspectors know, all with the same proxy: the log tells which was taken. */
const byProtocol = (filters: Filters): readonly JsonObject[] => [
  chain("h2c", { application_protocols: ["h2c"] }, filters),
  chain("http/1.1", { application_protocols: ["http/1.1"] }, filters),
  chain("http/1.0", { application_protocols: ["http/1.0"] }, filters),
  chain("tls", { transport_protocol: "tls" }, filters),
  chain("tls h2", { transport_protocol: "tls", application_protocols: ["h2"] }, filters),
  chain("rest", {}, filters),
];

const detecting: Partial<TcpCase> = {
  listener: { listener_filters: [TLS_INSPECTOR, HTTP_INSPECTOR], listener_filters_timeout: "5s" },
  chains: byProtocol,
};

const detected = (name: string, ...steps: TcpStep[]): TcpCase => ({
  name: `detected: ${name}`,
  ...detecting,
  steps: [...steps, { waitMs: 40 }, { end: "half" }],
});

/** Whether an end or a reset comes is chance where bytes may be unread. */
const over = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => line.replace(/^(client> )(?:ended|ECONNRESET)$/, "$1over"));

const protocols: TcpCase[] = [
  detected("HTTP/1.1", { send: "GET / HTTP/1.1\r\nhost: a\r\n\r\n" }),
  detected("HTTP/1.0", { send: "GET / HTTP/1.0\r\n\r\n" }),
  detected("HTTP/1.1, the first line alone", { send: "GET / HTTP/1.1\r\n" }),
  detected(
    "HTTP/1.1, the first line in pieces",
    { send: "GE" },
    { waitMs: 30 },
    { send: "T / HTT" },
    { waitMs: 30 },
    { send: "P/1.1\r\n" },
  ),
  detected("HTTP/1.1 after empty lines", { send: "\r\n\r\nGET / HTTP/1.1\r\n\r\n" }),
  detected("a line that ends with LF", { send: "GET / HTTP/1.1\n\n" }),
  detected("a method of their own", { send: "FROB / HTTP/1.1\r\nhost: a\r\n\r\n" }),
  detected("a method in lower case", { send: "get / HTTP/1.1\r\nhost: a\r\n\r\n" }),
  detected("a version that is none", { send: "GET / HTTP/3.7\r\nhost: a\r\n\r\n" }),
  detected("no version", { send: "GET /\r\n" }),
  detected("a long target", { send: `GET /${"x".repeat(9000)} HTTP/1.1\r\n\r\n` }),
  detected("HTTP/2", { send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" }),
  detected("HTTP/2 in pieces", { send: "PRI * HT" }, { waitMs: 30 }, { send: "TP/2.0\r\n\r\nSM\r\n\r\n" }),
  detected("a begin like HTTP/2 that goes on otherwise", { send: "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" }),
  detected("SSH", { send: "SSH-2.0-x\r\n" }),
  {
    ...detected("one byte that is no HTTP", { send: "\x01" }),
    differs: {
      why: "the first byte tells what is neither TLS nor HTTP; Envoy waits for five of them",
      envoy: ['client> received ""', "client> ECONNRESET"],
      outrigger: [
        'client> received "\\u0001"',
        "client> ended",
        'up 1> received "\\u0001"',
        "up 1> ended",
        "log proxy: 0 - details=- ended=- rx=1 tx=1 attempts=1 cluster={case} host=127.0.0.1:up to=127.0.0.1:up up=- - sni=- chain=rest route=- TcpConnectionEnd",
      ],
    },
  },
  { ...detected("one byte that may be HTTP", { send: "G" }), view: over },
  { ...detected("one byte that may be TLS", { send: "\x16" }), view: over },
  detected("TLS that is none", { send: "\x16\x03\x01\x00\x05hello" }),
  detected("a database's first packet", { send: "\0\0\0\x08\x04\xd2\x16\x2f" }),
  detected("nothing"),
];

const waiting = (name: string, listener: JsonObject, more: Partial<TcpCase>): TcpCase => ({
  name: `waiting: ${name}`,
  listenerLog: true,
  view: over,
  chains: byProtocol,
  listener: { listener_filters: [TLS_INSPECTOR, HTTP_INSPECTOR], listener_filters_timeout: "0.2s", ...listener },
  steps: [{ until: "end" }],
  ...more,
});

const GO_ON: JsonObject = { continue_on_listener_filters_timeout: true };
const greets: Partial<TcpCase> = { servers: { up: { steps: [{ send: "220 ready" }, { echo: true }] } } };

const timeouts: TcpCase[] = [
  waiting("a silent caller", {}, {}),
  waiting("a silent caller goes on", GO_ON, {
    steps: [{ waitMs: 400 }, { send: "ping" }, { bytes: 4 }, { end: "half" }],
  }),
  waiting("the server would speak first", {}, greets),
  waiting("the server would speak first, goes on", GO_ON, { ...greets, steps: [{ bytes: 9 }, { end: "half" }] }),
  waiting("half a word", {}, { steps: [{ send: "GE" }, { until: "end" }] }),
  waiting("half a word goes on", GO_ON, { steps: [{ send: "GE" }, { bytes: 2 }, { end: "half" }] }),
  waiting("the caller ends", {}, { steps: [{ waitMs: 50 }, { end: "half" }, { until: "end" }] }),
  waiting(
    "the caller ends in half a word",
    {},
    { steps: [{ send: "GE" }, { waitMs: 50 }, { end: "half" }, { until: "end" }] },
  ),
  waiting("the caller resets", {}, { steps: [{ waitMs: 50 }, { end: "reset" }] }),
  waiting(
    "without a limit",
    { listener_filters_timeout: "0s" },
    { steps: [{ waitMs: 400 }, { send: "SSH-2.0\r\n" }, { bytes: 9 }, { end: "half" }] },
  ),
];

const only = (match: JsonObject) => (filters: Filters) => [chain("only", match, filters)];

const choices: TcpCase[] = [
  {
    name: "no chain",
    listenerLog: true,
    chains: only({ destination_port: 1 }),
    steps: [{ until: "end" }],
  },
  {
    name: "no chain for plaintext",
    listenerLog: true,
    listener: { listener_filters: [TLS_INSPECTOR] },
    chains: only({ transport_protocol: "tls" }),
    steps: [{ send: "plain text" }, { until: "end" }],
  },
  {
    name: "no chain for a silent caller",
    listenerLog: true,
    chains: only({ destination_port: 1 }),
    steps: [{ until: "end" }],
  },
  {
    name: "the default chain",
    chains: only({ destination_port: 1 }),
    listener: {
      default_filter_chain: {
        name: "default",
        filters: [filter("t", "TcpProxy", { stat_prefix: "d", cluster: "{case}" })],
      },
    },
    steps: [{ send: "ping" }, { bytes: 4 }, { end: "half" }],
  },
  {
    name: "by the port",
    chains: (filters) => [chain("mine", { destination_port: "{port:listener}" }, filters), chain("other", {}, filters)],
    steps: [{ send: "ping" }, { bytes: 4 }, { end: "half" }],
  },
  {
    name: "a chain without filters",
    listenerLog: true,
    chains: () => [{ name: "empty", filters: [] }],
    steps: [{ until: "end" }],
  },
  {
    name: "TLS inspector disabled for the port",
    listener: {
      listener_filters: [
        { ...TLS_INSPECTOR, filter_disabled: { destination_port_range: { start: 1, end: 65536 } } },
        HTTP_INSPECTOR,
      ],
    },
    chains: byProtocol,
    steps: [{ send: "\x16\x03\x01\x00\x05hello" }, { waitMs: 40 }, { end: "half" }],
  },
  {
    name: "HTTP inspector disabled for the port",
    listener: { listener_filters: [TLS_INSPECTOR, { ...HTTP_INSPECTOR, filter_disabled: { any_match: true } }] },
    chains: byProtocol,
    steps: [{ send: "GET / HTTP/1.1\r\n\r\n" }, { waitMs: 40 }, { end: "half" }],
  },
  {
    name: "HTTP inspector disabled for another port",
    listener: {
      listener_filters: [
        TLS_INSPECTOR,
        { ...HTTP_INSPECTOR, filter_disabled: { destination_port_range: { start: 1, end: 2 } } },
      ],
    },
    chains: byProtocol,
    steps: [{ send: "GET / HTTP/1.1\r\n\r\n" }, { waitMs: 40 }, { end: "half" }],
  },
  {
    name: "HTTP inspector enabled for another port",
    listener: {
      listener_filters: [
        TLS_INSPECTOR,
        {
          ...HTTP_INSPECTOR,
          filter_disabled: {
            not_match: {
              or_match: {
                rules: [
                  { destination_port_range: { start: 1, end: 2 } },
                  { destination_port_range: { start: 2, end: 3 } },
                ],
              },
            },
          },
        },
      ],
    },
    chains: byProtocol,
    steps: [{ send: "GET / HTTP/1.1\r\n\r\n" }, { waitMs: 40 }, { end: "half" }],
  },
];

/** What the listener's own log says about connections that were served, or not. */
const logged: TcpCase[] = [
  { name: "logged by the listener", listenerLog: true, steps: [{ send: "ping" }, { bytes: 4 }, { end: "half" }] },
  {
    name: "logged by the listener: nobody listens",
    listenerLog: true,
    cluster: { load_assignment: { cluster_name: "{case}", endpoints: [{ lb_endpoints: [host("closed")] }] } },
    steps: [{ until: "end" }],
  },
  {
    name: "logged by the listener: times and names",
    listenerLog: true,
    log: "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS% %UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %FILTER_CHAIN_NAME%",
    chains: (filters) => [{ name: "chain", filters }],
    steps: [{ send: "ping" }, { bytes: 4 }, { end: "half" }],
  },
];

/** A connection manager that answers by itself, or asks the case's server. */
const manager = (action: JsonObject): JsonObject =>
  filter("envoy.filters.network.http_connection_manager", "HttpConnectionManager", {
    stat_prefix: "h",
    route_config: { virtual_hosts: [{ name: "any", domains: ["*"], routes: [{ match: { prefix: "/" }, ...action }] }] },
    http_filters: [filter("envoy.filters.http.router", "Router")],
  });

const GET = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
/** The line of a connection: what was said on it is for the log of its requests. */
const loggedHttp = (name: string, differs: Partial<TcpCase>, ...steps: TcpStep[]): TcpCase => ({
  name: `logged by the listener: HTTP: ${name}`,
  listenerLog: true,
  log: "%RESPONSE_CODE% %RESPONSE_FLAGS% rx=%BYTES_RECEIVED% tx=%BYTES_SENT% %PROTOCOL% chain=%FILTER_CHAIN_NAME%",
  chains: () => [{ name: "http", filters: [manager({ direct_response: { status: 200 } })] }],
  steps: [...steps, { waitMs: 50 }, { end: "half" }],
  view: (lines) => lines.filter((line) => line.startsWith("log")),
  ...differs,
});

const without = (envoy: string, outrigger: string): Partial<TcpCase> => ({
  differs: {
    why: "a connection's line has its bytes; what was spoken badly is in the log of requests",
    envoy: [`log listener: ${envoy} chain=http`],
    outrigger: [`log listener: ${outrigger} chain=http`],
  },
});

const loggedRequests: TcpCase[] = [
  loggedHttp("no request", {}),
  loggedHttp("a request", {}, { send: GET }, { bytes: 90 }),
  loggedHttp("what is none", without("0 DPE rx=16 tx=156 -", "0 - rx=16 tx=0 -"), { send: "what is this\r\n\r\n" }),
];

const original = { type: "ORIGINAL_DST", lb_policy: "CLUSTER_PROVIDED", connect_timeout: "1s" };

/** Nothing has led these connections elsewhere: they are where they were going. */
const destinations: TcpCase[] = [
  {
    name: "original destination of a connection that nobody intercepted",
    listener: { listener_filters: [ORIGINAL_DST] },
    steps: [{ send: "ping" }, { bytes: 4 }, { end: "half" }],
  },
  {
    name: "handing on a connection that nobody intercepted",
    listener: { use_original_dst: true, listener_filters: [ORIGINAL_DST] },
    listeners: [
      {
        name: "{case}-any",
        address: { socket_address: { address: "0.0.0.0", port_value: "{port:listener}" } },
        bind_to_port: false,
        filter_chains: [{ filters: [filter("t", "TcpProxy", { stat_prefix: "any", cluster: "none" })] }],
      },
    ],
    steps: [{ send: "ping" }, { bytes: 4 }, { end: "half" }],
  },
  {
    name: "a cluster of original destinations",
    clusters: [{ name: "{case}-o", ...original }],
    proxy: { cluster: "{case}-o" },
    steps: [{ until: "end" }],
  },
  {
    name: "a cluster of original destinations, behind the listener filter",
    listener: { listener_filters: [ORIGINAL_DST] },
    clusters: [{ name: "{case}-o", ...original }],
    proxy: { cluster: "{case}-o" },
    steps: [{ until: "end" }],
  },
  {
    name: "a source address",
    clusters: [
      cluster("{case}-b", [host("up")], {
        upstream_bind_config: { source_address: { address: "127.0.0.6", port_value: 0 } },
      }),
    ],
    proxy: { cluster: "{case}-b" },
    log: "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_HOST%",
    steps: [{ send: "ping" }, { bytes: 4 }, { end: "half" }],
  },
  {
    name: "source addresses of both versions",
    clusters: [
      cluster("{case}-b", [host("up")], {
        upstream_bind_config: {
          source_address: { address: "::1", port_value: 0 },
          extra_source_addresses: [{ address: { address: "127.0.0.6", port_value: 0 } }],
        },
      }),
    ],
    proxy: { cluster: "{case}-b" },
    log: "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_HOST%",
    steps: [{ send: "ping" }, { bytes: 4 }, { end: "half" }],
  },
  {
    name: "a source address that is not here",
    clusters: [
      cluster("{case}-b", [host("up")], {
        upstream_bind_config: { source_address: { address: "192.0.2.1", port_value: 0 } },
      }),
    ],
    proxy: { cluster: "{case}-b" },
    steps: [{ until: "end" }],
    // Envoy says that it could not, and has connected all the same.
    view: (lines) => lines.filter((line) => !line.startsWith("up")).map((line) => line.replace(/rx=.*to=/, "")),
    differs: {
      why: "the flag says that a connection could not be made",
      envoy: [
        "log proxy: 0 URX details=- ended=- - up=failed_to_bind_to_192.0.2.1:0:_Cannot_assign_requested_address - sni=- chain=- route=- TcpConnectionEnd",
      ],
      outrigger: [
        "log proxy: 0 UF,URX details=- ended=- - up=failed_to_bind_to_192.0.2.1:0:_Cannot_assign_requested_address - sni=- chain=- route=- TcpConnectionEnd",
      ],
    },
  },
];

export const tcpListeners: TcpArea = {
  name: "tcp-listeners",
  kind: "tcp",
  cases: [...protocols, ...timeouts, ...choices, ...logged, ...loggedRequests, ...destinations],
};
