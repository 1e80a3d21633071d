/**
 * Two proxies in the test's own process with mutual TLS between them, as a mesh puts them: caller → first → second →
 * application. What travels between them is the test's to say: `outrigger-mux/1` is offered by both unless it says not to.
 */
import type { TestContext } from "node:test";
import { any, type Json, named } from "../../xds/testing/bootstrap-json.ts";
import { CERTIFICATE, PRIVATE_KEY } from "../../xds/testing/pem.ts";
import { bootstrapOf, type ProxyConfig, type RunningProxy, startProxy } from "./running-proxy.ts";
import { until } from "./wire.ts";

const TLS = "extensions.transport_sockets.tls.v3";

/** `CommonTlsContext` of a certificate and of the roots that the peer's is verified with. */
export function identity(chain: string, key: string, roots: string): Json {
  return {
    tls_certificates: [{ certificate_chain: { inline_string: chain }, private_key: { inline_string: key } }],
    validation_context: { trusted_ca: { inline_string: roots } },
  };
}

const IDENTITY = identity(CERTIFICATE, PRIVATE_KEY, CERTIFICATE);

/** A transport socket that asks for a client certificate and offers these protocols. */
export function mutualServerTls(alpn: readonly string[], own = IDENTITY): Json {
  const common = { ...own, alpn_protocols: alpn };
  return named(
    "tls",
    any(`${TLS}.DownstreamTlsContext`, { require_client_certificate: true, common_tls_context: common }),
  );
}

/** A transport socket that shows a certificate and verifies the server's. */
export function mutualClientTls(own = IDENTITY): Json {
  return named("tls", any(`${TLS}.UpstreamTlsContext`, { common_tls_context: own }));
}

/** Fields of a cluster whose endpoints speak HTTP/1.1; `options` are `Http1ProtocolOptions`. */
export function http1Cluster(options: Json): Json {
  const protocols = "extensions.upstreams.http.v3.HttpProtocolOptions";
  const explicit = any(protocols, { explicit_http_config: { http_protocol_options: options } });
  return { typed_extension_protocol_options: { [`envoy.${protocols}`]: explicit } };
}

/** What a cluster says to have its calls carried as streams. */
export const MULTIPLEX: Json = { filter_metadata: { outrigger: { multiplex: true } } };

/** What sidecars offer to each other. */
export const SIDECAR_ALPN = ["outrigger-mux/1", "h2", "http/1.1"];

/** The configuration of the second proxy: a listener with mutual TLS before `config`. */
export function secondHop(
  config: ProxyConfig,
  alpn: readonly string[] = SIDECAR_ALPN,
  own: Json = IDENTITY,
): ProxyConfig {
  const { listeners } = bootstrapOf(config)["static_resources"] as { listeners: { filter_chains: Json[] }[] };
  const chains = listeners.flatMap(({ filter_chains }) =>
    filter_chains.map((plain) => ({ ...plain, transport_socket: mutualServerTls(alpn, own) })),
  );
  return { ...config, listener: { ...config.listener, filter_chains: chains } };
}

/** The configuration of the first proxy, whose cluster `up` is the second (or several of them). */
export function firstHop(seconds: readonly number[], config: ProxyConfig = {}): ProxyConfig {
  const cluster = { transport_socket: mutualClientTls(), metadata: MULTIPLEX, ...config.cluster };
  return { ...config, upstreams: seconds, cluster };
}

export interface TwoHopsConfig {
  /** Port of the application. */
  readonly application: number;
  readonly first?: ProxyConfig;
  readonly second?: ProxyConfig;
  /** Default: what sidecars offer. */
  readonly alpn?: readonly string[];
}

export interface TwoHops {
  readonly first: RunningProxy;
  readonly second: RunningProxy;
}

export async function startTwoHops(t: TestContext, config: TwoHopsConfig): Promise<TwoHops> {
  const second = await startProxy(t, secondHop({ upstreams: [config.application], ...config.second }, config.alpn));
  const first = await startProxy(t, firstHop([second.port], config.first));
  return { first, second };
}

/** Calls that are under way as streams to a cluster's endpoints. */
export function sharedCalls(proxy: RunningProxy, cluster = "up"): number {
  return proxy.cluster(cluster).stats.multiplexed.streams_active;
}

/**
 * Keeps so many calls in flight that further ones travel as streams; they ask for `/hold`, which the application does not
 * answer. Resolves once the fifth of them is a stream.
 */
export async function holdBusy(proxy: RunningProxy, calls = 5): Promise<void> {
  for (let i = 0; i < calls; i++) {
    const wire = await proxy.connect();
    wire.write("GET /hold HTTP/1.1\r\nHost: hold\r\n\r\n");
  }
  await until(() => proxy.cluster().stats.upstream_rq_active === calls && sharedCalls(proxy) > 0);
}
