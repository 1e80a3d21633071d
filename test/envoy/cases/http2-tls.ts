/** HTTP/2 over TLS: what ALPN decides on both sides, and what the access log says of protocols. */
import type { Area, Case, ClientTls, JsonObject } from "../harness/case.ts";
import { ANY, cluster, host, to, typed, upstreamOptions } from "../harness/config.ts";
import { get as get1, hangsUp, respond } from "../harness/http.ts";
import { answers, call, from2, get, LOG, onlyEnd, overHttp2, status } from "../harness/http2/build.ts";
import { downstream, REQUIRED, secured, trusting } from "../harness/tls-config.ts";

const offering = (...alpn: readonly string[]): ClientTls => ({ sni: "alpha.test", alpn });
const listener = (...alpn: readonly string[]): Partial<Case> =>
  secured(downstream(["alpha"], alpn.length === 0 ? {} : { alpn_protocols: alpn }));

const callers: Case[] = [
  from2("ALPN h2", get("/"), { ...listener("h2", "http/1.1"), tls: offering("h2", "http/1.1") }),
  from2("ALPN h2 that the caller likes less", get("/"), {
    ...listener("h2", "http/1.1"),
    tls: offering("http/1.1", "h2"),
  }),
  from2("ALPN h2 alone", get("/"), { ...listener("h2"), tls: offering("h2") }),
  from2("no ALPN, prior knowledge", get("/"), { ...listener("h2", "http/1.1"), tls: { sni: "alpha.test" } }),
  from2("ALPN http/1.1, but HTTP/2", get("/"), { ...listener("h2", "http/1.1"), tls: offering("http/1.1") }),
  from2("no ALPN on the listener", get("/"), { ...listener(), tls: offering("h2") }),
  from2("codec HTTP2 without ALPN", get("/"), {
    ...listener(),
    manager: { codec_type: "HTTP2" },
    tls: { sni: "alpha.test" },
  }),
  {
    name: "ALPN http/1.1",
    log: LOG,
    ...listener("h2", "http/1.1"),
    tls: offering("http/1.1"),
    steps: get1("/"),
  },
  { name: "ALPN h2, but HTTP/1.1", log: LOG, ...listener("h2"), tls: offering("h2"), steps: get1("/"), view: onlyEnd },
  {
    name: "ALPN with nothing in common",
    log: LOG,
    ...listener("h2", "http/1.1"),
    tls: offering("x"),
    steps: get1("/"),
  },
  {
    name: "codec HTTP1 and ALPN h2",
    log: LOG,
    ...listener("h2", "http/1.1"),
    manager: { codec_type: "HTTP1" },
    tls: offering("h2"),
    steps: get1("/"),
  },
  from2("client certificate", get("/"), {
    ...secured(downstream(["alpha"], { alpn_protocols: ["h2"], ...trusting("mesh") }, REQUIRED)),
    manager: {
      forward_client_cert_details: "SANITIZE_SET",
      set_current_client_cert_details: { uri: true },
    },
    tls: { ...offering("h2"), certificate: "caller" },
  }),
  from2(
    "scheme http over TLS",
    [
      {
        headers: [
          [":method", "GET"],
          [":scheme", "http"],
          [":authority", "{host}"],
          [":path", "/"],
          ["x-case", "{case}"],
        ],
        end: true,
      },
      { until: "end" },
    ],
    { ...listener("h2"), tls: offering("h2") },
  ),
  from2("server names that the certificate is not for", get("/"), {
    ...listener("h2"),
    tls: { sni: "beta.test", alpn: ["h2"] },
  }),
];

const toward = (upstream: string, options: JsonObject, common: JsonObject = {}): Partial<Case> => ({
  clusters: [
    cluster("{case}", [host(upstream)], {
      ...options,
      transport_socket: {
        name: "envoy.transport_sockets.tls",
        typed_config: typed("UpstreamTlsContext", {
          common_tls_context: { ...trusting("mesh"), ...common },
          sni: "alpha.test",
        }),
      },
    }),
  ],
  routes: [to(ANY, { cluster: "{case}" })],
});

/** `explicit_http_config` is what `upstreamOptions` starts from; these choose otherwise. */
const options = (fields: JsonObject): JsonObject => ({
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("HttpProtocolOptions", fields),
  },
});
const AUTO = options({ auto_config: { http_protocol_options: {}, http2_protocol_options: {} } });
const SAME = options({ use_downstream_protocol_config: { http_protocol_options: {}, http2_protocol_options: {} } });
const EXPLICIT1 = upstreamOptions({});

