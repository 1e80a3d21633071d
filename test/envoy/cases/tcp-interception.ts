/** Connections that rules have led to the proxy: by their destinations to listeners, chains and clusters. */
import type { JsonObject } from "../harness/case.ts";
import { filter } from "../harness/config.ts";
import type { TcpArea, TcpCase, TcpServer, TcpStep } from "../harness/tcp/case.ts";

const ORIGINAL_DST = filter("envoy.filters.listener.original_dst", "OriginalDst");
const PASSTHROUGH: JsonObject = {
  name: "{case}-o",
  type: "ORIGINAL_DST",
  lb_policy: "CLUSTER_PROVIDED",
  connect_timeout: "1s",
};

const ping: readonly TcpStep[] = [{ send: "ping" }, { bytes: 4 }, { end: "half" }];
const echoAt = (at: string): TcpServer => ({ at, steps: [{ echo: true }] });

const LOG =
  "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% rx=%BYTES_RECEIVED% tx=%BYTES_SENT% attempts=%UPSTREAM_REQUEST_ATTEMPT_COUNT% cluster=%UPSTREAM_CLUSTER% host=%UPSTREAM_HOST% to=%UPSTREAM_REMOTE_ADDRESS% local=%DOWNSTREAM_LOCAL_ADDRESS% direct=%DOWNSTREAM_DIRECT_LOCAL_ADDRESS% chain=%FILTER_CHAIN_NAME% up=%UPSTREAM_TRANSPORT_FAILURE_REASON%";

const tcp = (prefix: string, cluster: string): JsonObject =>
  filter("envoy.filters.network.tcp_proxy", "TcpProxy", {
    stat_prefix: prefix,
    cluster,
    access_log: [
      filter("file", "FileAccessLog", {
        path: "{logFile}",
        log_format: { text_format_source: { inline_string: `${prefix}: ${LOG}\n` } },
      }),
    ],
  });

/** To {net}.7, where a server stands, through a cluster of original destinations unless the case says otherwise. */
const intercepted = (name: string, more: Partial<TcpCase>): TcpCase => ({
  name,
  log: LOG,
  to: "{net}.7",
  servers: { up: echoAt("{net}.7") },
  listener: { use_original_dst: true },
  clusters: [PASSTHROUGH],
  proxy: { cluster: "{case}-o" },
  steps: ping,
  ...more,
});

/** A listener that has no socket of its own. */
const unbound = (name: string, host: string, port: number | string, cluster = "{case}-o"): JsonObject => ({
  name: `{case}-${name}`,
  address: { socket_address: { address: host, port_value: port } },
  bind_to_port: false,
  filter_chains: [{ name, filters: [tcp(name, cluster)] }],
});

const chain = (name: string, match: JsonObject, cluster: string): JsonObject => ({
  name,
  filter_chain_match: match,
  filters: [tcp(name, cluster)],
});

const six: Partial<TcpCase> = {
  listener: { use_original_dst: true, address: { socket_address: { address: "::1", port_value: "{port:listener}" } } },
  to: "{net6}:7",
  servers: { up: echoAt("{net6}:7") },
};

const both = { listenerLog: true };

const handing: TcpCase[] = [
  intercepted("to where it was going", both),
  intercepted("to where it was going, with the listener filter", { listener: { listener_filters: [ORIGINAL_DST] } }),
  intercepted("to where it was going, without either", { listener: {}, steps: [{ until: "end" }] }),
  intercepted("to where it was going, IPv6", six),
  intercepted("to where nobody is", { to: "{net}.9", steps: [{ until: "end" }] }),
  intercepted("to a listener at the address and port", {
    ...both,
    listeners: [unbound("exact", "{net}.7", "{port:own}"), unbound("any", "0.0.0.0", "{port:own}", "none")],
  }),
  intercepted("to a listener at the port of any address", {
    ...both,
    listeners: [unbound("other", "{net}.8", "{port:own}", "none"), unbound("any", "0.0.0.0", "{port:own}")],
  }),
  intercepted("to a listener at the address and port, IPv6", {
    ...six,
    listeners: [unbound("exact", "{net6}:7", "{port:own}")],
  }),
  intercepted("to a listener at the port of any address, IPv6", {
    ...six,
    listeners: [unbound("any", "::", "{port:own}")],
  }),
  intercepted("not to a listener at another port", { listeners: [unbound("other", "{net}.7", 4999, "none")] }),
  intercepted("not handed on where the listener does not say so", {
    listener: { listener_filters: [ORIGINAL_DST] },
    listeners: [unbound("exact", "{net}.7", "{port:own}", "none")],
  }),
  intercepted("to a listener whose chains don't match", {
    ...both,
    listeners: [
      { ...unbound("exact", "{net}.7", "{port:own}"), filter_chains: [chain("x", { destination_port: 1 }, "none")] },
    ],
    steps: [{ until: "end" }],
  }),
];

