/** Routes joined with the Services that they belong to and the backends that they name (Gateway API, GAMMA). */

import { type Manifest, type ManifestOf, positionOf } from "../manifest/parse.ts";
import type { BackendReference, ParentRef } from "../manifest/references.ts";
import { parentPorts, parentProblem, portProblem, resolveBackend } from "./backends.ts";
import { connectionRule, unclaimedNames } from "./connection-routes.ts";
import type { Permits } from "./grants.ts";
import { MatchClaims } from "./match-claims.ts";
import { callPolicy, type PolicyIndex, targetKey } from "./policies.ts";
import { olderFirst } from "./route-order.ts";
import {
  type AttachedRule,
  type CallPolicy,
  type ConnectionRule,
  type Failure,
  type FailureReason,
  type Finding,
  type ServiceDefinition,
  serviceKey,
} from "./state.ts";

/** From the most specific kind to the least: of two on one port of a Service, the former holds alone (GEP-1294). */
const KINDS = ["GRPCRoute", "HTTPRoute", "TLSRoute", "TCPRoute"] as const;

type HttpRouteManifest = ManifestOf<"HTTPRoute"> | ManifestOf<"GRPCRoute">;
export type ConnectionRouteManifest = ManifestOf<"TLSRoute"> | ManifestOf<"TCPRoute">;
export type RouteManifest = HttpRouteManifest | ConnectionRouteManifest;

/** Rules by the Service that they are attached to (`namespace/name`), of older routes first. */
export interface AttachedRules {
  readonly http: ReadonlyMap<string, readonly AttachedRule[]>;
  readonly connections: ReadonlyMap<string, readonly ConnectionRule[]>;
}

export function isRoute(object: Manifest): object is RouteManifest {
  return KINDS.some((kind) => kind === object.kind);
}

/** A route at one of its parents. */
interface Attachment {
  readonly key: string;
  /** Index of `parent` in the route. */
  readonly ref: number;
  readonly parent: ParentRef;
  readonly ports: readonly number[];
  readonly clientNamespace: string | null;
}

export function attachRoutes(
  routes: readonly RouteManifest[],
  services: ReadonlyMap<string, ServiceDefinition>,
  policies: PolicyIndex,
  permits: Permits,
  findings: Finding[],
): AttachedRules {
  const http = new Map<string, AttachedRule[]>();
  const connections = new Map<string, ConnectionRule[]>();
  const claims = new Map<string, RouteManifest>();
  const matches = new MatchClaims();
  const add = <T>(to: Map<string, T[]>, key: string, items: readonly T[]): void => {
    to.set(key, [...(to.get(key) ?? []), ...items]);
  };
  for (const kind of KINDS) {
    for (const route of olderFirst(routes.filter((candidate) => candidate.kind === kind))) {
      const told = new Set<string>();
      const tell: Tell = (message, source = positionOf(route), failure) => {
        const words = `${source} ${message} ${failure?.ref}`;
        // What is so at each parent is said once.
        if (!told.has(words)) findings.push({ key: route.key, source, message, ...(failure ? { failure } : {}) });
        told.add(words);
      };
      const resolveAt =
        (at: Attachment | null): Resolve =>
        (backend, source) => {
          const { cluster, problem } = resolveBackend(backend, route, at?.key ?? "", { services, permits });
          if (problem !== null) {
            const ref = problem.reason === "RefNotPermitted" && isOfParent(backend, route) ? (at?.ref ?? null) : null;
            tell(problem.message, source, { condition: "ResolvedRefs", reason: problem.reason, ref });
          }
          return cluster;
        };
      const attachments = attach(route, services, claims, tell);
      // A route that is for no calls is told of its backends, too.
      if (isConnectionRoute(route)) {
        if (attachments.length === 0) connectionRule(route, resolveAt(null), tell);
        for (const at of attachments) {
          const { key, ref, ports, clientNamespace } = at;
          const rule = connectionRule(route, resolveAt(at), tell);
          const attached = ports.flatMap((port) => {
            const serverNames = unclaimedNames(route, `${key}:${port}@${clientNamespace ?? ""}`, claims, tell);
            return serverNames === null ? [] : [{ ...rule, port, clientNamespace, serverNames }];
          });
          add(connections, key, attached);
          if (attached.length === 0)
            tell(`older routes have all its names at Service ${key}`, undefined, conflict(ref));
        }
      } else {
        if (attachments.length === 0) resolvedRules(route, resolveAt(null));
        for (const at of attachments) {
          add(http, at.key, attachedRules(route, resolvedRules(route, resolveAt(at)), at, policies));
          const { messages, all } = matches.take(route, at);
          for (const message of messages) tell(message, undefined, all ? conflict(at.ref) : undefined);
        }
      }
    }
  }
  return { http, connections };
}

