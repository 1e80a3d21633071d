/**
 * Bootstrap files in pieces: each function gives the smallest valid piece, with fields laid over it. A field that is
 * set to undefined is left out.
 */

export type Json = Record<string, unknown>;

/** `type.googleapis.com/envoy.` and what follows. */
export const type = (name: string): string => `type.googleapis.com/envoy.${name}`;

export const any = (name: string, config: Json = {}): Json => ({ "@type": type(name), ...config });

/** An entry of a list of extensions. */
export const named = (name: string, config: Json): Json => ({ name, typed_config: config });

export const router: Json = named("envoy.filters.http.router", any("extensions.filters.http.router.v3.Router"));

export const cluster: Json = {
  name: "c",
  type: "STATIC",
  load_assignment: {
    cluster_name: "c",
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address("127.0.0.1", 9) } }] }],
  },
};

export function address(host: string, port: number): Json {
  return { socket_address: { address: host, port_value: port } };
}

export function hcm(fields: Json = {}): Json {
  return any("extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: "h",
    http_filters: [router],
    route_config: table(),
    ...fields,
  });
}

export const table = (fields: Json = {}): Json => ({ name: "r", virtual_hosts: [host()], ...fields });

export const host = (fields: Json = {}): Json => ({ name: "v", domains: ["*"], routes: [route()], ...fields });

export const route = (fields: Json = {}): Json => ({ match: { prefix: "/" }, route: { cluster: "c" }, ...fields });

export const chain = (filters: readonly Json[] = [named("http", hcm())], fields: Json = {}): Json => ({
  filters,
  ...fields,
});

export const listener = (fields: Json = {}): Json => ({
  name: "l",
  address: address("127.0.0.1", 0),
  filter_chains: [chain()],
  ...fields,
});

/** A bootstrap of these listeners and the cluster `c`. */
export const bootstrap = (...listeners: readonly Json[]): Json => ({
  static_resources: { listeners, clusters: [cluster] },
});

export const withChains = (...chains: readonly Json[]): Json => bootstrap(listener({ filter_chains: chains }));

export const withHcm = (fields: Json): Json => withChains(chain([named("http", hcm(fields))]));

export const withTable = (fields: Json): Json => withHcm({ route_config: table(fields) });

export const withHosts = (...hosts: readonly Json[]): Json => withTable({ virtual_hosts: hosts });

export const withRoute = (fields: Json): Json => withHosts(host({ routes: [route(fields)] }));

/** A route that forwards to the cluster `c` unless `fields` say otherwise. */
export const withForward = (fields: Json): Json => withRoute({ route: { cluster: "c", ...fields } });

/** A route whose action is not to forward. */
export const withAction = (action: Json): Json => withRoute({ route: undefined, ...action });

/** A bootstrap of one cluster and no listener. */
export const withCluster = (fields: Json): Json => ({ static_resources: { clusters: [{ ...cluster, ...fields }] } });

/** `typed_extension_protocol_options` of a cluster. */
export const httpOptions = (fields: Json): Json => {
  const name = "extensions.upstreams.http.v3.HttpProtocolOptions";
  return { [`envoy.${name}`]: any(name, fields) };
};

/** The transport socket of a cluster that speaks TLS. */
export const upstreamTls = (fields: Json = {}): Json =>
  named("envoy.transport_sockets.tls", any("extensions.transport_sockets.tls.v3.UpstreamTlsContext", fields));

export const rawBuffer: Json = named(
  "envoy.transport_sockets.raw_buffer",
  any("extensions.transport_sockets.raw_buffer.v3.RawBuffer"),
);