const chains: TcpCase[] = [
  intercepted("a chain by the destination's port", {
    listener: { listener_filters: [ORIGINAL_DST] },
    listenerLog: true,
    chains: (filters) => [
      { name: "mine", filter_chain_match: { destination_port: "{port:own}" }, filters },
      chain("listener's", { destination_port: "{port:listener}" }, "none"),
    ],
  }),
  intercepted("a chain by the destination's network", {
    listener: { listener_filters: [ORIGINAL_DST] },
    listenerLog: true,
    chains: (filters) => [
      { name: "mine", filter_chain_match: { prefix_ranges: [{ address_prefix: "{net}.0", prefix_len: 24 }] }, filters },
      chain("others", {}, "none"),
    ],
  }),
  intercepted("no chain", {
    listener: { listener_filters: [ORIGINAL_DST] },
    listenerLog: true,
    chains: () => [chain("x", { destination_port: 1 }, "none")],
    steps: [{ until: "end" }],
  }),
  intercepted("an inspector disabled for the destination's port", {
    listener: {
      listener_filters: [
        ORIGINAL_DST,
        {
          ...filter("envoy.filters.listener.http_inspector", "HttpInspector"),
          filter_disabled: { destination_port_range: { start: "{port:own}", end: "{port:after}" } },
        },
      ],
    },
    servers: { up: { at: "{net}.7", steps: [{ send: "220 ready" }, { echo: true }] } },
    steps: [{ bytes: 9 }, { end: "half" }],
  }),
];

const upstreams: TcpCase[] = [
  intercepted("from an address of the proxy's own", {
    clusters: [{ ...PASSTHROUGH, upstream_bind_config: { source_address: { address: "127.0.0.6", port_value: 0 } } }],
    log: "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_HOST% %DOWNSTREAM_LOCAL_ADDRESS%",
  }),
  intercepted("from addresses of both versions, IPv6", {
    ...six,
    clusters: [
      {
        ...PASSTHROUGH,
        upstream_bind_config: {
          source_address: { address: "127.0.0.6", port_value: 0 },
          extra_source_addresses: [{ address: { address: "::1", port_value: 0 } }],
        },
      },
    ],
    log: "%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT% %UPSTREAM_HOST% %DOWNSTREAM_LOCAL_ADDRESS%",
  }),
  intercepted("to an endpoint of another cluster", {
    proxy: { cluster: "{case}" },
    servers: { up: { steps: [{ echo: true }] } },
  }),
  intercepted("nowhere", {
    clusters: [{ name: "{case}-o", type: "STATIC", connect_timeout: "1s" }],
    steps: [{ until: "end" }],
  }),
  intercepted("several, each to its own", {
    to: "{net}.7",
    connections: [ping, ping, ping],
    apartMs: 40,
  }),
];

const GET = "GET /a HTTP/1.1\r\nhost: a.example\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

const HTTP_INSPECTOR = filter("envoy.filters.listener.http_inspector", "HttpInspector");

const manager = (cluster: string): JsonObject =>
  filter("envoy.filters.network.http_connection_manager", "HttpConnectionManager", {
    stat_prefix: "h",
    route_config: {
      virtual_hosts: [{ name: "any", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster } }] }],
    },
    http_filters: [filter("envoy.filters.http.router", "Router")],
    access_log: [
      filter("file", "FileAccessLog", {
        path: "{logFile}",
        log_format: { text_format_source: { inline_string: `http: %REQ(:PATH)% ${LOG}\n` } },
      }),
    ],
  });

/** What the answer says beside its status is for other areas. */
const statusOnly = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => line.replace(/(received "HTTP\/1.1 \d+).*|(received )\d+ bytes from ("HTTP).*/, "$1$2$3 …"));

const http = (name: string, more: Partial<TcpCase>): TcpCase =>
  intercepted(`HTTP: ${name}`, {
    chains: () => [{ filters: [manager("{case}-o")] }],
    servers: { up: { at: "{net}.7", steps: [{ bytes: GET.length }, { send: OK }] } },
    steps: [{ send: GET }, { bytes: 17 }, { waitMs: 100 }, { end: "half" }],
    view: (lines) => statusOnly(lines.filter((line) => !line.startsWith("up"))),
    ...more,
  });

const requests: TcpCase[] = [
  http("to where it was going", {}),
  http("to where it was going, IPv6", {
    ...six,
    servers: { up: { at: "{net6}:7", steps: [{ bytes: GET.length }, { send: OK }] } },
  }),
  http("to where nobody is", { to: "{net}.9" }),
  http("without the original destination", { listener: {} }),
  http("another destination in a header", {
    steps: [
      { send: GET.replace("\r\n\r\n", "\r\nx-envoy-original-dst-host: 127.0.0.1:1\r\n\r\n") },
      { bytes: 17 },
      { waitMs: 100 },
      { end: "half" },
    ],
  }),
  http("told by the inspector", {
    listener: { use_original_dst: true, listener_filters: [ORIGINAL_DST, HTTP_INSPECTOR] },
    chains: (filters) => [
      {
        name: "http",
        filter_chain_match: { application_protocols: ["http/1.1", "h2c"] },
        filters: [manager("{case}-o")],
      },
      { name: "opaque", filters },
    ],
  }),
  intercepted("opaque bytes, told by the inspector", {
    listener: { use_original_dst: true, listener_filters: [ORIGINAL_DST, HTTP_INSPECTOR] },
    chains: (filters) => [
      {
        name: "http",
        filter_chain_match: { application_protocols: ["http/1.1", "h2c"] },
        filters: [manager("{case}-o")],
      },
      { name: "opaque", filters },
    ],
    steps: [{ send: "*1\r\n$4\r\nPING\r\n" }, { bytes: 14 }, { end: "half" }],
  }),
];

export const tcpInterception: TcpArea = {
  name: "tcp-interception",
  kind: "tcp",
  intercepted: true,
  cases: [...handing, ...chains, ...upstreams, ...requests],
};
