/** TLS on both sides: certificates by server name, client certificates, what upstreams prove, and what is told of it. */
import type { Area, Case, ClientTls, JsonObject } from "../harness/case.ts";
import { certificate, roots } from "../harness/certificates.ts";
import { ANY, cluster, filter, host, named, to, typed } from "../harness/config.ts";
import { call, get } from "../harness/http.ts";

const inline = (text: string): JsonObject => ({ inline_string: text });
const own = (name: string): JsonObject => {
  const { chain, key } = certificate(name);
  return { certificate_chain: inline(chain), private_key: inline(key) };
};
const trusting = (ca: "mesh" | "stranger", more: JsonObject = {}): JsonObject => ({
  validation_context: { trusted_ca: inline(roots[ca]), ...more },
});
const uri = (match: JsonObject): JsonObject => ({
  match_typed_subject_alt_names: [{ san_type: "URI", matcher: match }],
});

const INSPECTOR: JsonObject = {
  listener_filters: [filter("envoy.filters.listener.tls_inspector", "TlsInspector")],
};

function downstream(names: readonly string[], common: JsonObject = {}, more: JsonObject = {}): JsonObject {
  return {
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: typed("DownstreamTlsContext", {
        common_tls_context: { tls_certificates: names.map(own), ...common },
        ...more,
      }),
    },
  };
}

/** A listener with one chain of that TLS. */
const secured = (socket: JsonObject): Pick<Case, "listener" | "chains"> => ({
  listener: INSPECTOR,
  chains: (manager) => [{ filters: [manager], ...socket }],
});

const CALLER: ClientTls = { sni: "alpha.test", certificate: "caller" };
const REQUIRED = { require_client_certificate: true };

/** Handshakes say in their own words why they failed; that one failed is the fact. */
const verdict: NonNullable<Case["view"]> = (lines) =>
  lines.filter((line) => !line.startsWith("<") || line.startsWith("< HTTP"));

const chains: NonNullable<Case["chains"]> = (manager) => [
  { filter_chain_match: { server_names: ["alpha.test"] }, filters: [manager], ...downstream(["alpha"]) },
  { filter_chain_match: { server_names: ["*.wild.test"] }, filters: [manager], ...downstream(["beta"]) },
  {
    filter_chain_match: { server_names: ["orders.test"], application_protocols: ["http/1.1"] },
    filters: [manager],
    ...downstream(["orders"], { alpn_protocols: ["http/1.1"] }),
  },
  { filter_chain_match: { transport_protocol: "raw_buffer" }, filters: [manager] },
];
const bySni = (name: string, tls: ClientTls | undefined): Case => ({
  name: `chain: ${name}`,
  listener: INSPECTOR,
  chains,
  virtualHosts: [{ name: "any", domains: ["*"], routes: [named("ok", ANY)] }],
  steps: get("/"),
  view: verdict,
  ...(tls === undefined ? {} : { tls }),
});

const servers: Case[] = [
  { name: "server certificate", ...secured(downstream(["alpha"])), tls: { sni: "alpha.test" }, steps: get("/") },
  { name: "without a server name", ...secured(downstream(["alpha"])), tls: {}, steps: get("/") },
  {
    name: "several certificates, by server name",
    ...secured(downstream(["alpha", "beta"])),
    tls: { sni: "beta.test" },
    steps: get("/"),
  },
  {
    name: "several certificates, unknown server name",
    ...secured(downstream(["alpha", "beta"])),
    tls: { sni: "nobody.test" },
    steps: get("/"),
  },
  {
    name: "ALPN",
    ...secured(downstream(["alpha"], { alpn_protocols: ["http/1.1"] })),
    tls: { alpn: ["x", "http/1.1"] },
    steps: get("/"),
  },
  {
    name: "ALPN with nothing in common",
    ...secured(downstream(["alpha"], { alpn_protocols: ["http/1.1"] })),
    tls: { alpn: ["x", "y"] },
    steps: get("/"),
  },
  {
    name: "TLS 1.2 at most",
    ...secured(downstream(["alpha"], { tls_params: { tls_maximum_protocol_version: "TLSv1_2" } })),
    tls: {},
    steps: get("/"),
  },
  { name: "plaintext where TLS is needed", ...secured(downstream(["alpha"])), steps: get("/"), view: verdict },
  {
    name: "redirect to https is not needed",
    ...secured(downstream(["alpha"])),
    virtualHost: { require_tls: "ALL" },
    tls: {},
    steps: get("/"),
  },
  bySni("exact name", { sni: "alpha.test" }),
  bySni("wildcard", { sni: "a.wild.test" }),
  bySni("name and application protocol", { sni: "orders.test", alpn: ["http/1.1"] }),
  bySni("name without the application protocol", { sni: "orders.test" }),
  bySni("unknown name", { sni: "nobody.test" }),
  bySni("no name", {}),
  bySni("plaintext", undefined),
  {
    name: "chain: the default one",
    listener: {
      ...INSPECTOR,
      default_filter_chain: {
        filters: [
          filter("envoy.filters.network.http_connection_manager", "HttpConnectionManager", {
            stat_prefix: "default",
            route_config: { virtual_hosts: [{ name: "any", domains: ["*"], routes: [named("default", ANY)] }] },
            http_filters: [filter("envoy.filters.http.router", "Router")],
          }),
        ],
        ...downstream(["beta"]),
      },
    },
    chains,
    tls: { sni: "nobody.test" },
    steps: get("/"),
    view: (lines) => lines.filter((line) => !line.startsWith("log")),
  },
];

