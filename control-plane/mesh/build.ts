/** Joins manifests and registrations to the state of the mesh. Pure: the same inputs give the same state. */
import { formatIdentity } from "../../model/identity.ts";
import { SERVICE_ACCOUNT_LABEL, SERVICE_NAME_LABEL } from "../manifest/endpoint-slice.ts";
import type { Manifest, ManifestOf } from "../manifest/parse.ts";
import { otherProtocol, type PortProtocol, portProtocol } from "../manifest/port-protocol.ts";
import { callPolicy, indexPolicies, targetKey, trafficPolicy } from "./policies.ts";
import { attachRoutes, type RouteManifest } from "./routes.ts";
import {
  DEFAULT_SETTINGS,
  type Finding,
  type MeshEndpoint,
  type MeshSettings,
  type MeshState,
  type ServiceDefinition,
  type ServicePeers,
  type ServicePort,
  type ServiceState,
  serviceKey,
} from "./state.ts";
import { type Registration, selectableLabels, type Workload } from "./workload.ts";

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
  const routes = objects.filter((object) => object.kind === "HTTPRoute" || object.kind === "GRPCRoute");
  const policies = indexPolicies(objects, targetFinder(definitions, routes), findings);
  const rules = attachRoutes(routes, definitions, policies, findings);
  const members = groupMembers(definitions, inputs.registrations);
  const slices = groupSlices(objects, definitions, findings);
  const services = new Map<string, ServiceState>();
  for (const [key, definition] of definitions) {
    const own = policies.get(targetKey("Service", definition.namespace, definition.name)) ?? [];
    services.set(key, {
      definition,
      traffic: trafficPolicy(own),
      routing: { call: callPolicy(own), rules: rules.get(key) ?? [] },
      ...standingBehind(definition, members.get(key) ?? [], slices.get(key) ?? [], inputs.trustDomain),
    });
  }
  return {
    trustDomain: inputs.trustDomain,
    settings: meshSettings(objects, findings),
    services,
    access: groupAccess(objects, definitions, findings),
    findings,
  };
}

/** Who stands behind a service: the part that changes as workloads come and go. */
export function standingBehind(
  definition: ServiceDefinition,
  members: readonly Registration[],
  slices: readonly SliceManifest[],
  trustDomain: string,
): { readonly peers: ServicePeers; readonly endpoints: ReadonlyMap<number, readonly MeshEndpoint[]> } {
  const identities = new Set<string>();
  for (const { workload } of members) {
    identities.add(
      formatIdentity({ trustDomain, namespace: workload.namespace, serviceAccount: workload.serviceAccount }),
    );
  }
  let plaintext = false;
  for (const { value } of slices) {
    const serviceAccount = value.metadata.labels[SERVICE_ACCOUNT_LABEL];
    if (serviceAccount === undefined) plaintext ||= value.endpoints.length > 0;
    else identities.add(formatIdentity({ trustDomain, namespace: definition.namespace, serviceAccount }));
  }
  const endpoints = new Map<number, readonly MeshEndpoint[]>();
  for (const port of definition.ports) {
    const registered = members.filter(({ serving, workload }) => serving && servesPort(definition, port, workload));
    endpoints.set(port.port, [
      ...registered.map(({ workload }) => ({
        host: workload.address,
        port: workload.inboundPort,
        workload: workload.id,
        zone: "",
        inMesh: true,
      })),
      ...slices.flatMap((slice) => sliceEndpoints(slice, port, definition.ports.length === 1)),
    ]);
  }
  return { peers: { identities: [...identities].sort(), plaintext }, endpoints };
}

/** A service's only port is served by each of its workloads; of several, a workload serves those that name its port. */
function servesPort(definition: ServiceDefinition, port: ServicePort, workload: Workload): boolean {
  return definition.ports.length === 1 || port.targetPort === workload.appPort;
}

