/** TLS contexts for the cases' tables, with certificates that the test bench makes. */
import type { Case, ClientTls, JsonObject } from "./case.ts";
import { certificate, roots } from "./certificates.ts";
import { filter, typed } from "./config.ts";

export const inline = (text: string): JsonObject => ({ inline_string: text });
export const own = (name: string): JsonObject => {
  const { chain, key } = certificate(name);
  return { certificate_chain: inline(chain), private_key: inline(key) };
};
export const trusting = (ca: "mesh" | "stranger", more: JsonObject = {}): JsonObject => ({
  validation_context: { trusted_ca: inline(roots[ca]), ...more },
});
export const uri = (match: JsonObject): JsonObject => ({
  match_typed_subject_alt_names: [{ san_type: "URI", matcher: match }],
});

export const INSPECTOR: JsonObject = {
  listener_filters: [filter("envoy.filters.listener.tls_inspector", "TlsInspector")],
};

export function downstream(names: readonly string[], common: JsonObject = {}, more: JsonObject = {}): JsonObject {
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
export const secured = (socket: JsonObject): Pick<Case, "listener" | "chains"> => ({
  listener: INSPECTOR,
  chains: (manager) => [{ filters: [manager], ...socket }],
});

export const CALLER: ClientTls = { sni: "alpha.test", certificate: "caller" };
export const REQUIRED = { require_client_certificate: true };

export const CALLER_NAME = "spiffe://mesh.test/ns/shop/sa/caller";

/** A refused certificate is noticed in the handshake or right after it (TLS 1.3): both are a refusal. */
export function refusal(lines: readonly string[]): readonly string[] {
  return [lines.some((line) => line.startsWith("< HTTP")) ? "answered" : "refused"];
}
