/**
 * Which connections a workload takes at which of its ports: the oldest MeshPolicy for one of its services decides before
 * one for its namespace, that before the one for the mesh, and a port before a whole.
 */
import { isMember, type Member } from "./membership.ts";
import type { MtlsMode, MtlsModes, MtlsPolicies, ServiceDefinition } from "./state.ts";

/** Where nobody says otherwise. */
export const DEFAULT_MODE: MtlsMode = "STRICT";

/** The mode for a port of a workload; null: for ports that nothing is said of. */
export function mtlsMode(
  policies: MtlsPolicies,
  definitionOf: (service: string) => ServiceDefinition | undefined,
  workload: Member,
  port: number | null,
): MtlsMode {
  for (const modes of ofWorkload(policies, definitionOf, workload)) {
    const mode = modes.ports.find((entry) => entry.port === port)?.mode ?? modes.mode;
    if (mode !== null) return mode;
  }
  return DEFAULT_MODE;
}

/** The ports of a workload that something is said of, sorted. */
export function mtlsPorts(
  policies: MtlsPolicies,
  definitionOf: (service: string) => ServiceDefinition | undefined,
  workload: Member,
): readonly number[] {
  const all = ofWorkload(policies, definitionOf, workload);
  return [...new Set(all.flatMap(({ ports }) => ports.map(({ port }) => port)))].sort((a, b) => a - b);
}

/** The closest first. */
function ofWorkload(
  policies: MtlsPolicies,
  definitionOf: (service: string) => ServiceDefinition | undefined,
  workload: Member,
): readonly MtlsModes[] {
  const services = policies.services.filter(({ service }) => {
    const definition = definitionOf(service);
    return definition !== undefined && isMember(definition, workload);
  });
  const namespaces = policies.namespaces.filter(({ namespace }) => namespace === workload.namespace);
  return [...services, ...namespaces, policies.mesh];
}
