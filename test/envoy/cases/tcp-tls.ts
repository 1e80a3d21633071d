/** TLS around opaque bytes: ended here, begun here, or passed through by the server name. */
import type { JsonObject } from "../harness/case.ts";
import { cluster, filter, host, typed } from "../harness/config.ts";
import type { TcpArea, TcpCase, TcpServer, TcpStep } from "../harness/tcp/case.ts";
import { clientHello } from "../harness/tcp/client-hello.ts";
import { CALLER, downstream, own, REQUIRED, trusting, uri } from "../harness/tls-config.ts";

const TLS_INSPECTOR = filter("envoy.filters.listener.tls_inspector", "TlsInspector");
const ping: readonly TcpStep[] = [{ send: "ping" }, { bytes: 4 }];
const HALF: TcpStep = { end: "half" };
const ECHO: readonly TcpStep[] = [{ echo: true }];

const ended = (name: string, socket: JsonObject, more: Partial<TcpCase>): TcpCase => ({
  name: `ended: ${name}`,
  chains: (filters) => [{ filters, ...socket }],
  ...more,
});

const alpha = downstream(["alpha"]);
const mutual = downstream(["alpha"], trusting("mesh"), REQUIRED);

/** What Envoy does for a caller whose handshake fails: it has called the upstream already, or was just about to. */
const calledInVain = (ended: string): Pick<TcpCase, "view" | "differs"> => ({
  view: (lines) =>
    lines.filter((line) => line.startsWith("log")).map((line) => line.replace(/host=\S+ to=\S+/, "(upstream)")),
  differs: {
    why: "nobody is called for a caller who is not known yet",
    envoy: [
      `log proxy: 0 - details=- ended=${ended} rx=0 tx=0 attempts=1 cluster={case} (upstream) up=- - sni=- chain=- route=- TcpConnectionEnd`,
    ],
    outrigger: [],
  },
});

const terminated: TcpCase[] = [
  ended("served", alpha, { tls: {}, steps: [...ping, HALF] }),
  ended("a server name and ALPN", downstream(["alpha"], { alpn_protocols: ["x", "y"] }), {
    listener: { listener_filters: [TLS_INSPECTOR] },
    tls: { sni: "alpha.test", alpn: ["y"] },
    steps: [...ping, HALF],
  }),
  ended("a server name without the inspector", alpha, {
    tls: { sni: "alpha.test" },
    steps: [...ping, HALF],
    log: "%REQUESTED_SERVER_NAME%",
    differs: {
      why: "TLS that ends here has read the name, inspector or not",
      envoy: ["log proxy: -"],
      outrigger: ["log proxy: alpha.test"],
    },
  }),
  ended("ALPN with nothing in common", downstream(["alpha"], { alpn_protocols: ["x"] }), {
    tls: { alpn: ["y"] },
    steps: [...ping, HALF],
  }),
  ended("a caller with a certificate", mutual, {
    listener: { listener_filters: [TLS_INSPECTOR] },
    tls: CALLER,
    steps: [...ping, HALF],
    log: "%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_TLS_VERSION% %REQUESTED_SERVER_NAME% %BYTES_RECEIVED% %BYTES_SENT%",
  }),
  ended("the server ends first", alpha, {
    tls: {},
    servers: { up: { steps: [{ bytes: 4 }, { send: "pong" }, HALF] } },
    steps: [...ping, { until: "end" }],
  }),
  ended("the caller ends its side and the server goes on", alpha, {
    tls: {},
    servers: { up: { steps: [{ until: "end" }, { waitMs: 60 }, { send: "after" }, HALF] } },
    steps: [{ send: "ping" }, HALF, { bytes: 5 }, { until: "end" }],
  }),
  ended("the server ends its side and the caller goes on", alpha, {
    tls: {},
    servers: { up: { steps: [{ send: "hello" }, HALF, { bytes: 5 }] } },
    steps: [{ bytes: 5 }, { waitMs: 60 }, { send: "after" }, HALF],
  }),
  ended("the caller resets", alpha, { tls: {}, steps: [...ping, { end: "reset" }] }),
  ended("the caller is gone without a word", alpha, { tls: {}, steps: [...ping, { end: "cut" }] }),
  ended("the server resets", alpha, {
    tls: {},
    servers: { up: { steps: [{ bytes: 4 }, { end: "reset" }] } },
    steps: [{ send: "ping" }, { until: "end" }],
  }),
  ended("a mebibyte each way", alpha, { tls: {}, steps: [{ send: "x".repeat(1 << 20) }, { bytes: 1 << 20 }, HALF] }),
  ended("plaintext", alpha, {
    steps: [{ send: "plain text, no TLS at all\r\n" }, { until: "end" }],
    ...calledInVain("-"),
  }),
  ended("no certificate where one is required", mutual, {
    tls: { sni: "alpha.test" },
    steps: [{ send: "ping" }, { until: "end" }],
    ...calledInVain("-"),
  }),
  ended(
    "a caller that never shakes hands",
    { ...alpha, transport_socket_connect_timeout: "0.2s" },
    {
      steps: [{ until: "end" }],
      ...calledInVain("transport socket timeout was reached"),
    },
  ),
  ended("a server that speaks first", alpha, {
    tls: {},
    servers: { up: { steps: [{ send: "220 ready" }, { echo: true }] } },
    steps: [{ bytes: 9 }, ...ping, HALF],
  }),
];

