/** Joins manifests and registrations to the state of the mesh. Pure: the same inputs give the same state. */
import { formatIdentity } from "../../model/identity.ts";
import { SERVICE_ACCOUNT_LABEL, SERVICE_NAME_LABEL } from "../manifest/endpoint-slice.ts";
import type { Manifest, ManifestOf } from "../manifest/parse.ts";
import { portProtocol } from "../manifest/port-protocol.ts";
import { isMember, servedAt } from "./membership.ts";
import { readMeshPolicies } from "./mesh-policies.ts";
import { mtlsMode } from "./mtls.ts";
import { findMeaningless } from "./opaque-findings.ts";
import { callPolicy, indexPolicies, opaqueRouting, targetKey, trafficPolicy } from "./policies.ts";
import { attachRoutes, isRoute, type RouteManifest } from "./routes.ts";
import { planAddresses } from "./service-addresses.ts";
import {
  type Finding,
  type MeshEndpoint,
  type MeshState,
  type MtlsPolicies,
  type ServiceDefinition,
  type ServicePeers,
  type ServicePort,
  type ServiceState,
  serviceKey,
} from "./state.ts";
import { isInterceptedInbound, type Registration, type Workload } from "./workload.ts";

export interface MeshInputs {
  readonly trustDomain: string;
  readonly objects: ReadonlyMap<string, Manifest>;
  /** In order of registration. */
  readonly registrations: readonly Registration[];
}

type SliceManifest = ManifestOf<"EndpointSlice">;

/** The whole state. */
export function buildState(inputs: MeshInputs): MeshState {
  const findings: Finding[] = [];
  const objects = [...inputs.objects.values()];
  const definitions = defineServices(objects, inputs.registrations, findings);
  const routes = objects.filter(isRoute);
  const policies = indexPolicies(objects, targetFinder(definitions, routes), findings);
  const rules = attachRoutes(routes, definitions, policies, findings);
  const members = groupMembers(definitions, inputs.registrations);
  const slices = groupSlices(objects, definitions, findings);
  findMeaningless(objects, definitions, findings);
  const meshPolicy = readMeshPolicies(objects, definitions, findings);
  const standing: Standing = {
    trustDomain: inputs.trustDomain,
    mtls: meshPolicy.mtls,
    definitionOf: (service) => definitions.get(service),
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
      ...standingBehind(definition, members.get(key) ?? [], slices.get(key) ?? [], standing),
    });
  }
  return {
    trustDomain: inputs.trustDomain,
    settings: meshPolicy.settings,
    mtls: meshPolicy.mtls,
    services,
    access: groupAccess(objects, definitions, findings),
    findings,
  };
}

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
        port: isInterceptedInbound(workload) ? at : workload.inboundPort,
        workload: workload.id,
        zone: "",
        mtls,
      });
    }
    endpoints.set(port.port, [
      ...registered,
      ...slices.flatMap((slice) => sliceEndpoints(slice, port, definition.ports.length === 1)),
    ]);
  }
  return { peers: { identities: [...identities].sort(), plaintext }, endpoints };
}

function sliceEndpoints(slice: SliceManifest, port: ServicePort, onlyPort: boolean): readonly MeshEndpoint[] {
  const { value } = slice;
  const target = value.ports.find(({ name }) => name === port.name) ?? (onlyPort ? value.ports[0] : undefined);
  if (!target) return [];
  const mtls = value.metadata.labels[SERVICE_ACCOUNT_LABEL] !== undefined;
  return value.endpoints
    .filter(({ conditions }) => conditions === null || (conditions.ready && !conditions.terminating))
    .map((endpoint) => ({
      host: endpoint.addresses[0] ?? "",
      port: target.port,
      workload: endpoint.hostname ?? "",
      zone: endpoint.zone,
      mtls,
    }));
}

/** A service before it has its addresses. */
interface Unplaced {
  readonly definition: Omit<ServiceDefinition, "addresses">;
  readonly clusterIps: readonly string[];
}

/** Services of manifests, and an implicit one for each workload whose service has none. */
function defineServices(
  objects: readonly Manifest[],
  registrations: readonly Registration[],
  findings: Finding[],
): ReadonlyMap<string, ServiceDefinition> {
  const services = new Map<string, Unplaced>();
  for (const object of objects) {
    if (object.kind !== "Service") continue;
    const { metadata, spec } = object.value;
    services.set(serviceKey(metadata.namespace, metadata.name), {
      clusterIps: spec.clusterIPs.length > 0 ? spec.clusterIPs : [spec.clusterIP],
      definition: {
        name: metadata.name,
        namespace: metadata.namespace,
        ports: spec.ports.map(({ name, port, targetPort, appProtocol }) => ({
          name,
          port,
          targetPort: targetPort ?? port,
          protocol: portProtocol(name, appProtocol),
        })),
        selector: spec.selector === null || Object.keys(spec.selector).length === 0 ? null : spec.selector,
        headless: spec.clusterIP === "None" || spec.clusterIPs.includes("None"),
        source: `${object.file}:${object.line}`,
      },
    });
  }
  for (const { workload, servicePort } of registrations) {
    const key = serviceKey(workload.namespace, workload.service);
    if (services.has(key)) continue;
    services.set(key, {
      clusterIps: [],
      definition: {
        name: workload.service,
        namespace: workload.namespace,
        ports: [{ ...undeclared(workload), port: servicePort, targetPort: servicePort }],
        selector: null,
        headless: false,
        source: "",
      },
    });
  }
  const plan = planAddresses([...services].map(([key, { clusterIps }]) => ({ key, clusterIps })));
  for (const { key, address, owner } of plan.conflicts) {
    findings.push({
      key: `Service/${key}`,
      source: services.get(key)?.definition.source ?? "",
      message: `clusterIP ${address} is that of Service ${owner}: intercepted callers find this one at ${plan.addresses.get(key)?.join(", ")}`,
    });
  }
  return new Map(
    [...services]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { definition }]) => [key, { ...definition, addresses: plan.addresses.get(key) ?? [] }]),
  );
}

/**
 * What a port is that nobody declared, by the first workload that registered for it. One whose callers give addresses of
 * the mesh to HTTP clients speaks HTTP; with interception anything may come.
 */
export function undeclared({ interception }: Workload): Pick<ServicePort, "name" | "protocol"> {
  return interception === null ? { name: "http", protocol: "any" } : { name: "", protocol: "detected" };
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
    const { metadata } = object.value;
    const key = serviceKey(metadata.namespace, metadata.labels[SERVICE_NAME_LABEL] ?? "");
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
    for (const { name } of spec.targetRefs) {
      const key = serviceKey(metadata.namespace, name);
      if (!definitions.has(key))
        findings.push({ ...at(object), message: `targets Service ${key}, which does not exist` });
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
  return { key: object.key, source: `${object.file}:${object.line}` };
}
