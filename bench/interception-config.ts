/** Bootstraps of two hops: with listeners that are called by their addresses, and as sidecars with interception have them. */
import { INBOUND_PORT, INBOUND_SOURCE, OUTBOUND_PORT } from "../model/interception.ts";
import type { HopCertificates } from "./certificates.ts";

type Json = Readonly<Record<string, unknown>>;

export interface Hops {
  readonly client: Json;
  readonly server: Json;
  /** What callers beside the client's proxy ask for. */
  readonly url: string;
}

const APP_PORT = 8080;
/** An address that only interception leads anywhere. */
const SERVICE = "10.96.0.10";
const EXPLICIT_PORT = 15_080;

const TYPE = "type.googleapis.com/envoy";
const FILTERS = `${TYPE}.extensions.filters`;

/** Callers know the listener, and the client's proxy that of the server. */
export function explicitHops(server: string, certificates: HopCertificates): Hops {
  const http = (cluster: string): Json => ({ filters: [manager(cluster)] });
  return {
    client: bootstrap(
      [{ name: "outbound", address: address("127.0.0.1", EXPLICIT_PORT), filter_chains: [http("service")] }],
      [secured(cluster("service", server, INBOUND_PORT), certificates)],
    ),
    server: bootstrap(
      [
        {
          name: "inbound",
          address: address(server, INBOUND_PORT),
          filter_chains: [{ ...http("application"), transport_socket: downstreamTls(certificates) }],
        },
      ],
      [cluster("application", "127.0.0.1", APP_PORT)],
    ),
    url: `http://127.0.0.1:${EXPLICIT_PORT}/`,
  };
}

/** Callers call the service, the client's proxy the server's own port; the rest is found out. */
export function interceptedHops(server: string, certificates: HopCertificates): Hops {
  return {
    client: bootstrap(
      [
        {
          name: "virtualOutbound",
          address: address("127.0.0.1", OUTBOUND_PORT),
          use_original_dst: true,
          default_filter_chain: { filters: [tcpProxy("PassthroughCluster")] },
        },
        {
          name: "service",
          address: address(SERVICE, APP_PORT),
          bind_to_port: false,
          filter_chains: [{ filters: [manager("service")] }],
        },
      ],
      [originalDestination("PassthroughCluster"), secured(cluster("service", server, APP_PORT), certificates)],
    ),
    server: bootstrap(
      [
        {
          name: "virtualInbound",
          address: { socket_address: { address: "::", port_value: INBOUND_PORT, ipv4_compat: true } },
          listener_filters: [
            filter("envoy.filters.listener.original_dst", "listener.original_dst.v3.OriginalDst"),
            filter("envoy.filters.listener.tls_inspector", "listener.tls_inspector.v3.TlsInspector"),
            filter("envoy.filters.listener.http_inspector", "listener.http_inspector.v3.HttpInspector"),
          ],
          filter_chains: [
            {
              filter_chain_match: { destination_port: APP_PORT, transport_protocol: "tls" },
              transport_socket: downstreamTls(certificates),
              filters: [manager("application")],
            },
          ],
          default_filter_chain: { filters: [tcpProxy("application")] },
        },
      ],
      [{ ...originalDestination("application"), upstream_bind_config: { source_address: bind(INBOUND_SOURCE[4]) } }],
    ),
    url: `http://${SERVICE}:${APP_PORT}/`,
  };
}

function bootstrap(listeners: readonly Json[], clusters: readonly Json[]): Json {
  return { static_resources: { listeners, clusters } };
}

function bind(host: string): Json {
  return { address: host, port_value: 0 };
}

function address(host: string, port: number): Json {
  return { socket_address: { address: host, port_value: port } };
}

function cluster(name: string, host: string, port: number): Json {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(host, port) } }] }],
    },
  };
}

function originalDestination(name: string): Json {
  return { name, type: "ORIGINAL_DST", lb_policy: "CLUSTER_PROVIDED", connect_timeout: "1s" };
}

function filter(name: string, type: string, config: Json = {}): Json {
  return { name, typed_config: { "@type": `${FILTERS}.${type}`, ...config } };
}

function tcpProxy(target: string): Json {
  return filter("envoy.filters.network.tcp_proxy", "network.tcp_proxy.v3.TcpProxy", {
    stat_prefix: target,
    cluster: target,
  });
}

function manager(target: string): Json {
  const routes = [{ match: { prefix: "/" }, route: { cluster: target } }];
  return filter(
    "envoy.filters.network.http_connection_manager",
    "network.http_connection_manager.v3.HttpConnectionManager",
    {
      stat_prefix: "hop",
      route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes }] },
      http_filters: [filter("envoy.filters.http.router", "http.router.v3.Router")],
    },
  );
}

function tls(kind: "Upstream" | "Downstream", files: HopCertificates, more: Json): Json {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": `${TYPE}.extensions.transport_sockets.tls.v3.${kind}TlsContext`,
      ...more,
      common_tls_context: {
        tls_certificates: [{ certificate_chain: { filename: files.chain }, private_key: { filename: files.key } }],
        validation_context: {
          trusted_ca: { filename: files.roots },
          match_typed_subject_alt_names: [{ san_type: "URI", matcher: { prefix: "spiffe://bench/" } }],
        },
      },
    },
  };
}

function secured(plain: Json, files: HopCertificates): Json {
  return { ...plain, transport_socket: tls("Upstream", files, { sni: "hop.bench" }) };
}

function downstreamTls(files: HopCertificates): Json {
  return tls("Downstream", files, { require_client_certificate: true });
}