/** An older object has all that this one would have at a parent. */
function conflict(ref: number): Failure {
  return { condition: "Accepted", reason: "Conflicted", ref };
}

export type Tell = (message: string, source?: string, failure?: Failure) => void;
/** Gives the cluster of a backend; null: it can't be resolved, which was told. */
export type Resolve = (backend: BackendReference, source: string) => string | null;

/** Whether a backend is one of the route's own parents, so that what is permitted differs from parent to parent. */
function isOfParent({ namespace, name }: BackendReference, { value: { metadata, spec } }: RouteManifest): boolean {
  const at = namespace ?? metadata.namespace;
  return spec.parentRefs.some((parent) => parent.name === name && (parent.namespace ?? metadata.namespace) === at);
}

/** The ports that a route gets, by parent; what it does not get is told. */
function attach(
  route: RouteManifest,
  services: ReadonlyMap<string, ServiceDefinition>,
  claims: Map<string, RouteManifest>,
  tell: Tell,
): readonly Attachment[] {
  const { metadata, spec } = route.value;
  return spec.parentRefs.flatMap((parent, ref): readonly Attachment[] => {
    const namespace = parent.namespace ?? metadata.namespace;
    const key = serviceKey(namespace, parent.name);
    const service = services.get(key);
    const problem = parentProblem(parent, key, service);
    if (problem !== null) {
      tell(problem, undefined, { condition: "Accepted", reason: "NoMatchingParent", ref });
      return [];
    }
    const clientNamespace = namespace === metadata.namespace ? null : metadata.namespace;
    const meant = parentPorts(parent, service);
    const fitting = meant.filter((port) => portProblem(route.kind, port) === null);
    const lost: { readonly message: string; readonly reason: FailureReason }[] = [];
    // A parent that is named as a whole means the ports that the route can be for.
    for (const port of fitting.length === 0 ? meant : []) {
      const message = `port ${port.port} of Service ${key} is ${portProblem(route.kind, port)}: this ${route.kind} has no effect there`;
      lost.push({ message, reason: "UnsupportedProtocol" });
    }
    const ports = fitting
      .map(({ port }) => port)
      .filter((port) => {
        const claim = `${key}:${port}@${clientNamespace ?? ""}`;
        const owner = claims.get(claim) ?? route;
        if (spec.rules.length > 0) claims.set(claim, owner);
        if (owner.kind === route.kind && (route.kind !== "TCPRoute" || owner === route)) return true;
        const why = owner.kind === route.kind ? ONE_TCP_ROUTE : ONE_KIND;
        const message = `port ${port} of Service ${key} is routed by ${owner.key} (${positionOf(owner)}): ${why}`;
        lost.push({ message, reason: "Conflicted" });
        return false;
      });
    for (const { message, reason } of lost) {
      if (ports.length > 0) tell(message);
      else tell(message, undefined, { condition: "Accepted", reason, ref });
    }
    return ports.length === 0 ? [] : [{ key, ref, parent, ports, clientNamespace }];
  });
}

const ONE_KIND = `a port has routes of one kind, the first of ${KINDS.join(", ")}`;
const ONE_TCP_ROUTE = "nothing tells the connections of two TCPRoutes apart";

function isConnectionRoute(route: RouteManifest): route is ConnectionRouteManifest {
  return route.kind === "TLSRoute" || route.kind === "TCPRoute";
}

interface ResolvedRule {
  readonly rule: AttachedRule["rule"];
  readonly backends: readonly (string | null)[];
  readonly mirrors: readonly (string | null)[];
}

function resolvedRules({ value }: HttpRouteManifest, resolve: Resolve): readonly ResolvedRule[] {
  return value.spec.rules.map((rule) => ({
    rule,
    backends: rule.backendRefs.map((ref) => resolve(ref, rule.source)),
    mirrors: rule.filters.flatMap(({ requestMirror }) =>
      requestMirror === null ? [] : [resolve(requestMirror.backendRef, rule.source)],
    ),
  }));
}

function attachedRules(
  route: HttpRouteManifest,
  rules: readonly ResolvedRule[],
  { parent, ports, clientNamespace }: Attachment,
  policies: PolicyIndex,
): readonly AttachedRule[] {
  const { metadata } = route.value;
  return rules.map(({ rule, backends, mirrors }, index) => {
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
}

/** Rule's own timeouts, then policies on the rule, on the route, on the Service. */
function ruleCallPolicy(
  route: HttpRouteManifest,
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
