/** The running proxy as the admin pages and the metrics see it. */
import { createRegistry, toJson } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { inspectCertificates } from "../../certs/inspect.ts";
import { re2 } from "../../core/re2.ts";
import { formatAddress } from "../../model/address.ts";
import type { JsonValue } from "../../model/bootstrap.ts";
import type { Secret } from "../../model/secret.ts";
import { WORKLOAD_CERT, WORKLOAD_ROOTS } from "../../model/tls.ts";
import type { CertificateView } from "../../telemetry/certificate-metrics.ts";
import type { ClusterSource } from "../../telemetry/cluster-view.ts";
import { exposition, mergeFamilies } from "../../telemetry/metrics.ts";
import type { ProtocolSource } from "../../telemetry/protocol-view.ts";
import { EXTENSION_TYPES } from "../../xds/registry.ts";
import { encodeResource } from "../../xds/resources.ts";
import type { ProxyProcess } from "../proxy-process.ts";
import { VERSION } from "../version.ts";
import type { AdminSource, ConfigDumpQuery } from "./admin-source.ts";
import { upstreamStats } from "./protocol-stats.ts";

/** The clusters of a process, as metrics and `/clusters` read them. */
export function clusterSource(proxy: ProxyProcess): ClusterSource {
  return proxy.host.clusters;
}

/** What the connections of a process speak whose data plane is in this thread, as metrics read it. */
export function protocolSource(proxy: ProxyProcess): ProtocolSource {
  return () => proxy.local.protocols();
}

/** All certificates that the process shows to peers or trusts in them. */
export function certificatesInUse(proxy: ProxyProcess): CertificateView[] {
  const found: CertificateView[] = [];
  const add = (name: string, role: CertificateView["role"], pem: string): void => {
    for (const info of inspectCertificates(pem)) {
      const subjectAltNames = [
        ...info.uris.map((value) => ({ type: "uri" as const, value })),
        ...info.dnsNames.map((value) => ({ type: "dns" as const, value })),
        ...info.ipAddresses.map((value) => ({ type: "ip" as const, value })),
      ];
      const { subject, serial, notBefore, notAfter } = info;
      found.push({ name, role, subjectAltNames, subject, serial, notBefore, notAfter });
      // The rest of a chain are its issuers: the leaf is what is shown.
      if (role === "own") return;
    }
  };
  const own = proxy.options.identity?.get();
  if (own !== undefined) {
    add(WORKLOAD_CERT, "own", own.chainPem);
    add(WORKLOAD_ROOTS, "root", own.rootsPem);
  }
  for (const secret of proxy.snapshot.secrets.values()) {
    if (secret.kind === "certificate") add(secret.name, "own", secret.material.certificateChain);
    else add(secret.name, "root", secret.material.roots);
  }
  return found;
}

export interface ProcessControls {
  /** What the process was started with. */
  readonly options: Readonly<Record<string, JsonValue>>;
  /** Drains and ends the process. */
  quit(): void;
}

export function processSource(proxy: ProxyProcess, controls: ProcessControls): AdminSource {
  const { clock, host, options, registry } = proxy;
  const started = clock.now();
  let failed = false;
  return {
    refresh: () => host.refresh(),
    state() {
      if (proxy.draining || failed) return "DRAINING";
      if (proxy.ready.get() === true) return "LIVE";
      return proxy.snapshot.revision === "" ? "PRE_INITIALIZING" : "INITIALIZING";
    },
    waitingFor: () => proxy.waitingFor().join("; "),
    serverInfo: () => ({
      version: VERSION,
      uptimeMs: clock.now() - started,
      node: { id: options.bootstrap.node.id, cluster: options.bootstrap.node.cluster },
      revision: proxy.snapshot.revision,
      options: controls.options,
    }),
    clusters: clusterSource(proxy),
    listeners: () =>
      [...host.listeners].map(({ config, boundAddress }) => ({
        name: config.name,
        address: formatAddress(boundAddress === null ? config.address : { kind: "tcp", ...boundAddress }),
      })),
    certificates: () => certificatesInUse(proxy),
    *stats() {
      yield ["server.live", proxy.ready.get() === true ? 1 : 0];
      yield ["server.uptime", Math.floor((clock.now() - started) / 1000)];
      yield* host.stats();
      for (const { name, stats } of host.clusters()) yield* upstreamStats(name, stats);
    },
    metrics() {
      const own = registry.collect();
      const others = host.families();
      return exposition(others.length === 0 ? own : mergeFamilies([own, others]));
    },
    setLogLevel: (level, component) => host.setLogLevel(level, component),
    configDump: (query) => configDump(proxy, query),
    failHealthcheck(value) {
      failed = value;
    },
    drain: () => void proxy.drain(options.drainMs),
    quit: controls.quit,
  };
}