function sliceEndpoints(slice: SliceManifest, port: ServicePort, onlyPort: boolean): readonly MeshEndpoint[] {
  const { value } = slice;
  const target = value.ports.find(({ name }) => name === port.name) ?? (onlyPort ? value.ports[0] : undefined);
  if (!target) return [];
  const inMesh = value.metadata.labels[SERVICE_ACCOUNT_LABEL] !== undefined;
  return value.endpoints
    .filter(({ conditions }) => conditions === null || (conditions.ready && !conditions.terminating))
    .map((endpoint) => ({
      host: endpoint.addresses[0] ?? "",
      port: target.port,
      workload: endpoint.hostname ?? "",
      zone: endpoint.zone,
      inMesh,
    }));
}

/** Services of manifests, and an implicit one for each workload whose service has none. */
function defineServices(
  objects: readonly Manifest[],
  registrations: readonly Registration[],
  findings: Finding[],
): ReadonlyMap<string, ServiceDefinition> {
  const services = new Map<string, ServiceDefinition>();
  for (const object of objects) {
    if (object.kind !== "Service") continue;
    const { metadata, spec } = object.value;
    for (const { name, port, appProtocol } of spec.ports) {
      const other = otherProtocol(name, appProtocol);
      if (other === null) continue;
      findings.push({
        ...at(object),
        message: `port ${port} is named "${name}", but only HTTP is carried yet: its calls are read as HTTP, not as ${other}`,
      });
    }
    services.set(serviceKey(metadata.namespace, metadata.name), {
      name: metadata.name,
      namespace: metadata.namespace,
      ports: spec.ports.map(({ name, port, targetPort, appProtocol }) => ({
        name,
        port,
        targetPort: targetPort ?? port,
        protocol: portProtocol(name, appProtocol),
      })),
      selector: spec.selector === null || Object.keys(spec.selector).length === 0 ? null : spec.selector,
      source: `${object.file}:${object.line}`,
    });
  }
  for (const { workload, servicePort } of registrations) {
    const key = serviceKey(workload.namespace, workload.service);
    if (services.has(key)) continue;
    services.set(key, {
      name: workload.service,
      namespace: workload.namespace,
      // Nobody declared anything: the name only tells that it is HTTP.
      ports: [{ name: "http", port: servicePort, targetPort: servicePort, protocol: "any" }],
      selector: null,
      source: "",
    });
  }
  return new Map([...services].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Whether a workload stands behind a service: it names it, or the service selects it by labels. */
export function isMember(definition: ServiceDefinition, workload: Workload): boolean {
  if (definition.namespace !== workload.namespace) return false;
  if (definition.name === workload.service) return true;
  if (definition.selector === null) return false;
  const labels = selectableLabels(workload);
  return Object.entries(definition.selector).every(([name, value]) => labels[name] === value);
}

/**
 * What the application beside a sidecar speaks, by the ports of the services that it serves; `any` where none of them
 * declares a version of HTTP, or two do not agree.
 */
export function applicationProtocol(state: MeshState, workload: Workload): PortProtocol {
  const declared = new Set<PortProtocol>();
  for (const { definition } of state.services.values()) {
    if (!isMember(definition, workload)) continue;
    for (const port of definition.ports) {
      if (port.protocol !== "any" && servesPort(definition, port, workload)) declared.add(port.protocol);
    }
  }
  const [first = "any", ...others] = declared;
  if (others.length === 0) return first;
  return declared.has("http1") ? "any" : "http2";
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

/** The mesh has one set of settings: the oldest MeshPolicy's. */
function meshSettings(objects: readonly Manifest[], findings: Finding[]): MeshSettings {
  const [first, ...others] = objects.filter((object) => object.kind === "MeshPolicy");
  for (const other of others) {
    findings.push({ ...at(other), message: `a mesh has one MeshPolicy: ${first?.file}:${first?.line} is in force` });
  }
  if (!first) return DEFAULT_SETTINGS;
  const telemetry = first.value.spec.telemetry;
  const tracing = telemetry?.tracing ?? null;
  return {
    tracing:
      tracing === null || tracing.otlp === null
        ? null
        : { samplingPercent: tracing.samplingPercent, endpoint: tracing.otlp.endpoint },
    accessLog: telemetry?.accessLog?.mode ?? "Off",
  };
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
