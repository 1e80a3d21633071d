/** Routes joined with the Services that they belong to and the backends that they name (Gateway API, GAMMA). */

import type { ManifestOf } from "../manifest/parse.ts";
import type { BackendReference, ParentRef } from "../manifest/references.ts";
import { clusterName } from "../translate/names.ts";
import { callPolicy, type PolicyIndex, targetKey } from "./policies.ts";
import { type AttachedRule, type CallPolicy, type Finding, type ServiceDefinition, serviceKey } from "./state.ts";

export type RouteManifest = ManifestOf<"HTTPRoute"> | ManifestOf<"GRPCRoute">;

/** Rules by the Service that they are attached to (`namespace/name`), of older routes first. */
export function attachRoutes(
  routes: readonly RouteManifest[],
  services: ReadonlyMap<string, ServiceDefinition>,
  policies: PolicyIndex,
  findings: Finding[],
): ReadonlyMap<string, readonly AttachedRule[]> {
  const attached = new Map<string, AttachedRule[]>();
  const claims = new Map<string, RouteManifest>();
  for (const route of mostSpecificKindFirst(olderFirst(routes))) {
    const { metadata, spec } = route.value;
    const tell = (message: string, source = `${route.file}:${route.line}`): void => {
      findings.push({ key: route.key, source, message });
    };
    const resolve = (ref: BackendReference, source: string): string | null => {
      const found = resolveBackend(ref, route, services);
      if (found.problem !== null) tell(found.problem, source);
      return found.cluster;
    };
    const resolved = spec.rules.map((rule) => ({
      rule,
      backends: rule.backendRefs.map((ref) => resolve(ref, rule.source)),
      mirrors: rule.filters.flatMap(({ requestMirror }) =>
        requestMirror === null ? [] : [resolve(requestMirror.backendRef, rule.source)],
      ),
    }));
    for (const parent of spec.parentRefs) {
      const namespace = parent.namespace ?? metadata.namespace;
      const key = serviceKey(namespace, parent.name);
      const service = services.get(key);
      const problem = parentProblem(parent, key, service);
      if (problem !== null) {
        tell(problem);
        continue;
      }
      const clientNamespace = namespace === metadata.namespace ? null : metadata.namespace;
      const ports = parentPorts(parent, service).filter((port) => {
        const claim = `${key}:${port}@${clientNamespace ?? ""}`;
        const owner = claims.get(claim) ?? route;
        if (spec.rules.length > 0) claims.set(claim, owner);
        if (owner.kind === route.kind) return true;
        tell(`port ${port} of Service ${key} is routed by ${owner.key} (${owner.file}:${owner.line}): ${ONE_KIND}`);
        return false;
      });
      if (ports.length === 0) continue;
      const rules = resolved.map(({ rule, backends, mirrors }, index) => {
        const parts = {
          route: serviceKey(metadata.namespace, metadata.name),
          name: `${metadata.namespace}/${metadata.name}/${rule.name === "" ? index : rule.name}`,
          ports,
          clientNamespace,
          backends,
          mirrors,
          call: ruleCallPolicy(route, rule, parent, policies),
        };
        // A route's kind and its rules' kind go together, which the compiler cannot follow through `map`.
        return { ...parts, kind: route.kind, rule } as AttachedRule;
      });
      attached.set(key, [...(attached.get(key) ?? []), ...rules]);
    }
  }
  return attached;
}

const ONE_KIND = "a port has routes of one kind, and GRPCRoute goes before HTTPRoute";

/** GAMMA (GEP-1294, route types): of two kinds on one port of a Service, the more specific one holds alone. */
function mostSpecificKindFirst(routes: readonly RouteManifest[]): readonly RouteManifest[] {
  return [...routes.filter(({ kind }) => kind === "GRPCRoute"), ...routes.filter(({ kind }) => kind === "HTTPRoute")];
}