/** A secret as it may be shown: its name and certificates, never a key. */
function redact(secret: Secret): Secret {
  if (secret.kind === "trust") return secret;
  return {
    ...secret,
    material: { ...secret.material, privateKey: "[redacted]", password: secret.material.password && "[redacted]" },
  };
}

/** Envoy's `ConfigDump`: one section per kind, static and dynamic resources told apart by where they came from. */
function configDump(proxy: ProxyProcess, query: ConfigDumpQuery): JsonValue {
  const { snapshot } = proxy;
  const { static: base } = proxy.options.bootstrap;
  const name = query.nameRegex === "" ? null : re2().compile(query.nameRegex);
  const type = (kind: string): string => `type.googleapis.com/envoy.admin.v3.${kind}`;
  const version = { version_info: snapshot.revision };
  const shown = <T extends { readonly name: string }>(items: Iterable<T>): T[] =>
    [...items].filter((item) => name === null || name.matches(item.name));
  const anyRegistry = createRegistry(...EXTENSION_TYPES);
  const encoded = (any: ReturnType<typeof encodeResource>): JsonValue =>
    toJson(AnySchema, any, { registry: anyRegistry, useProtoFieldName: true }) as JsonValue;

  const clusters = shown(snapshot.clusters.values()).map((item) => ({
    item,
    any: encoded(encodeResource("cluster", item)),
  }));
  const listeners = shown(snapshot.listeners.values()).map((item) => ({
    item,
    any: encoded(encodeResource("listener", item)),
  }));
  const sections: Record<string, JsonValue>[] = [
    {
      "@type": type("ClustersConfigDump"),
      ...version,
      static_clusters: clusters.filter(({ item }) => base.clusters.has(item.name)).map(({ any }) => ({ cluster: any })),
      dynamic_active_clusters: clusters
        .filter(({ item }) => !base.clusters.has(item.name))
        .map(({ any }) => ({ ...version, cluster: any })),
    },
    {
      "@type": type("ListenersConfigDump"),
      ...version,
      static_listeners: listeners
        .filter(({ item }) => base.listeners.has(item.name))
        .map(({ any }) => ({ listener: any })),
      dynamic_listeners: listeners
        .filter(({ item }) => !base.listeners.has(item.name))
        .map(({ item, any }) => ({ name: item.name, active_state: { ...version, listener: any } })),
    },
    {
      "@type": type("RoutesConfigDump"),
      dynamic_route_configs: shown(snapshot.routes.values()).map((item) => ({
        ...version,
        route_config: encoded(encodeResource("route", item)),
      })),
    },
    {
      "@type": type("SecretsConfigDump"),
      dynamic_active_secrets: shown(snapshot.secrets.values()).map((item) => ({
        name: item.name,
        ...version,
        secret: encoded(encodeResource("secret", redact(item))),
      })),
    },
  ];
  if (query.includeEndpoints) {
    sections.push({
      "@type": type("EndpointsConfigDump"),
      dynamic_endpoint_configs: shown(snapshot.endpoints.values()).map((item) => ({
        ...version,
        endpoint_config: encoded(encodeResource("endpoint", item)),
      })),
    });
  }
  if (query.resource === "") return { configs: sections };
  return { configs: sections.flatMap((section) => (section[query.resource] as JsonValue[] | undefined) ?? []) };
}