const secure = (certificate: string, more: Partial<TcpServer> = {}): TcpServer => ({
  tls: { certificate, alpn: ["x"] },
  steps: ECHO,
  ...more,
});

const begun = (
  name: string,
  server: TcpServer,
  common: JsonObject,
  more: Partial<TcpCase> = {},
  tls: JsonObject = {},
  connectTimeout = "5s",
): TcpCase => ({
  name: `begun: ${name}`,
  servers: { up: server },
  clusters: [
    cluster("{case}-t", [host("up")], {
      connect_timeout: connectTimeout,
      transport_socket: {
        name: "envoy.transport_sockets.tls",
        typed_config: typed("UpstreamTlsContext", { common_tls_context: common, ...tls }),
      },
    }),
  ],
  proxy: { cluster: "{case}-t" },
  steps: [...ping, HALF],
  ...more,
});

/** Each proxy says in its own words what is wrong with a handshake; their first messages are of different lengths. */
const inOwnWords = (lines: readonly string[]): readonly string[] =>
  lines.map((line) =>
    line.replace(/received \d+ bytes from "\\u0016.*/, "received a ClientHello").replace(/up=\S+/, "up=…"),
  );

/** And notices it at another time: the server may think that the handshake was fine. */
const callersOnly = (lines: readonly string[]): readonly string[] =>
  inOwnWords(lines.filter((line) => !line.startsWith("up ")));

const originated: TcpCase[] = [
  begun("verified", secure("alpha"), trusting("mesh"), {}, { sni: "alpha.test" }),
  begun("ALPN", secure("alpha"), { ...trusting("mesh"), alpn_protocols: ["x"] }),
  begun(
    "with a certificate",
    { tls: { certificate: "orders", requireClientCertificate: true, alpn: ["x"] }, steps: ECHO },
    {
      ...trusting("mesh", uri({ exact: "spiffe://mesh.test/ns/shop/sa/orders" })),
      tls_certificates: [own("caller")],
    },
  ),
  begun("signed by a stranger", secure("stranger"), trusting("mesh"), {
    steps: [{ until: "end" }],
    view: callersOnly,
  }),
  begun("the wrong name", secure("orders"), trusting("mesh", uri({ exact: "spiffe://mesh.test/ns/shop/sa/stock" })), {
    steps: [{ until: "end" }],
    view: callersOnly,
  }),
  begun("a server of plaintext", { steps: [{ send: "220 ready\r\n" }, { waitMs: 100 }] }, trusting("mesh"), {
    steps: [{ until: "end" }],
    view: inOwnWords,
  }),
  begun(
    "a server that says nothing",
    { steps: [] },
    trusting("mesh"),
    {
      view: inOwnWords,
      steps: [{ until: "end" }],
    },
    {},
    "0.3s",
  ),
  begun(
    "a server that says nothing, twice",
    { steps: [] },
    trusting("mesh"),
    {
      view: inOwnWords,
      proxy: { cluster: "{case}-t", max_connect_attempts: 2 },
      steps: [{ until: "end" }],
    },
    {},
    "0.3s",
  ),
  begun(
    "the server ends its side",
    secure("alpha", { steps: [{ send: "hello" }, HALF, { bytes: 5 }] }),
    trusting("mesh"),
    {
      steps: [{ bytes: 5 }, { until: "end" }, { send: "after" }, HALF],
    },
  ),
  begun(
    "the caller ends its side",
    secure("alpha", { steps: [{ until: "end" }, { send: "after" }, HALF] }),
    trusting("mesh"),
    {
      steps: [{ send: "ping" }, HALF, { bytes: 5 }, { until: "end" }],
    },
  ),
  begun(
    "the server is gone without a word",
    secure("alpha", { steps: [{ bytes: 4 }, { end: "cut" }] }),
    trusting("mesh"),
    {
      steps: [{ send: "ping" }, { until: "end" }],
    },
  ),
  begun("the server resets", secure("alpha", { steps: [{ bytes: 4 }, { end: "reset" }] }), trusting("mesh"), {
    steps: [{ send: "ping" }, { until: "end" }],
  }),
  begun("the caller resets", secure("alpha"), trusting("mesh"), { steps: [...ping, { end: "reset" }] }),
  begun(
    "the server speaks first",
    secure("alpha", { steps: [{ send: "220 ready" }, { echo: true }] }),
    trusting("mesh"),
    {
      steps: [{ bytes: 9 }, ...ping, HALF],
    },
  ),
  begun("a mebibyte each way", secure("alpha"), trusting("mesh"), {
    steps: [{ send: "x".repeat(1 << 20) }, { bytes: 1 << 20 }, HALF],
  }),
];

/** Signatures differ in length. */
const anySize = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => line.replaceAll(/([rt]x)=\d{4}/g, "$1=…"));

