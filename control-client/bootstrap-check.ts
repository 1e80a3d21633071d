/** What one part of a bootstrap says about another: references that must hold before anything is started. */
import type { Bootstrap, ConfigSource, GrpcConfigSource } from "../model/bootstrap.ts";
import type { Place } from "../xds/place.ts";
import { clusterReferences, listenerReferences, type Reference } from "./references.ts";

/** Reports at their place: what Envoy refuses to start with. */
export function checkBootstrap(bootstrap: Bootstrap, root: Place): void {
  checkNode(bootstrap, root);
  checkDynamic(bootstrap, root);
  checkStaticReferences(bootstrap, root);
}

function checkNode({ node, dynamic }: Bootstrap, root: Place): void {
  if (!dynamic) return;
  if (node.id === "") root.field("node.id").error("a control plane needs it: set it here or with --service-node");
  if (node.cluster === "") {
    root.field("node.cluster").error("a control plane needs it: set it here or with --service-cluster");
  }
}

function checkDynamic({ dynamic, static: base }: Bootstrap, root: Place): void {
  if (!dynamic) return;
  const at = root.field("dynamic_resources");
  const check = (source: GrpcConfigSource, place: Place): void => {
    source.clusters.forEach((name, i) => {
      const cluster = base.clusters.get(name);
      const problem = !cluster
        ? `there is no static cluster ${JSON.stringify(name)}`
        : cluster.discovery.kind === "eds" && `cluster ${JSON.stringify(name)} must have its endpoints in place`;
      if (problem) place.item("grpc_services", i).error(problem);
    });
  };
  if (dynamic.ads) check(dynamic.ads, at.field("ads_config"));
  const sources: [string, ConfigSource | null][] = [
    ["lds_config", dynamic.listeners],
    ["cds_config", dynamic.clusters],
  ];
  for (const [field, source] of sources) {
    if (source?.kind === "grpc") check(source.source, at.field(field).field("api_config_source"));
  }
}

function checkStaticReferences({ static: base, dynamic }: Bootstrap, root: Place): void {
  const at = root.field("static_resources");
  const check = (references: readonly Reference[], place: Place): void => {
    for (const { kind, name, source } of references) {
      if (kind === "secret" && source === undefined && !base.secrets.has(name)) {
        place.error(`there is no static secret ${JSON.stringify(name)}`);
      } else if (source?.kind === "ads" && !dynamic?.ads) {
        place.error(`fetches ${kind} ${JSON.stringify(name)} over ADS, but dynamic_resources.ads_config is not set`);
      }
    }
  };
  [...base.clusters.values()].forEach((cluster, i) => {
    check(clusterReferences(cluster), at.item("clusters", i).in(`cluster ${JSON.stringify(cluster.name)}`));
  });
  [...base.listeners.values()].forEach((listener, i) => {
    check(listenerReferences(listener), at.item("listeners", i).in(`listener ${JSON.stringify(listener.name)}`));
  });
}
