/** What a route's references to Services lead to: clusters, or why not. */
import { httpOf, mayBeOpaque } from "../manifest/port-protocol.ts";
import type { BackendReference, ParentRef } from "../manifest/references.ts";
import { clusterName } from "../translate/names.ts";
import type { Permits } from "./grants.ts";
import type { RouteManifest } from "./routes.ts";
import { type FailureReason, type ServiceDefinition, type ServicePort, serviceKey } from "./state.ts";

export interface ResolvedBackend {
  /** null: there is none. */
  readonly cluster: string | null;
  readonly problem: { readonly message: string; readonly reason: FailureReason } | null;
}

/** Whether routes of `kind` can lead connections or calls to a port, or why not. */
export function portProblem(kind: RouteManifest["kind"], { protocol }: ServicePort): string | null {
  if (kind === "TCPRoute" || kind === "TLSRoute") {
    return mayBeOpaque(protocol) ? null : `declared as HTTP (${protocol}), and a ${kind} leads bytes`;
  }
  return httpOf(protocol) === null ? `declared as bytes (${protocol}), whose calls nobody sees` : null;
}

/** What backends are looked for in. */
export interface Surroundings {
  readonly services: ReadonlyMap<string, ServiceDefinition>;
  readonly permits: Permits;
}

/**
 * The cluster of a backend; Gateway API: what can't be resolved answers an error for its share. `parent` is the Service
 * (`namespace/name`) whose calls the route leads there; "" where it leads none.
 */
export function resolveBackend(
  ref: BackendReference,
  { kind, value }: RouteManifest,
  parent: string,
  { services, permits }: Surroundings,
): ResolvedBackend {
  const { namespace: own } = value.metadata;
  const namespace = ref.namespace ?? own;
  const failed = (reason: FailureReason, problem: string): ResolvedBackend => ({
    cluster: null,
    problem: { message: `${problem}: ${CONSEQUENCE[kind]}`, reason },
  });
  if (ref.kind !== "Service" || (ref.group !== "" && ref.group !== "core")) {
    return failed(
      "InvalidKind",
      `backend ${ref.group === "" ? "" : `${ref.group}/`}${ref.kind} ${ref.name} is not a Service`,
    );
  }
  const key = serviceKey(namespace, ref.name);
  // Who routes his own calls to a Service may also send them there; but not those to another.
  const permitted =
    namespace === own || key === parent || permits({ kind, namespace: own, service: { namespace, name: ref.name } });
  if (!permitted) {
    return failed(
      "RefNotPermitted",
      `backend Service ${key} is in another namespace, in which no ReferenceGrant is for ${kind}s of ${own}`,
    );
  }
  const service = services.get(key);
  if (!service) return failed("BackendNotFound", `backend Service ${key} does not exist`);
  if (ref.port === null) return failed("BackendNotFound", `backend Service ${key} needs a port`);
  const port = service.ports.find((candidate) => candidate.port === ref.port);
  if (!port) return failed("BackendNotFound", `backend Service ${key} has no port ${ref.port}`);
  const problem = kind === "GRPCRoute" && port.protocol === "http1" ? NO_GRPC : portProblem(kind, port);
  if (problem !== null)
    return failed("UnsupportedProtocol", `port ${ref.port} of backend Service ${key} is ${problem}`);
  return { cluster: clusterName(service, ref.port), problem: null };
}

const NO_GRPC = "declared as HTTP/1.1, which cannot carry gRPC (give it appProtocol: grpc)";

const CONSEQUENCE: Readonly<Record<RouteManifest["kind"], string>> = {
  HTTPRoute: "its share of requests is answered 500",
  GRPCRoute: "its share of requests is answered UNAVAILABLE",
  TLSRoute: "its share of connections is closed",
  TCPRoute: "its share of connections is closed",
};

/** Ports of the parent that a route is for: the one that it names by number or name, else all. */
export function parentPorts(parent: ParentRef, service: ServiceDefinition | undefined): readonly ServicePort[] {
  return (service?.ports ?? []).filter(
    ({ port, name }) =>
      (parent.port === null || parent.port === port) && (parent.sectionName === null || parent.sectionName === name),
  );
}

/** Why a route has no port of its parent, or null. */
export function parentProblem(parent: ParentRef, key: string, service: ServiceDefinition | undefined): string | null {
  if (!service) return `parent Service ${key} does not exist`;
  if (parent.port !== null && !service.ports.some(({ port }) => port === parent.port)) {
    return `parent Service ${key} has no port ${parent.port}`;
  }
  if (parent.sectionName !== null && !service.ports.some(({ name }) => name === parent.sectionName)) {
    return `parent Service ${key} has no port named "${parent.sectionName}"`;
  }
  if (parentPorts(parent, service).length === 0) {
    return `port ${parent.port} of parent Service ${key} is not the one named "${parent.sectionName}"`;
  }
  return null;
}