const passing = (name: string, more: Partial<TcpCase>): TcpCase => ({
  name: `passed: ${name}`,
  listener: { listener_filters: [TLS_INSPECTOR] },
  servers: {
    up: secure("alpha"),
    beta: secure("beta"),
  },
  clusters: [cluster("{case}-b", [host("beta")])],
  chains: (filters) => [
    { name: "alpha", filter_chain_match: { server_names: ["alpha.test"] }, filters },
    {
      name: "wild",
      filter_chain_match: { server_names: ["*.wild.test"] },
      filters: [filter("t", "TcpProxy", { stat_prefix: "b", cluster: "{case}-b" })],
    },
    { name: "x", filter_chain_match: { application_protocols: ["x"] }, filters },
    { name: "plain", filter_chain_match: { transport_protocol: "raw_buffer" }, filters },
  ],
  steps: [...ping, HALF],
  view: anySize,
  ...more,
});

const passed: TcpCase[] = [
  passing("by the server name", { tls: { sni: "alpha.test" } }),
  passing("by a wildcard", { tls: { sni: "a.wild.test" } }),
  passing("by the application's protocol", { tls: { alpn: ["x"] } }),
  passing("an unknown name", {
    listenerLog: true,
    tls: { sni: "nobody.test" },
    view: (lines) => lines.filter((line) => !line.startsWith("client")),
  }),
  passing("no name", {
    listenerLog: true,
    tls: {},
    view: (lines) => lines.filter((line) => !line.startsWith("client")),
  }),
  passing("plaintext to a server of plaintext", {
    servers: { up: { steps: ECHO }, beta: secure("beta") },
    steps: [{ send: "plain text" }, { bytes: 10 }, HALF],
  }),
];

