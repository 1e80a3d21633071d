/** Who stands behind a service, under which identities, and how they are called. */
import { formatIdentity } from "../../model/identity.ts";
import { SERVICE_ACCOUNT_LABEL } from "../manifest/endpoint-slice.ts";
import { servedAt } from "./membership.ts";
import { mtlsMode } from "./mtls.ts";
import { type SliceManifest, sliceEndpoints } from "./slice-endpoints.ts";
import type { MeshEndpoint, MtlsPolicies, ServiceDefinition, ServicePeers } from "./state.ts";
import { isInterceptedInbound, type Registration } from "./workload.ts";

/** What else decides how those behind a service are called. */
export interface Standing {
  readonly trustDomain: string;
  readonly mtls: MtlsPolicies;
  readonly definitionOf: (service: string) => ServiceDefinition | undefined;
}

/** Who stands behind a service: the part that changes as workloads come and go. */
export function standingBehind(
  definition: ServiceDefinition,
  members: readonly Registration[],
  slices: readonly SliceManifest[],
  standing: Standing,
): { readonly peers: ServicePeers; readonly endpoints: ReadonlyMap<number, readonly MeshEndpoint[]> } {
  const { trustDomain } = standing;
  const identities = new Set<string>();
  for (const { workload } of members) {
    identities.add(
      formatIdentity({ trustDomain, namespace: workload.namespace, serviceAccount: workload.serviceAccount }),
    );
  }
  for (const { value } of slices) {
    const serviceAccount = value.metadata.labels[SERVICE_ACCOUNT_LABEL];
    if (serviceAccount === undefined) continue;
    identities.add(formatIdentity({ trustDomain, namespace: definition.namespace, serviceAccount }));
  }
  let plaintext = slices.some(
    ({ value }) => value.metadata.labels[SERVICE_ACCOUNT_LABEL] === undefined && value.endpoints.length > 0,
  );
  const endpoints = new Map<number, readonly MeshEndpoint[]>();
  for (const port of definition.ports) {
    const registered: MeshEndpoint[] = [];
    for (const { workload, serving } of members) {
      const at = servedAt(definition, port, workload);
      if (at === null) continue;
      const mtls = mtlsMode(standing.mtls, standing.definitionOf, workload, at) !== "DISABLE";
      plaintext ||= !mtls;
      if (!serving) continue;
      registered.push({
        host: workload.address,
        additionalHosts: workload.addresses,
        port: isInterceptedInbound(workload) ? at : workload.inboundPort,
        workload: workload.id,
        zone: "",
        mtls,
      });
    }
    endpoints.set(port.port, [
      ...registered,
      ...sliceEndpoints(slices, port, definition.ports.length === 1, registered),
    ]);
  }
  return { peers: { identities: [...identities].sort(), plaintext }, endpoints };
}
