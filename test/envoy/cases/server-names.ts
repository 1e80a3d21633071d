/** Which server TLS asks for where the cluster takes its name from each request, and which certificate will do. */
import type { Area, Case, JsonObject, Step } from "../harness/case.ts";
import { roots } from "../harness/certificates.ts";
import { ANY, host, to, typed, upstreamOptions } from "../harness/config.ts";
import { call } from "../harness/http.ts";

/** A cluster with TLS to `server`, and the request's own name as `names` says. */
function secured(server: string, names: JsonObject, tls: JsonObject = {}): JsonObject {
  const context = {
    common_tls_context: { validation_context: { trusted_ca: { inline_string: roots.mesh } } },
    ...tls,
  };
  return {
    load_assignment: { cluster_name: "{case}", endpoints: [{ lb_endpoints: [host(server)] }] },
    transport_socket: { name: "tls", typed_config: typed("UpstreamTlsContext", context) },
    ...upstreamOptions({ upstream_http_protocol_options: names }),
  };
}

const from = (name: string, headers: Readonly<Record<string, string>> = {}): readonly Step[] =>
  call("GET", "/", { host: name, headers });

const both = { auto_sni: true, auto_san_validation: true };

/** Each proxy words a failed handshake in its own way. */
const withoutDetail = (lines: readonly string[]): readonly string[] =>
  lines.map((line) => line.replace(/\{remote_connection_failure\|.*?\} /, "{remote_connection_failure} "));

/** Takes any host. */
const open = (cluster: JsonObject, steps: readonly Step[], action: JsonObject = {}): Partial<Case> => ({
  virtualHosts: [{ name: "{case}", domains: ["*"], routes: [to(ANY, action)] }],
  cluster,
  steps,
  view: withoutDetail,
});

export const serverNames: Area = {
  name: "server-names",
  upstreams: { alpha: { certificate: "alpha" } },
  cases: [
    { name: "the host is the SNI", ...open(secured("alpha", { auto_sni: true }), from("a.example:8080")) },
    {
      name: "each request its own, on connections of their own",
      ...open(secured("alpha", { auto_sni: true }), [
        ...from("one.example"),
        ...from("two.example"),
        ...from("one.example"),
      ]),
    },
    {
      name: "an address is no SNI: the context's stands",
      ...open(secured("alpha", { auto_sni: true }, { sni: "fixed.test" }), from("127.0.0.1:80")),
    },
    {
      name: "the host comes before the context's SNI",
      ...open(secured("alpha", { auto_sni: true }, { sni: "fixed.test" }), from("a.example")),
    },
    {
      name: "the host as rewritten",
      ...open(secured("alpha", { auto_sni: true }), from("a.example"), { host_rewrite_literal: "rewritten.example" }),
    },
    {
      name: "a header instead of the host",
      ...open(
        secured("alpha", { auto_sni: true, override_auto_sni_header: "x-server" }),
        from("a.example", { "x-server": "b.example:99" }),
      ),
    },
    {
      name: "the host where the header is missing",
      ...open(secured("alpha", { auto_sni: true, override_auto_sni_header: "x-server" }), from("a.example")),
    },
    { name: "a certificate that names the host", ...open(secured("alpha", both), from("alpha.test")) },
    { name: "a wildcard that covers the host", ...open(secured("alpha", both), from("x.wild.test")) },
    { name: "a certificate that names another", ...open(secured("alpha", both), from("beta.test")) },
    { name: "an address that no certificate names", ...open(secured("alpha", both), from("127.0.0.1")) },
    {
      name: "the name is checked without roots too",
      ...open(secured("alpha", both, { common_tls_context: {} }), from("beta.test")),
    },
    {
      name: "without roots, a certificate that names the host",
      ...open(secured("alpha", both, { common_tls_context: {} }), from("alpha.test")),
    },
    {
      name: "only the certificate is checked",
      ...open(secured("alpha", { auto_san_validation: true }), from("alpha.test")),
    },
    { name: "an upper-case host", ...open(secured("alpha", both), from("ALPHA.test")) },
    {
      name: "plaintext has no names",
      ...open(upstreamOptions({ upstream_http_protocol_options: both }), from("a.example")),
    },
  ],
};