const clients: Case[] = [
  {
    name: "client certificate",
    ...secured(downstream(["alpha"], trusting("mesh"), REQUIRED)),
    tls: CALLER,
    steps: get("/"),
  },
  {
    name: "client certificate required and missing",
    ...secured(downstream(["alpha"], trusting("mesh"), REQUIRED)),
    tls: { sni: "alpha.test" },
    steps: get("/"),
    view: refusal,
  },
  {
    name: "client certificate of a stranger",
    ...secured(downstream(["alpha"], trusting("mesh"), REQUIRED)),
    tls: { certificate: "stranger" },
    steps: get("/"),
    view: refusal,
  },
  {
    name: "client certificate not required and missing",
    ...secured(downstream(["alpha"], trusting("mesh"))),
    tls: {},
    steps: get("/"),
  },
  {
    name: "client certificate not required, of a stranger",
    ...secured(downstream(["alpha"], trusting("mesh"))),
    tls: { certificate: "stranger" },
    steps: get("/"),
    view: refusal,
  },
  {
    name: "client's name exact",
    ...secured(
      downstream(["alpha"], trusting("mesh", uri({ exact: "spiffe://mesh.test/ns/shop/sa/caller" })), REQUIRED),
    ),
    tls: CALLER,
    steps: get("/"),
  },
  {
    name: "client's name by prefix",
    ...secured(downstream(["alpha"], trusting("mesh", uri({ prefix: "spiffe://mesh.test/" })), REQUIRED)),
    tls: CALLER,
    steps: get("/"),
  },
  {
    name: "client's name does not match",
    ...secured(
      downstream(["alpha"], trusting("mesh", uri({ exact: "spiffe://mesh.test/ns/shop/sa/caller" })), REQUIRED),
    ),
    tls: { certificate: "other" },
    steps: get("/"),
    view: refusal,
  },
];

/** A refused certificate is noticed in the handshake or right after it (TLS 1.3): both are a refusal. */
function refusal(lines: readonly string[]): readonly string[] {
  return [lines.some((line) => line.startsWith("< HTTP")) ? "answered" : "refused"];
}

const mutual = secured(downstream(["orders"], trusting("mesh"), REQUIRED));
const xfcc = "By=spiffe://before;Hash=abc;URI=spiffe://first";
const ALL_DETAILS = { subject: true, cert: false, chain: false, dns: true, uri: true };

function forwarding(
  mode: string,
  details: JsonObject,
  tls: ClientTls | undefined,
  headers: Record<string, string>,
): Case {
  const label = `${tls === undefined ? "plaintext" : "mTLS"}${"x-forwarded-client-cert" in headers ? ", header given" : ""}`;
  return {
    name: `client certificate forwarded: ${mode}, ${label}`,
    manager: { forward_client_cert_details: mode, set_current_client_cert_details: details },
    ...(tls === undefined ? {} : { ...mutual, tls }),
    steps: get("/", headers),
  };
}