/** A ClientHello in so many pieces, which the server sends back. */
const looked = (name: string, hello: Buffer, pieces = 1, more: Partial<TcpCase> = {}): TcpCase => {
  const size = Math.ceil(hello.length / pieces);
  const steps = Array.from({ length: pieces }, (_, i): readonly TcpStep[] => [
    { send: hello.subarray(i * size, (i + 1) * size) },
    { waitMs: 1 },
  ]).flat();
  return passing(`ClientHello: ${name}`, {
    servers: { up: { steps: ECHO }, beta: { steps: ECHO } },
    steps: [...steps, { bytes: hello.length }, HALF],
    listener: { listener_filters: [TLS_INSPECTOR], listener_filters_timeout: "8s" },
    listenerLog: true,
    view: (lines) => lines.map((line) => line.replace(/ bytes from .*/, " bytes from (the hello)")),
    ...more,
  });
};

const gone: readonly TcpStep[] = [{ until: "end" }];
const alphaHello = clientHello({ serverName: "alpha.test" });
const garbled = Buffer.concat([alphaHello.subarray(0, 50), Buffer.alloc(alphaHello.length - 50, 255)]);

const hellos: TcpCase[] = [
  looked("whole", alphaHello),
  looked("byte by byte", alphaHello, alphaHello.length),
  looked("in seven pieces", alphaHello, 7),
  looked("in two records", clientHello({ serverName: "alpha.test", records: [40] })),
  looked("in records of few bytes", clientHello({ serverName: "alpha.test", records: [1, 3, 20, 60] })),
  looked("in two records, byte by byte", clientHello({ serverName: "alpha.test", records: [40] }), 200),
  looked("with values that mean nothing", clientHello({ serverName: "alpha.test", grease: true })),
  looked("a name in capitals", clientHello({ serverName: "ALPHA.test" })),
  looked("a name with a dot at its end", clientHello({ serverName: "alpha.test." }), 1, {
    steps: [{ send: clientHello({ serverName: "alpha.test." }) }, ...gone],
  }),
  looked("a name for the wildcard, deep down", clientHello({ serverName: "a.b.wild.test" })),
  looked("an application's protocol", clientHello({ alpn: ["x"] })),
  looked("several of an application's protocols", clientHello({ alpn: ["y", "x"] })),
  looked("name and protocol", clientHello({ serverName: "a.wild.test", alpn: ["x"] })),
  looked("neither", clientHello(), 1, { steps: [{ send: clientHello() }, ...gone] }),
  looked("4 kB", clientHello({ serverName: "alpha.test", padding: 4000 })),
  looked("15 kB", clientHello({ serverName: "alpha.test", padding: 15_000 }), 9),
  looked("more than 16 kB", clientHello({ serverName: "alpha.test", padding: 17_000, records: [9000] })),
  looked("half of it", alphaHello, 1, {
    steps: [{ send: alphaHello.subarray(0, 60) }, ...gone],
    listener: { listener_filters: [TLS_INSPECTOR], listener_filters_timeout: "0.5s" },
  }),
  looked("garbage in it", garbled, 1, {
    differs: {
      why: "what begins as a ClientHello is TLS, if no good one, and does not pass for plaintext",
      envoy: [
        "client> received 146 bytes from (the hello)",
        "client> ended",
        "up 1> received 146 bytes from (the hello)",
        "up 1> ended",
        "log listener: 0 - details=- ended=- rx=146 tx=146 attempts=1 cluster={case} host=127.0.0.1:up to=127.0.0.1:up up=- - sni=- chain=plain route=- NotSet",
        "log proxy: 0 - details=- ended=- rx=146 tx=146 attempts=1 cluster={case} host=127.0.0.1:up to=127.0.0.1:up up=- - sni=- chain=plain route=- TcpConnectionEnd",
      ],
      outrigger: [
        'client> received ""',
        "client> ECONNRESET",
        "log listener: 0 NR details=filter_chain_not_found ended=- rx=0 tx=0 attempts=0 cluster=- host=- to=- up=- - sni=- chain=- route=- NotSet",
      ],
    },
  }),
];

export const tcpTls: TcpArea = {
  name: "tcp-tls",
  kind: "tcp",
  cases: [...terminated, ...originated, ...passed, ...hellos],
};
