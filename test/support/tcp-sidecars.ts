/**
 * Two Outrigger processes with mutual TLS between them, as a mesh puts them around opaque bytes: caller → first → second →
 * server.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type HopCertificates, makeCertificates } from "../../bench/certificates.ts";
import { address, any, chain, type Json, listener, named } from "../../xds/testing/bootstrap-json.ts";
import { reservePorts } from "../envoy/harness/ports.ts";
import { type Side, startProxy, untilReady } from "../envoy/harness/proxy.ts";
import { TwoSidecars } from "./two-sidecars.ts";

export interface TcpSidecarsConfig {
  /** Ports of the servers on 127.0.0.1. */
  readonly servers: readonly number[];
  /** Fields of both `tcp_proxy` filters. */
  readonly proxy?: Json;
  /** Fields of the second's cluster. */
  readonly cluster?: Json;
  /** What the second takes of the first. Default: `outrigger-tcp/1`. */
  readonly alpn?: readonly string[];
  /** What the first is told of the second (`filter_metadata.outrigger`). Default: `opaque`. */
  readonly told?: Json;
  /** Who plays each of them. Default: Outrigger. */
  readonly sides?: readonly [Side, Side];
  /** Where Envoy is, if it plays. */
  readonly envoy?: string;
}

/** Both ends of what is `TwoSidecars` for HTTP, with the files of their access logs. */
export interface TcpSidecars extends AsyncDisposable {
  readonly sidecars: TwoSidecars;
  readonly port: number;
  /** Access logs of the first and the second: one JSON object a line. */
  readonly logs: readonly [string, string];
  /** Connections that stand between the two. */
  between(): number;
}

export async function startTcpSidecars(config: TcpSidecarsConfig): Promise<TcpSidecars> {
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-tcp-sidecars-"));
  const [port = 0, between = 0] = await reservePorts(2);
  const certificates = makeCertificates(folder);
  const logs = [path.join(folder, "first.log"), path.join(folder, "second.log")] as const;
  const { told = { opaque: true }, alpn = ["outrigger-tcp/1"], envoy = "" } = config;
  const [firstSide, secondSide] = config.sides ?? ["outrigger", "outrigger"];
  const start = (side: Side, name: string, bootstrap: Json) => {
    const file = path.join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(bootstrap));
    return startProxy(side, envoy, file);
  };
  const opaque = { metadata: { filter_metadata: { outrigger: told } } };
  const first = start(
    firstSide,
    "first",
    bootstrapOf(config, firstSide, port, {}, [between], logs[0], {
      ...opaque,
      transport_socket: upstreamTls(certificates),
    }),
  );
  const second = start(
    secondSide,
    "second",
    bootstrapOf(
      config,
      secondSide,
      between,
      downstreamTls(certificates, alpn),
      config.servers,
      logs[1],
      config.cluster ?? {},
    ),
  );
  const sidecars = new TwoSidecars(port, first, second, folder);
  try {
    await untilReady(firstSide, first, [port]);
    await untilReady(secondSide, second, [between]);
  } catch (error) {
    await sidecars.stop();
    throw error;
  }
  return {
    sidecars,
    port,
    logs,
    between: () => connectionsTo(between),
    async [Symbol.asyncDispose]() {
      await sidecars.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function commonTls(files: HopCertificates): Json {
  return {
    tls_certificates: [{ certificate_chain: { filename: files.chain }, private_key: { filename: files.key } }],
    validation_context: {
      trusted_ca: { filename: files.roots },
      match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: "spiffe://bench/ns/default/sa/hop" } }],
    },
    tls_params: { tls_minimum_protocol_version: "TLSv1_3", tls_maximum_protocol_version: "TLSv1_3" },
  };
}

function upstreamTls(files: HopCertificates): Json {
  return named(
    "envoy.transport_sockets.tls",
    any("extensions.transport_sockets.tls.v3.UpstreamTlsContext", {
      sni: "hop.bench",
      common_tls_context: commonTls(files),
    }),
  );
}

/** Established connections of this machine to a port on 127.0.0.1. */
function connectionsTo(port: number): number {
  const there = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")} 01`;
  return readFileSync("/proc/net/tcp", "latin1")
    .split("\n")
    .filter((line) => line.includes(` ${there} `)).length;
}

function downstreamTls(files: HopCertificates, alpn: readonly string[]): Json {
  return {
    transport_socket: named(
      "envoy.transport_sockets.tls",
      any("extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
        require_client_certificate: true,
        common_tls_context: { ...commonTls(files), alpn_protocols: alpn },
      }),
    ),
  };
}

function bootstrapOf(
  { proxy }: TcpSidecarsConfig,
  side: Side,
  port: number,
  chainFields: Json,
  to: readonly number[],
  log: string,
  cluster: Json,
): Json {
  const filter = any("extensions.filters.network.tcp_proxy.v3.TcpProxy", {
    stat_prefix: "tcp",
    cluster: "next",
    access_log: [
      named(
        "file",
        any("extensions.access_loggers.file.v3.FileAccessLog", {
          path: log,
          log_format: {
            json_format: {
              flags: "%RESPONSE_FLAGS%",
              received: "%BYTES_RECEIVED%",
              sent: "%BYTES_SENT%",
              peer: "%DOWNSTREAM_PEER_URI_SAN%",
              ...(side === "outrigger" ? { why: "%OUTRIGGER_EXPLANATION%" } : {}),
            },
          },
        }),
      ),
    ],
    ...proxy,
  });
  return {
    static_resources: {
      listeners: [
        listener({
          name: "main",
          address: address("127.0.0.1", port),
          filter_chains: [chain([named("envoy.filters.network.tcp_proxy", filter)], chainFields)],
        }),
      ],
      clusters: [
        {
          name: "next",
          type: "STATIC",
          connect_timeout: "2s",
          load_assignment: {
            cluster_name: "next",
            endpoints: [
              { lb_endpoints: to.map((target) => ({ endpoint: { address: address("127.0.0.1", target) } })) },
            ],
          },
          ...cluster,
        },
      ],
    },
  };
}
