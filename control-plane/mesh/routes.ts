/** HTTPRoutes joined with the Services that they belong to and the backends that they name (Gateway API, GAMMA). */

import type { ManifestOf } from "../manifest/parse.ts";
import type { BackendReference, ParentRef } from "../manifest/references.ts";
import { clusterName } from "../translate/names.ts";
import { callPolicy, type PolicyIndex, targetKey } from "./policies.ts";
import { type AttachedRule, type CallPolicy, type Finding, type ServiceDefinition, serviceKey } from "./state.ts";

type RouteManifest = ManifestOf<"HTTPRoute">;

/** Rules by the Service that they are attached to (`namespace/name`). */
export function attachRoutes(
  routes: readonly RouteManifest[],
  services: ReadonlyMap<string, ServiceDefinition>,
  policies: PolicyIndex,
  findings: Finding[],
): ReadonlyMap<string, readonly AttachedRule[]> {
  const attached = new Map<string, AttachedRule[]>();
  for (const route of olderFirst(routes)) {
    const { metadata, spec } = route.value;
    const tell = (message: string, source = `${route.file}:${route.line}`): void => {
      findings.push({ key: route.key, source, message });
    };
    const resolve = (ref: BackendReference, source: string): string | null => {
      const found = resolveBackend(ref, metadata.namespace, services);
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
      const key = serviceKey(parent.namespace ?? metadata.namespace, parent.name);
      const problem = parentProblem(parent, key, services.get(key));
      if (problem !== null) {
        tell(problem);
        continue;
      }
      const rules = resolved.map(
        ({ rule, backends, mirrors }, index): AttachedRule => ({
          route: serviceKey(metadata.namespace, metadata.name),
          name: `${metadata.namespace}/${metadata.name}/${rule.name === "" ? index : rule.name}`,
          port: parent.port,
          clientNamespace: (parent.namespace ?? metadata.namespace) === metadata.namespace ? null : metadata.namespace,
          rule,
          backends,
          mirrors,
          call: ruleCallPolicy(route, rule, parent, policies),
        }),
      );
      attached.set(key, [...(attached.get(key) ?? []), ...rules]);
    }
  }
  return attached;
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
    ...(rule.name === "" ? [] : (policies.get(targetKey("HTTPRoute", namespace, name, rule.name)) ?? [])),
    ...(policies.get(targetKey("HTTPRoute", namespace, name)) ?? []),
    ...(policies.get(targetKey("Service", parent.namespace ?? namespace, parent.name)) ?? []),
  ]);
  return {
    ...policy,
    requestMs: rule.timeouts?.request ?? policy.requestMs,
    perTryMs: rule.timeouts?.backendRequest ?? policy.perTryMs,
  };
}

function parentProblem(parent: ParentRef, key: string, service: ServiceDefinition | undefined): string | null {
  if (!service) return `parent Service ${key} does not exist`;
  if (parent.port !== null && !service.ports.some(({ port }) => port === parent.port)) {
    return `parent Service ${key} has no port ${parent.port}`;
  }
  if (parent.sectionName !== null && !service.ports.some(({ name }) => name === parent.sectionName)) {
    return `parent Service ${key} has no port named "${parent.sectionName}"`;
  }
  return null;
}

/** The cluster of a backend; Gateway API: what can't be resolved answers 500 for its share of the requests. */
function resolveBackend(
  ref: BackendReference,
  namespace: string,
  services: ReadonlyMap<string, ServiceDefinition>,
): { readonly cluster: string | null; readonly problem: string | null } {
  const failed = (problem: string) => ({ cluster: null, problem: `${problem}: its share of requests is answered 500` });
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
  if (!service.ports.some(({ port }) => port === ref.port)) {
    return failed(`backend Service ${namespace}/${ref.name} has no port ${ref.port}`);
  }
  return { cluster: clusterName(service, ref.port), problem: null };
}

/** By creation time where the objects have one, else in the order of their files. */
function olderFirst(routes: readonly RouteManifest[]): readonly RouteManifest[] {
  const born = (route: RouteManifest): number =>
    route.value.metadata.creationTimestamp === null ? 0 : Date.parse(route.value.metadata.creationTimestamp);
  return [...routes].sort((a, b) => {
    const [first, second] = [born(a), born(b)];
    return first === 0 || second === 0 ? 0 : first - second;
  });
}
