/**
 * Two proxies as processes of their own with mutual TLS and HTTP/2 between them, as a mesh puts them: caller → first →
 * second → backend. Either Outrigger or the real Envoy, on the same files.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type HopCertificates, makeCertificates } from "../../bench/certificates.ts";
import { envoyBinary } from "../../scripts/envoy-binary.ts";
import { address, any, chain, hcm, host, type Json, listener, named, route } from "../../xds/testing/bootstrap-json.ts";
import { reservePorts } from "../envoy/harness/ports.ts";
import { type RunningProxy, type Side, startProxy, untilReady } from "../envoy/harness/proxy.ts";
import { http2Cluster } from "./http2-config.ts";

export type { Side } from "../envoy/harness/proxy.ts";

/** What a test says of the two; the rest is Envoy's defaults. */
export interface TwoSidecarsConfig {
  /** Port of the backend on 127.0.0.1. */
  readonly backend: number;
  /** Which proxy plays both. Default: outrigger. */
  readonly side?: Side;
  /** Fields of both routes' actions. Default: no timeout, as streams want it. */
  readonly action?: Json;
  /** Fields of both connection managers. */
  readonly manager?: Json;
  /** `Http2ProtocolOptions` of both clusters. */
  readonly http2?: Json;
  /** Fields of the second proxy's cluster, in the place of one that speaks HTTP/2. */
  readonly lastCluster?: Json;
  /** For the Node that runs Outrigger. */
  readonly nodeFlags?: readonly string[];
}

export class TwoSidecars {
  /** Where callers go, plaintext on 127.0.0.1. */
  readonly port: number;
  readonly first: RunningProxy;
  readonly second: RunningProxy;
  readonly #folder: string;

  constructor(port: number, first: RunningProxy, second: RunningProxy, folder: string) {
    this.port = port;
    this.first = first;
    this.second = second;
    this.#folder = folder;
  }

  /** Resident memory of both in bytes, the larger of the two. */
  rss(): number {
    return Math.max(residentBytes(this.first.pid), residentBytes(this.second.pid));
  }

  /** What they wrote, for errors. */
  output(): string {
    return `first: ${this.first.output()}\nsecond: ${this.second.output()}`;
  }

  async stop(): Promise<void> {
    await Promise.all([this.first.stop(), this.second.stop()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** `VmRSS` of a process in bytes (Linux). */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  return Number(kilobytes) * 1024;
}

/** Starts both; resolves once they accept connections. Throws with their words if one ends, or if there is no Envoy. */
export async function startTwoSidecars(config: TwoSidecarsConfig): Promise<TwoSidecars> {
  const side = config.side ?? "outrigger";
  const envoy = side === "envoy" ? envoyBinary() : "";
  if (envoy === null) throw new Error("there is no Envoy on this machine");
  const folder = mkdtempSync(path.join(tmpdir(), "outrigger-two-sidecars-"));
  const [port = 0, between = 0] = await reservePorts(2);
  const certificates = makeCertificates(folder);
  const start = (name: string, bootstrap: Json): RunningProxy => {
    const file = path.join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(bootstrap));
    return startProxy(side, envoy, file, config.nodeFlags);
  };
  const first = start("first", firstBootstrap(config, port, between, certificates));
  const second = start("second", secondBootstrap(config, between, certificates));
  const sidecars = new TwoSidecars(port, first, second, folder);
  try {
    await untilReady(side, first, [port]);
    await untilReady(side, second, [between]);
    return sidecars;
  } catch (error) {
    await sidecars.stop();
    throw error;
  }
}

function firstBootstrap(config: TwoSidecarsConfig, port: number, to: number, files: HopCertificates): Json {
  return bootstrapOf(config, port, {}, to, {
    ...http2Cluster(config.http2),
    transport_socket: named(
      "envoy.transport_sockets.tls",
      any("extensions.transport_sockets.tls.v3.UpstreamTlsContext", {
        sni: "hop.bench",
        common_tls_context: commonTls(files),
      }),
    ),
  });
}

function secondBootstrap(config: TwoSidecarsConfig, port: number, files: HopCertificates): Json {
  const transportSocket = named(
    "envoy.transport_sockets.tls",
    any("extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
      require_client_certificate: true,
      common_tls_context: { ...commonTls(files), alpn_protocols: ["h2", "http/1.1"] },
    }),
  );
  const cluster = config.lastCluster ?? http2Cluster(config.http2);
  return bootstrapOf(config, port, { transport_socket: transportSocket }, config.backend, cluster);
}

function commonTls(files: HopCertificates): Json {
  return {
    tls_certificates: [{ certificate_chain: { filename: files.chain }, private_key: { filename: files.key } }],
    validation_context: {
      trusted_ca: { filename: files.roots },
      match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: "spiffe://bench/ns/default/sa/hop" } }],
    },
  };
}

/** A listener on `port` all of whose calls go to `to`. */
function bootstrapOf(config: TwoSidecarsConfig, port: number, chainFields: Json, to: number, cluster: Json): Json {
  const routes = [route({ route: { cluster: "next", timeout: "0s", ...config.action } })];
  const manager = hcm({ route_config: { name: "routes", virtual_hosts: [host({ routes })] }, ...config.manager });
  return {
    static_resources: {
      listeners: [
        listener({
          name: "main",
          address: address("127.0.0.1", port),
          filter_chains: [chain([named("envoy.filters.network.http_connection_manager", manager)], chainFields)],
        }),
      ],
      clusters: [
        {
          name: "next",
          type: "STATIC",
          connect_timeout: "2s",
          load_assignment: {
            cluster_name: "next",
            endpoints: [{ lb_endpoints: [{ endpoint: { address: address("127.0.0.1", to) } }] }],
          },
          ...cluster,
        },
      ],
    },
  };
}