/** Rule's own timeouts, then policies on the rule, on the route, on the Service. */
function ruleCallPolicy(
  route: RouteManifest,
  rule: AttachedRule["rule"],
  parent: ParentRef,
  policies: PolicyIndex,
): CallPolicy {
  const { namespace, name } = route.value.metadata;
  const policy = callPolicy([
    ...(rule.name === "" ? [] : (policies.get(targetKey(route.kind, namespace, name, rule.name)) ?? [])),
    ...(policies.get(targetKey(route.kind, namespace, name)) ?? []),
    ...(policies.get(targetKey("Service", parent.namespace ?? namespace, parent.name)) ?? []),
  ]);
  const own = "timeouts" in rule ? rule.timeouts : null;
  return {
    ...policy,
    requestMs: own?.request ?? policy.requestMs,
    perTryMs: own?.backendRequest ?? policy.perTryMs,
  };
}

/** Ports of the parent that a route is for: the one that it names by number or name, else all. */
function parentPorts(parent: ParentRef, service: ServiceDefinition | undefined): readonly number[] {
  return (service?.ports ?? [])
    .filter(
      ({ port, name }) =>
        (parent.port === null || parent.port === port) && (parent.sectionName === null || parent.sectionName === name),
    )
    .map(({ port }) => port);
}

function parentProblem(parent: ParentRef, key: string, service: ServiceDefinition | undefined): string | null {
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

/** The cluster of a backend; Gateway API: what can't be resolved answers an error for its share of the requests. */
function resolveBackend(
  ref: BackendReference,
  { kind, value }: RouteManifest,
  services: ReadonlyMap<string, ServiceDefinition>,
): { readonly cluster: string | null; readonly problem: string | null } {
  const { namespace } = value.metadata;
  const answer = kind === "GRPCRoute" ? "UNAVAILABLE" : "500";
  const failed = (problem: string) => ({
    cluster: null,
    problem: `${problem}: its share of requests is answered ${answer}`,
  });
  if (ref.kind !== "Service" || (ref.group !== "" && ref.group !== "core")) {
    return failed(`backend ${ref.group === "" ? "" : `${ref.group}/`}${ref.kind} ${ref.name} is not a Service`);
  }
  if (ref.namespace !== null && ref.namespace !== namespace) {
    return failed(
      `backend ${ref.namespace}/${ref.name} is in another namespace, which needs a ReferenceGrant (not carried yet)`,
    );
  }
  const service = services.get(serviceKey(namespace, ref.name));
  if (!service) return failed(`backend Service ${namespace}/${ref.name} does not exist`);
  if (ref.port === null) return failed(`backend Service ${namespace}/${ref.name} needs a port`);
  const port = service.ports.find((candidate) => candidate.port === ref.port);
  if (!port) return failed(`backend Service ${namespace}/${ref.name} has no port ${ref.port}`);
  if (kind === "GRPCRoute" && port.protocol === "http1") {
    return failed(
      `port ${ref.port} of backend Service ${namespace}/${ref.name} is declared as HTTP/1.1, which cannot carry gRPC (give it appProtocol: grpc)`,
    );
  }
  return { cluster: clusterName(service, ref.port), problem: null };
}

/**
 * By creation time where the objects have one (of equals the first by `namespace/name`), else in the order of their
 * files.
 */
function olderFirst(routes: readonly RouteManifest[]): readonly RouteManifest[] {
  const born = ({ value: { metadata } }: RouteManifest): number =>
    metadata.creationTimestamp === null ? 0 : Date.parse(metadata.creationTimestamp);
  return [...routes].sort((a, b) => {
    const [first, second] = [born(a), born(b)];
    if (first === 0 || second === 0) return 0;
    return first - second || (nameOf(a) < nameOf(b) ? -1 : 1);
  });
}

function nameOf({ value: { metadata } }: RouteManifest): string {
  return `${metadata.namespace}/${metadata.name}`;
}
