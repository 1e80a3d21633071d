/** The kinds that are read from a cluster, and where the API server has them. */
import type { ManifestKind } from "../manifest/kinds.ts";
import type { Collection } from "./api.ts";

/** Kinds that say something about the mesh's workloads, and become no manifests. */
export type ClusterKind = "Pod" | "Node" | "Namespace" | "ServiceAccount";
export type SourceKind = ManifestKind | ClusterKind;

export interface KindSource {
  /** `discovery.k8s.io`, "" for the core group. */
  readonly group: string;
  readonly plural: string;
  /** The preferred one first. */
  readonly versions: readonly string[];
  readonly metadataOnly: boolean;
  /** Objects in a page: what is read at once holds up everything else. */
  readonly pageSize: number;
}

const GATEWAY = "gateway.networking.k8s.io";
const OWN = "outrigger.dev";

function kind(group: string, plural: string, versions: readonly string[], pageSize: number, metadataOnly = false) {
  return { group, plural, versions, metadataOnly, pageSize };
}

export const SOURCE_KINDS: { readonly [K in SourceKind]: KindSource } = {
  Service: kind("", "services", ["v1"], 250),
  EndpointSlice: kind("discovery.k8s.io", "endpointslices", ["v1"], 50),
  Pod: kind("", "pods", ["v1"], 100),
  Node: kind("", "nodes", ["v1"], 500, true),
  Namespace: kind("", "namespaces", ["v1"], 500, true),
  ServiceAccount: kind("", "serviceaccounts", ["v1"], 500, true),
  HTTPRoute: kind(GATEWAY, "httproutes", ["v1", "v1beta1"], 100),
  GRPCRoute: kind(GATEWAY, "grpcroutes", ["v1"], 100),
  TLSRoute: kind(GATEWAY, "tlsroutes", ["v1", "v1alpha3", "v1alpha2"], 100),
  TCPRoute: kind(GATEWAY, "tcproutes", ["v1", "v1alpha2"], 100),
  ReferenceGrant: kind(GATEWAY, "referencegrants", ["v1", "v1beta1"], 100),
  ResiliencePolicy: kind(OWN, "resiliencepolicies", ["v1alpha1"], 100),
  AccessPolicy: kind(OWN, "accesspolicies", ["v1alpha1"], 100),
  MeshPolicy: kind(OWN, "meshpolicies", ["v1alpha1"], 100),
};

/** A kind's collections by version, in the order of preference. */
export function collectionsOf({ group, plural, versions, metadataOnly }: KindSource): readonly Collection[] {
  return versions.map((version) => ({
    path: group === "" ? `/api/${version}/${plural}` : `/apis/${group}/${version}/${plural}`,
    metadataOnly,
  }));
}