const upstreams: Case[] = [
  ...["both", "http2", "http1", "none"].flatMap((name): Case[] => [
    from2(`auto_config, upstream ${name}`, get("/"), toward(name, AUTO)),
    { name: `auto_config, HTTP/1.1 caller, upstream ${name}`, log: LOG, steps: get1("/"), ...toward(name, AUTO) },
    from2(`HTTP/2, upstream ${name}`, get("/"), { ...toward(name, overHttp2()), view: withoutWords }),
    from2(`HTTP/1.1, upstream ${name}`, get("/"), { ...toward(name, EXPLICIT1), view: withoutWords }),
    from2(`downstream's protocol, upstream ${name}`, get("/"), { ...toward(name, SAME), view: withoutWords }),
    {
      name: `downstream's protocol, HTTP/1.1 caller, upstream ${name}`,
      log: LOG,
      steps: get1("/"),
      ...toward(name, SAME),
      view: withoutWords,
    },
  ]),
  from2(
    "ALPN of the TLS context is not that of auto_config",
    get("/"),
    toward("both", AUTO, { alpn_protocols: ["http/1.1"] }),
  ),
  from2("HTTP/2 and an ALPN of the TLS context", get("/"), toward("both", overHttp2(), { alpn_protocols: ["h2"] })),
  from2("auto_config twice over one connection", [...get("/1"), ...call("GET", "/2", { stream: 3 })], {
    ...toward("both", AUTO),
    showsConnections: true,
  }),
];

/** TLS libraries and parsers have their own words for what went wrong. */
function withoutWords(lines: readonly string[]): readonly string[] {
  return lines.map((line) =>
    /^s1< {3}(?:content-length|http2)|^< {3}(?:content-length|length)/.test(line)
      ? "(length)"
      : line.replace(/\{.*?\}|tx=\d+|reason=\S+/g, "(reason)"),
  );
}

const logged = (name: string, log: string, more: Partial<Case> = {}): Case => ({
  ...from2(`log: ${name}`, get("/p"), more),
  log,
});

const PROTOCOLS = "%PROTOCOL% %UPSTREAM_PROTOCOL%";

const logs: Case[] = [
  logged("protocols, 2 to 2", PROTOCOLS, { cluster: overHttp2() }),
  logged("protocols, 2 to 1", PROTOCOLS),
  { name: "log: protocols, 1 to 2", log: PROTOCOLS, steps: get1("/p"), cluster: overHttp2() },
  { name: "log: protocols, 1 to 1", log: PROTOCOLS, steps: get1("/p") },
  logged("protocols of a local reply", PROTOCOLS, { routes: [to({ prefix: "/none" })] }),
  logged("protocols without a connection", PROTOCOLS, {
    clusters: [cluster("{case}", [host("closed")])],
    routes: [to(ANY, { cluster: "{case}" })],
  }),
  logged("protocols where the upstream hangs up", PROTOCOLS, { cluster: overHttp2(), answers: [hangsUp] }),
  logged("protocols where the upstream resets the stream", PROTOCOLS, {
    cluster: overHttp2(),
    answers: [answers({ reset: "INTERNAL_ERROR" })],
  }),
  logged("connection of a local reply", "%UPSTREAM_CONNECTION_ID%", { routes: [to({ prefix: "/none" })] }),
  logged("connection that did not come about", "%UPSTREAM_CONNECTION_ID%", {
    clusters: [cluster("{case}", [host("closed")])],
    routes: [to(ANY, { cluster: "{case}" })],
  }),
  logged("protocols after a retry", `${PROTOCOLS} %UPSTREAM_REQUEST_ATTEMPT_COUNT%`, {
    cluster: overHttp2(),
    routes: [to(ANY, { retry_policy: { retry_on: "reset" } })],
    answers: [answers({ reset: "INTERNAL_ERROR" }), respond(200)],
  }),
  logged("pseudo-headers", "%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(:SCHEME)% %REQ(HOST)% %RESP(:STATUS)%"),
  logged("trailers", "%TRAILER(x-t)% %RESPONSE_TRAILER(x-t)%", {
    cluster: overHttp2(),
    answers: [answers({ headers: status(200) }, { data: "abc" }, { headers: [["x-t", "1"]], end: true })],
  }),
  logged("header sizes", "%BYTES_RECEIVED% %BYTES_SENT% %RESPONSE_CODE%", {
    cluster: overHttp2(),
    answers: [respond(200, {}, "abc")],
  }),
];

export const http2Tls: Area = {
  name: "http2-tls",
  upstreams: {
    both: { certificate: "alpha", alpn: ["h2", "http/1.1"] },
    http2: { certificate: "alpha", alpn: ["h2"] },
    http1: { certificate: "alpha" },
    none: { certificate: "alpha", alpn: [] },
  },
  cases: [...callers, ...upstreams],
};

export const http2Logs: Area = { name: "http2-logs", cases: logs };
