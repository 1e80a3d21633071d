/** TLS to upstreams: what they have to prove, what is shown to them, and which of them get TLS at all. */
import type { Area, Case, JsonObject } from "../harness/case.ts";
import { ANY, cluster, host, to, typed } from "../harness/config.ts";
import { call, get } from "../harness/http.ts";
import { own, trusting, uri } from "../harness/tls-config.ts";

function upstreamSocket(common: JsonObject, more: JsonObject = {}): JsonObject {
  return {
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: typed("UpstreamTlsContext", { common_tls_context: common, ...more }),
    },
  };
}

function originate(
  name: string,
  upstream: string,
  common: JsonObject,
  more: JsonObject = {},
  extra: Partial<Case> = {},
): Case {
  return {
    name: `upstream: ${name}`,
    clusters: [cluster("{case}", [host(upstream)], upstreamSocket(common, more))],
    routes: [to(ANY, { cluster: "{case}" })],
    steps: get("/"),
    ...extra,
  };
}

const dnsName = (name: string): JsonObject => ({
  match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: name } }],
});

const upstreams: Case[] = [
  originate("verified", "secure", trusting("mesh")),
  originate("verified with a server name", "secure", trusting("mesh"), { sni: "alpha.test" }),
  originate("verified by name", "secure", trusting("mesh", dnsName("alpha.test"))),
  originate("verified by wildcard in the certificate", "secure", trusting("mesh", dnsName("a.wild.test"))),
  originate("name does not match", "secure", trusting("mesh", dnsName("beta.test")), {}, { view: inOwnWords }),
  originate("SPIFFE id", "orders", trusting("mesh", uri({ exact: "spiffe://mesh.test/ns/shop/sa/orders" }))),
  originate(
    "SPIFFE id does not match",
    "orders",
    trusting("mesh", uri({ exact: "spiffe://mesh.test/ns/shop/sa/stock" })),
    {},
    { view: inOwnWords },
  ),
  originate("signed by a stranger", "stranger", trusting("mesh"), {}, { view: inOwnWords }),
  originate("not verified", "stranger", {}),
  originate("plaintext where TLS is expected", "up", trusting("mesh")),
  originate("client certificate shown", "mutual", { ...trusting("mesh"), tls_certificates: [own("caller")] }),
  originate("client certificate missing", "mutual", trusting("mesh"), {}, { view: withoutReason }),
  originate(
    "client certificate of a stranger",
    "mutual",
    { ...trusting("mesh"), tls_certificates: [own("stranger")] },
    {},
    { view: withoutReason },
  ),
  originate("ALPN offered", "secure", { ...trusting("mesh"), alpn_protocols: ["http/1.1"] }),
  originate("server name of the request's host", "secure", trusting("mesh"), { auto_host_sni: true }),
  {
    name: "upstream: TLS by the endpoint's labels",
    clusters: [
      cluster(
        "{case}",
        [host("secure", { metadata: { filter_metadata: { "envoy.transport_socket_match": { tlsMode: "mesh" } } } })],
        {
          transport_socket_matches: [
            { name: "mesh", match: { tlsMode: "mesh" }, ...upstreamSocket(trusting("mesh"), { sni: "by-label.test" }) },
            {
              name: "plain",
              match: {},
              transport_socket: { name: "envoy.transport_sockets.raw_buffer", typed_config: typed("RawBuffer") },
            },
          ],
        },
      ),
    ],
    routes: [to(ANY, { cluster: "{case}" })],
    steps: get("/"),
  },
  {
    name: "upstream: plaintext by the endpoint's labels",
    clusters: [
      cluster("{case}", [host("up")], {
        transport_socket_matches: [
          { name: "mesh", match: { tlsMode: "mesh" }, ...upstreamSocket(trusting("mesh")) },
          {
            name: "plain",
            match: {},
            transport_socket: { name: "envoy.transport_sockets.raw_buffer", typed_config: typed("RawBuffer") },
          },
        ],
      }),
    ],
    routes: [to(ANY, { cluster: "{case}" })],
    steps: call("POST", "/", { body: "abc" }),
  },
];

/** Each proxy says in its own words what is wrong with a certificate. */
function inOwnWords(lines: readonly string[]): readonly string[] {
  return lines.map((line) => line.replace(/(\{remote_connection_failure\|).*\} /, "$1…} "));
}

/** What a peer's alert is called differs between TLS libraries. */
function withoutReason(lines: readonly string[]): readonly string[] {
  return lines.map((line) =>
    /^< {3}(content-length|length)/.test(line) ? "(length)" : line.replace(/\{.*?\}|tx=\d+/g, "(reason)"),
  );
}

export const upstreamTls: Area = {
  name: "upstream-tls",
  upstreams: {
    secure: { certificate: "alpha" },
    orders: { certificate: "orders" },
    stranger: { certificate: "stranger" },
    mutual: { certificate: "orders", requireClientCertificate: true },
  },
  cases: upstreams,
};
