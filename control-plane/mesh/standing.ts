/** Who stands behind a service, under which identities, and how they are called. */
import { formatIdentity } from "../../model/identity.ts";
import { INBOUND_PORT } from "../../model/interception.ts";
import { SERVICE_ACCOUNT_LABEL } from "../manifest/endpoint-slice.ts";
import type { Cluster, Pod } from "./cluster.ts";
import { type Member, servedAt } from "./membership.ts";
import { mtlsMode } from "./mtls.ts";
import { type FactsOf, type SliceEndpoint, type SliceManifest, sliceEndpoints } from "./slice-endpoints.ts";
import { podOf } from "./slice-index.ts";
import type { MeshEndpoint, MtlsPolicies, ServiceDefinition, ServiceState } from "./state.ts";
import { isInterceptedInbound, type Registration } from "./workload.ts";

/** What else decides how those behind a service are called. */
export interface Standing {
  readonly trustDomain: string;
  readonly mtls: MtlsPolicies;
  readonly definitionOf: (service: string) => ServiceDefinition | undefined;
  /** null: there is no cluster whose pods could be known. */
  readonly cluster: Cluster | null;
}

export type ServiceStanding = Pick<ServiceState, "peers" | "endpoints">;

/** Who stands behind a service: the part that changes as workloads come and go. */
export function standingBehind(
  definition: ServiceDefinition,
  members: readonly Registration[],
  given: readonly SliceManifest[],
  standing: Standing,
): ServiceStanding {
  const { trustDomain } = standing;
  // A directory's order is its author's; a cluster's is that in which its events came.
  const slices = standing.cluster === null ? given : [...given].sort((a, b) => (a.key < b.key ? -1 : 1));
  const identities = new Set<string>();
  const known = (namespace: string, serviceAccount: string): void => {
    identities.add(formatIdentity({ trustDomain, namespace, serviceAccount }));
  };
  for (const { workload } of members) known(workload.namespace, workload.serviceAccount);
  let plaintext = false;
  // Also of those that are not ready: callers know whom to expect before they may call.
  for (const slice of slices) {
    const { namespace, labels } = slice.value.metadata;
    const serviceAccount = labels[SERVICE_ACCOUNT_LABEL];
    if (serviceAccount !== undefined) known(namespace, serviceAccount);
    const ports = slice.value.ports.map(({ port }) => port);
    for (const endpoint of slice.value.endpoints) {
      const behind = whoIs(slice, endpoint, standing.cluster);
      if (behind === null) continue;
      if (behind.serviceAccount !== null) known(behind.namespace, behind.serviceAccount);
      plaintext ||= ports.some((port) => !speaksMtls(behind, port, standing));
    }
  }
  const factsOf: FactsOf = (slice, endpoint, port) => {
    const behind = whoIs(slice, endpoint, standing.cluster);
    if (behind === null) return null;
    const zone = endpoint.zone || (standing.cluster?.zones.get(behind.pod?.node ?? "") ?? "");
    return {
      port: behind.pod?.onlyPort === port ? INBOUND_PORT : port,
      mtls: speaksMtls(behind, port, standing),
      zone,
      workload: behind.pod?.name ?? endpoint.hostname ?? "",
    };
  };
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
      ...sliceEndpoints(slices, port, definition.ports.length === 1, registered, factsOf),
    ]);
  }
  return { peers: { identities: [...identities].sort(), plaintext }, endpoints };
}

/** Whose address an endpoint is. */
interface Behind {
  readonly namespace: string;
  /** null: it is outside of the mesh. */
  readonly serviceAccount: string | null;
  readonly pod: Pod | null;
}

/** null: a pod that nothing is known of yet, or any more; plaintext might be what its sidecar refuses. */
function whoIs(slice: SliceManifest, endpoint: SliceEndpoint, cluster: Cluster | null): Behind | null {
  const { namespace, labels } = slice.value.metadata;
  const key = cluster === null ? null : podOf(slice, endpoint);
  if (key === null) return { namespace, serviceAccount: labels[SERVICE_ACCOUNT_LABEL] ?? null, pod: null };
  const pod = cluster?.pods.get(key);
  if (!pod) return null;
  return { namespace: pod.namespace, serviceAccount: pod.mesh ? pod.serviceAccount : null, pod };
}

function speaksMtls({ serviceAccount, pod }: Behind, port: number, { mtls, definitionOf }: Standing): boolean {
  if (serviceAccount === null) return false;
  if (pod === null) return true;
  if ((pod.onlyPort ?? port) !== port || !(pod.includedPorts?.includes(port) ?? true)) return false;
  return !pod.excludedPorts.includes(port) && mtlsMode(mtls, definitionOf, memberOf(pod), port) !== "DISABLE";
}

function memberOf({ namespace, name, labels }: Pod): Member {
  return { namespace, service: "", labels, pod: name };
}
