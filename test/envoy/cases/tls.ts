/** TLS from callers: certificates by server name, filter chains, client certificates. */
import type { Area, Case, ClientTls } from "../harness/case.ts";
import { ANY, filter, named } from "../harness/config.ts";
import { get } from "../harness/http.ts";
import { CALLER, downstream, INSPECTOR, REQUIRED, refusal, secured, trusting, uri } from "../harness/tls-config.ts";

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

export const tls: Area = {
  name: "tls",
  cases: [...servers, ...clients],
};
