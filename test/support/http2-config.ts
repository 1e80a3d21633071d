/** The pieces of Envoy configuration that make a cluster or a listener speak HTTP/2. */
import { any, type Json, type } from "../../xds/testing/bootstrap-json.ts";
import type { ProxyConfig } from "./running-proxy.ts";

const PROTOCOL_OPTIONS = "extensions.upstreams.http.v3.HttpProtocolOptions";

/** Fields of a cluster whose endpoints speak HTTP/2; `options` are `Http2ProtocolOptions`, `more` lies beside them. */
export function http2Cluster(options: Json = {}, more: Json = {}): Json {
  return {
    typed_extension_protocol_options: {
      [type(PROTOCOL_OPTIONS).slice("type.googleapis.com/".length)]: any(PROTOCOL_OPTIONS, {
        explicit_http_config: { http2_protocol_options: options },
        ...more,
      }),
    },
  };
}

/** A config of `secured` whose listener offers these protocols. */
export function withAlpn(config: ProxyConfig, protocols: readonly string[] = ["h2", "http/1.1"]): ProxyConfig {
  const listener = structuredClone(config.listener ?? {}) as { filter_chains?: Chain[] };
  for (const { transport_socket: socket } of listener.filter_chains ?? []) {
    if (socket !== undefined) socket.typed_config.common_tls_context.alpn_protocols = protocols;
  }
  return { ...config, listener };
}

interface Chain {
  transport_socket?: { typed_config: { common_tls_context: { alpn_protocols?: readonly string[] } } };
}
