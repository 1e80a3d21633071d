/** Bootstrap files that Envoy and Outrigger both run: defaults, metrics on, tracing and access log off. */
import type { HopCertificates } from "../certificates.ts";

export interface HopOptions {
  readonly listenPort: number;
  readonly targetPort: number;
  /** TLS with client certificates on the way in. */
  readonly tlsIn: HopCertificates | null;
  readonly tlsOut: HopCertificates | null;
}

function certificates(files: HopCertificates): object {
  return {
    tls_certificates: [{ certificate_chain: { filename: files.chain }, private_key: { filename: files.key } }],
    validation_context: {
      trusted_ca: { filename: files.roots },
      match_typed_subject_alt_names: [{ san_type: "URI", matcher: { prefix: "spiffe://bench/" } }],
    },
    tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
  };
}

const TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.";

function cluster(name: string, ports: readonly number[], tls: HopCertificates | null): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    ...(tls === null
      ? {}
      : {
          transport_socket: {
            name: "tls",
            typed_config: {
              "@type": `${TLS}UpstreamTlsContext`,
              sni: "hop.bench",
              common_tls_context: certificates(tls),
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
                  common_tls_context: certificates(options.tlsIn),
                },
              },
            }),
        filters: [
          {
            name: "http",
            typed_config: {
              "@type":
                "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
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
          },
        ],
      },
    ],
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
      clusters: [cluster("target", [options.targetPort], options.tlsOut), ...extra],
    },
  };
}
