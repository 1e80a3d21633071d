/** Bootstrap files that Envoy and Outrigger both run: defaults, metrics on, tracing and access log off. */
import type { Protocol } from "../cases.ts";
import type { HopCertificates } from "../certificates.ts";

/** "multiplexed" is Outrigger's own: HTTP/1.1 that travels as streams where both ends agree by ALPN. */
export type HopProtocol = Protocol | "multiplexed";

export interface HopOptions {
  readonly listenPort: number;
  readonly targetPort: number;
  /** TLS with client certificates on the way in. */
  readonly tlsIn: HopCertificates | null;
  readonly tlsOut: HopCertificates | null;
  readonly protocolIn: HopProtocol;
  readonly protocolOut: HopProtocol;
}

/** What a server offers; clients offer what their cluster is told to speak. */
const ALPN: Readonly<Record<HopProtocol, readonly string[]>> = {
  "http/1.1": [],
  h2: ["h2"],
  multiplexed: ["outrigger-mux/1", "http/1.1"],
  tcp: ["outrigger-tcp-mux/1", "outrigger-tcp/1"],
};

const MULTIPLEX = { metadata: { filter_metadata: { outrigger: { multiplex: true } } } };
/** As clusters of Outrigger's control plane are told of another sidecar; Envoy leaves it aside. */
const OPAQUE = { metadata: { filter_metadata: { outrigger: { opaque: true, multiplex: true } } } };

const EXPLICIT_HTTP2 = {
  typed_extension_protocol_options: {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
      "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
      explicit_http_config: { http2_protocol_options: {} },
    },
  },
};

function certificates(files: HopCertificates, alpn: readonly string[]): object {
  return {
    ...(alpn.length === 0 ? {} : { alpn_protocols: alpn }),
    tls_certificates: [{ certificate_chain: { filename: files.chain }, private_key: { filename: files.key } }],
    validation_context: {
      trusted_ca: { filename: files.roots },
      match_typed_subject_alt_names: [{ san_type: "URI", matcher: { prefix: "spiffe://bench/" } }],
    },
    tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
  };
}

/** Envoy forgets a session of TLS 1.3 with its use, and keeps one for each cluster unless told otherwise. */
const MANY_SESSIONS = { max_session_keys: 64 };

const UNLIMITED = 1_000_000;

/** Above what the cases need at once. */
const NO_LIMITS = {
  circuit_breakers: {
    thresholds: [{ max_connections: UNLIMITED, max_pending_requests: UNLIMITED, max_requests: UNLIMITED }],
  },
};

const TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.";

function cluster(
  name: string,
  ports: readonly number[],
  tls: HopCertificates | null,
  protocol: HopProtocol = "http/1.1",
): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    ...(protocol === "h2" ? EXPLICIT_HTTP2 : {}),
    ...(protocol === "multiplexed" ? MULTIPLEX : {}),
    ...(protocol === "tcp" ? NO_LIMITS : {}),
    ...(protocol === "tcp" && tls !== null ? OPAQUE : {}),
    ...(tls === null
      ? {}
      : {
          transport_socket: {
            name: "tls",
            typed_config: {
              "@type": `${TLS}UpstreamTlsContext`,
              sni: "hop.bench",
              ...(protocol === "tcp" ? MANY_SESSIONS : {}),
              common_tls_context: certificates(tls, protocol === "h2" ? ALPN.h2 : []),
            },
          },
        }),
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: ports.map((port) => ({
            endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } },
          })),
        },
      ],
    },
  };
}

function listener(options: HopOptions, target: string): object {
  return {
    name: "hop",
    ...(options.protocolIn === "multiplexed" ? MULTIPLEX : {}),
    address: { socket_address: { address: "127.0.0.1", port_value: options.listenPort } },
    filter_chains: [
      {
        ...(options.tlsIn === null
          ? {}
          : {
              transport_socket: {
                name: "tls",
                typed_config: {
                  "@type": `${TLS}DownstreamTlsContext`,
                  require_client_certificate: true,
                  common_tls_context: certificates(options.tlsIn, ALPN[options.protocolIn]),
                },
              },
            }),
        filters: [options.protocolIn === "tcp" ? tcpProxy(target) : connectionManager(target)],
      },
    ],
  };
}

function tcpProxy(target: string): object {
  const type = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
  return { name: "tcp", typed_config: { "@type": type, stat_prefix: "hop", cluster: target } };
}

function connectionManager(target: string): object {
  return {
    name: "http",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      stat_prefix: "hop",
      route_config: {
        virtual_hosts: [
          { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: target } }] },
        ],
      },
      http_filters: [
        {
          name: "envoy.filters.http.router",
          typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
        },
      ],
    },
  };
}

/** One hop; `extraClusters` are further clusters of three endpoints, each with a TLS context of its own. */
export function hopBootstrap(options: HopOptions, extraClusters = 0, extraTls: HopCertificates | null = null): object {
  const extra = Array.from({ length: extraClusters }, (_, i) =>
    cluster(`extra-${i}`, [20_001, 20_002, 20_003], extraTls),
  );
  return {
    static_resources: {
      listeners: [listener(options, "target")],
      clusters: [cluster("target", [options.targetPort], options.tlsOut, options.protocolOut), ...extra],
    },
  };
}
