/** What the control plane sends a sidecar, as the static part of a bootstrap file: for asking the real Envoy about it. */
import { toBinary } from "@bufbuild/protobuf";
import { CLUSTER } from "../../control-plane/translate/envoy-defaults.ts";
import type { NodeResources } from "../../control-plane/translate/translate.ts";
import type { Cluster } from "../../model/cluster.ts";
import type { Secret } from "../../model/secret.ts";
import { WORKLOAD_CERT, WORKLOAD_ROOTS } from "../../model/tls.ts";
import { bootstrapCodec } from "../../xds/bootstrap.ts";
import { certificate, roots } from "../envoy/harness/certificates.ts";

/** Where routes and endpoints would come from. */
const XDS: Cluster = {
  ...CLUSTER,
  name: "xds",
  discovery: { kind: "static", endpoints: { name: "xds", overprovisioningFactor: 140, localities: [] } },
  http: { ...CLUSTER.http, protocol: "http2" },
};

/** A bootstrap in protobuf's binary form. */
export function translatedBootstrap({ listeners, clusters }: NodeResources): Uint8Array {
  const { chain, key } = certificate("orders");
  const secrets: readonly Secret[] = [
    {
      kind: "certificate",
      name: WORKLOAD_CERT,
      material: { certificateChain: chain, privateKey: key, password: "" },
    },
    { kind: "trust", name: WORKLOAD_ROOTS, material: { roots: roots.mesh, crl: "" } },
  ];
  const bootstrap = bootstrapCodec.encode({
    node: { id: "n", cluster: "c", locality: { region: "", zone: "", subZone: "" }, metadata: {} },
    admin: null,
    static: {
      revision: "",
      listeners: byName(listeners),
      routes: new Map(),
      clusters: byName([...clusters, XDS]),
      endpoints: new Map(),
      secrets: byName(secrets),
    },
    dynamic: {
      ads: { variant: "delta", clusters: ["xds"], initialMetadata: [] },
      listeners: null,
      clusters: null,
    },
    tracing: null,
  });
  return toBinary(bootstrapCodec.schema, bootstrap);
}

function byName<T extends { readonly name: string }>(resources: readonly T[]): ReadonlyMap<string, T> {
  return new Map(resources.map((resource) => [resource.name, resource]));
}