const GIVEN = { "x-forwarded-client-cert": xfcc };
const forwarded: Case[] = [
  ...["SANITIZE", "FORWARD_ONLY", "APPEND_FORWARD", "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"].flatMap((mode) => [
    forwarding(mode, ALL_DETAILS, CALLER, GIVEN),
    forwarding(mode, ALL_DETAILS, undefined, GIVEN),
  ]),
  forwarding("SANITIZE_SET", {}, CALLER, {}),
  forwarding("SANITIZE_SET", ALL_DETAILS, { certificate: "other" }, {}),
  forwarding("SANITIZE_SET", { cert: true, chain: true, subject: true }, CALLER, {}),
];

const principal = (
  match: JsonObject,
  tls: ClientTls = CALLER,
): Pick<Case, "filters" | "tls" | "chains" | "listener" | "steps"> => ({
  ...mutual,
  tls,
  filters: [
    filter("envoy.filters.http.rbac", "RBAC", {
      rules: { action: "ALLOW", policies: { peers: { permissions: [{ any: true }], principals: [match] } } },
    }),
  ],
  steps: get("/"),
});

const CALLER_NAME = "spiffe://mesh.test/ns/shop/sa/caller";

const rules: Case[] = [
  { name: "principal by its name", ...principal({ authenticated: { principal_name: { exact: CALLER_NAME } } }) },
  {
    name: "another principal",
    ...principal({ authenticated: { principal_name: { exact: CALLER_NAME } } }, { certificate: "other" }),
  },
  {
    name: "principal by suffix",
    ...principal({ authenticated: { principal_name: { suffix: "/sa/other" } } }, { certificate: "other" }),
  },
  { name: "any authenticated principal", ...principal({ authenticated: {} }) },
  {
    name: "principal that is not",
    ...principal({ not_id: { authenticated: { principal_name: { prefix: "spiffe://mesh.test/ns/shop/" } } } }),
  },
  {
    name: "requested server name",
    ...mutual,
    tls: CALLER,
    filters: [
      filter("envoy.filters.http.rbac", "RBAC", {
        rules: {
          action: "ALLOW",
          policies: {
            names: { permissions: [{ requested_server_name: { exact: "alpha.test" } }], principals: [{ any: true }] },
          },
        },
      }),
    ],
    steps: get("/"),
  },
  {
    name: "principal of the connection allowed",
    listener: INSPECTOR,
    chains: (manager) => [
      { filters: [networkRule(CALLER_NAME), manager], ...downstream(["orders"], trusting("mesh"), REQUIRED) },
    ],
    tls: CALLER,
    steps: get("/"),
  },
  {
    name: "principal of the connection denied",
    listener: INSPECTOR,
    chains: (manager) => [
      { filters: [networkRule(CALLER_NAME), manager], ...downstream(["orders"], trusting("mesh"), REQUIRED) },
    ],
    tls: { certificate: "other" },
    steps: get("/"),
    view: refusal,
  },
  {
    name: "TLS in headers",
    ...mutual,
    tls: CALLER,
    routes: [
      to(
        ANY,
        {},
        {
          request_headers_to_add: [
            "%DOWNSTREAM_PEER_URI_SAN%",
            "%DOWNSTREAM_LOCAL_URI_SAN%",
            "%DOWNSTREAM_PEER_SUBJECT%",
            "%DOWNSTREAM_PEER_ISSUER%",
            "%DOWNSTREAM_TLS_VERSION%",
            "%DOWNSTREAM_PEER_FINGERPRINT_256%",
            "%DOWNSTREAM_PEER_SERIAL%",
            "%REQUESTED_SERVER_NAME%",
            "%DOWNSTREAM_PEER_CERT_V_START(%Y)%",
          ].map((value, index) => ({ header: { key: `x-${index}`, value } })),
        },
      ),
    ],
    steps: get("/"),
  },
];

function networkRule(name: string): JsonObject {
  return filter("envoy.filters.network.rbac", "NetworkRBAC", {
    stat_prefix: "tcp",
    rules: {
      action: "ALLOW",
      policies: {
        peers: { permissions: [{ any: true }], principals: [{ authenticated: { principal_name: { exact: name } } }] },
      },
    },
  });
}

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

export const tls: Area = {
  name: "tls",
  upstreams: {
    secure: { certificate: "alpha" },
    orders: { certificate: "orders" },
    stranger: { certificate: "stranger" },
    mutual: { certificate: "orders", requireClientCertificate: true },
  },
  cases: [...servers, ...clients, ...forwarded, ...rules, ...upstreams],
};
