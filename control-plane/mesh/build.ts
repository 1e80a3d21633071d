/** Joins manifests and registrations to the state of the mesh. Pure: the same inputs give the same state. */
import { type Manifest, type ManifestOf, positionOf } from "../manifest/parse.ts";
import { findUnknownCallers } from "./caller-findings.ts";
import type { Cluster } from "./cluster.ts";
import { grantsOf } from "./grants.ts";
import { isMember } from "./membership.ts";
import { readMeshPolicies } from "./mesh-policies.ts";
import { findMeaningless } from "./opaque-findings.ts";
import { callPolicy, indexPolicies, opaqueRouting, targetKey, trafficPolicy } from "./policies.ts";
import { attachRoutes, isRoute, type RouteManifest } from "./routes.ts";
import { defineServices } from "./services.ts";
import type { SliceManifest } from "./slice-endpoints.ts";
import { serviceOfSlice } from "./slice-index.ts";
import { type ServiceStanding, type Standing, standingBehind } from "./standing.ts";
import {
  type Finding,
  type MeshState,
  type MtlsPolicies,
  type ServiceDefinition,
  type ServiceState,
  serviceKey,
  targetNotFound,
} from "./state.ts";
import type { Registration } from "./workload.ts";

export interface MeshInputs {
  readonly trustDomain: string;
  readonly objects: ReadonlyMap<string, Manifest>;
  /** In order of registration. Where there is a cluster, it says who stands behind a service, and these don't count. */
  readonly registrations: readonly Registration[];
  readonly cluster?: Cluster | null;
  /** Where alone a policy for the whole mesh may be; null, and the default: anywhere. */
  readonly meshNamespace?: string | null;
  /** Who stood behind a service, where that is sure to be so still. */
  readonly standing?: (definition: ServiceDefinition, mtls: MtlsPolicies) => ServiceStanding | null;
}

/** The whole state. */
export function buildState(inputs: MeshInputs): MeshState {
  const findings: Finding[] = [];
  const objects = [...inputs.objects.values()];
  const { cluster = null } = inputs;
  const registrations = cluster === null ? inputs.registrations : [];
  const definitions = defineServices(objects, registrations, cluster !== null, findings);
  const routes = objects.filter(isRoute);
  const policies = indexPolicies(objects, targetFinder(definitions, routes), findings);
  const rules = attachRoutes(routes, definitions, policies, grantsOf(objects), findings);
  const members = groupMembers(definitions, registrations);
  const slices = groupSlices(objects, definitions, findings);
  findMeaningless(objects, definitions, findings);
  if (cluster !== null) findUnknownCallers(objects, cluster, findings);
  const meshPolicy = readMeshPolicies(objects, definitions, inputs.meshNamespace ?? null, findings);
  const standing: Standing = {
    trustDomain: inputs.trustDomain,
    mtls: meshPolicy.mtls,
    definitionOf: (service) => definitions.get(service),
    cluster,
  };
  const services = new Map<string, ServiceState>();
  for (const [key, definition] of definitions) {
    const own = policies.get(targetKey("Service", definition.namespace, definition.name)) ?? [];
    const call = callPolicy(own);
    services.set(key, {
      definition,
      traffic: trafficPolicy(own),
      routing: { call, rules: rules.http.get(key) ?? [] },
      opaque: { ...opaqueRouting(call), rules: rules.connections.get(key) ?? [] },
      ...(inputs.standing?.(definition, meshPolicy.mtls) ??
        standingBehind(definition, members.get(key) ?? [], slices.get(key) ?? [], standing)),
    });
  }
  return {
    trustDomain: inputs.trustDomain,
    settings: meshPolicy.settings,
    mtls: meshPolicy.mtls,
    services,
    // The cluster's may be edited.
    reach: new Map(cluster?.reach),
    access: groupAccess(objects, definitions, findings),
    findings,
  };
}

function groupMembers(
  definitions: ReadonlyMap<string, ServiceDefinition>,
  registrations: readonly Registration[],
): ReadonlyMap<string, readonly Registration[]> {
  const selecting = [...definitions].filter(([, definition]) => definition.selector !== null);
  const members = new Map<string, Registration[]>();
  const add = (key: string, registration: Registration): void => {
    const group = members.get(key);
    if (group) group.push(registration);
    else members.set(key, [registration]);
  };
  for (const registration of registrations) {
    const own = serviceKey(registration.workload.namespace, registration.workload.service);
    add(own, registration);
    for (const [key, definition] of selecting) {
      if (key !== own && isMember(definition, registration.workload)) add(key, registration);
    }
  }
  return members;
}

function groupSlices(
  objects: readonly Manifest[],
  definitions: ReadonlyMap<string, ServiceDefinition>,
  findings: Finding[],
): ReadonlyMap<string, readonly SliceManifest[]> {
  const groups = new Map<string, SliceManifest[]>();
  for (const object of objects) {
    if (object.kind !== "EndpointSlice") continue;
    const key = serviceOfSlice(object);
    if (definitions.has(key)) groups.set(key, [...(groups.get(key) ?? []), object]);
    else findings.push({ ...at(object), message: `belongs to Service ${key}, which does not exist` });
  }
  return groups;
}

function groupAccess(
  objects: readonly Manifest[],
  definitions: ReadonlyMap<string, ServiceDefinition>,
  findings: Finding[],
): MeshState["access"] {
  const groups = new Map<string, ManifestOf<"AccessPolicy">["value"][]>();
  for (const object of objects) {
    if (object.kind !== "AccessPolicy") continue;
    const { metadata, spec } = object.value;
    for (const [index, { name }] of spec.targetRefs.entries()) {
      const key = serviceKey(metadata.namespace, name);
      if (definitions.has(key)) continue;
      const message = `targets Service ${key}, which does not exist`;
      findings.push({ ...at(object), message, failure: targetNotFound(index) });
    }
    groups.set(metadata.namespace, [...(groups.get(metadata.namespace) ?? []), object.value]);
  }
  return groups;
}

function targetFinder(
  definitions: ReadonlyMap<string, ServiceDefinition>,
  routes: readonly RouteManifest[],
): (key: string) => boolean {
  const keys = new Set<string>();
  for (const { name, namespace } of definitions.values()) keys.add(targetKey("Service", namespace, name));
  for (const { kind, value } of routes) {
    const { name, namespace } = value.metadata;
    keys.add(targetKey(kind, namespace, name));
    for (const rule of value.spec.rules) {
      if (rule.name !== "") keys.add(targetKey(kind, namespace, name, rule.name));
    }
  }
  return (key) => keys.has(key);
}

function at(object: Manifest): { readonly key: string; readonly source: string } {
  return { key: object.key, source: positionOf(object) };
}
