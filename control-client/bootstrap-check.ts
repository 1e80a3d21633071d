/** What a bootstrap must have so that its dynamic resources can be fetched at all; Envoy does not start without either. */
import type { Problem } from "../core/errors.ts";
import type { Bootstrap, ConfigSource, GrpcConfigSource } from "../model/bootstrap.ts";

/** Everything that is missing, with its path. */
export function checkBootstrap({ node, dynamic, static: base }: Bootstrap): Problem[] {
  if (!dynamic) return [];
  const problems: Problem[] = [];
  for (const field of ["id", "cluster"] as const) {
    if (node[field] !== "") continue;
    const flag = field === "id" ? "--service-node" : "--service-cluster";
    problems.push({ path: `node.${field}`, message: `a control plane needs it: set it here or with ${flag}` });
  }
  const check = (source: GrpcConfigSource, path: string): void => {
    source.clusters.forEach((name, i) => {
      const cluster = base.clusters.get(name);
      if (cluster && cluster.discovery.kind !== "eds") return;
      const quoted = JSON.stringify(name);
      const message = cluster ? `cluster ${quoted} must have its endpoints in place` : `there is no cluster ${quoted}`;
      problems.push({ path: `${path}.grpc_services[${i}]`, message });
    });
  };
  if (dynamic.ads) check(dynamic.ads, "dynamic_resources.ads_config");
  const sources: [string, ConfigSource | null][] = [
    ["lds_config", dynamic.listeners],
    ["cds_config", dynamic.clusters],
  ];
  for (const [field, source] of sources) {
    if (source?.kind === "grpc") check(source.source, `dynamic_resources.${field}.api_config_source`);
  }
  return problems;
}
