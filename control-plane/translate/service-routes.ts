/** The routes of a service port: the rules that are attached to it, or its own default. */
import type { Fraction } from "../../model/matcher.ts";
import type { ForwardAction, RequestMirror, Route, RouteMatch, WeightedCluster } from "../../model/route.ts";
import type { GrpcMatchManifest } from "../manifest/grpc-route.ts";
import type { RouteMatchManifest } from "../manifest/http-route.ts";
import { type HttpProtocol, httpOf } from "../manifest/port-protocol.ts";
import type { RequestMirrorFilter } from "../manifest/route-filter.ts";
import type { AttachedRule, ServiceState } from "../mesh/state.ts";
import { type CallVariant, callVariants, grpcVariant, narrowed } from "./call-variants.ts";
import { MIRROR, NO_MUTATIONS } from "./envoy-defaults.ts";
import { compareGrpcPrecedence, grpcRouteMatch } from "./grpc-match.ts";
import { clusterName } from "./names.ts";
import { forward, route } from "./route.ts";
import { hasNoMutations, headerMutations, redirectAction, throughBoth, urlRewrite } from "./route-filters.ts";
import { ANY_REQUEST, comparePrecedence, routeMatch } from "./route-match.ts";

type HttpRule = Extract<AttachedRule, { readonly kind: "HTTPRoute" }>;
type MirrorFraction = NonNullable<RequestMirrorFilter["fraction"]>;
type GrpcRule = Extract<AttachedRule, { readonly kind: "GRPCRoute" }>;

/** Routes of a service port in the order in which they are tried. */
export function serviceRoutes(service: ServiceState, port: number, clientNamespace: string | null): readonly Route[] {
  const rules = rulesFor(service, port, clientNamespace);
  if (rules.length === 0) return unroutedCalls(service, port);
  const protocol = protocolOf(service, port);
  // A port has rules of one kind.
  return [
    ...rules
      .filter((rule) => rule.kind === "GRPCRoute")
      .flatMap((rule) => rule.rule.matches.map((match) => ({ rule, match })))
      .sort((a, b) => compareGrpcPrecedence(a.match, b.match))
      .flatMap(({ rule, match }) => grpcRuleRoutes(rule, match)),
    ...rules
      .filter((rule) => rule.kind === "HTTPRoute")
      .flatMap((rule) => rule.rule.matches.map((match) => ({ rule, match })))
      .sort((a, b) => comparePrecedence(a.match, b.match))
      .flatMap(({ rule, match }) => httpRuleRoutes(rule, match, port, protocol)),
  ];
}

/** Whether a service port has other routes than those of `unroutedCalls` for clients of a namespace. */
export function isRouted(service: ServiceState, port: number, clientNamespace: string | null): boolean {
  return rulesFor(service, port, clientNamespace).length > 0;
}

/** A consumer's own routes take the place of the producer's (Gateway API, mesh), port by port. */
function rulesFor(service: ServiceState, port: number, clientNamespace: string | null): readonly AttachedRule[] {
  const rules = service.routing.rules.filter(
    (rule) => rule.clientNamespace === clientNamespace && rule.ports.includes(port),
  );
  return rules.length === 0 && clientNamespace !== null ? rulesFor(service, port, null) : rules;
}

/** Routes to the service's own instances, as it has them without any rule. */
export function unroutedCalls(service: ServiceState, port: number): readonly Route[] {
  const { definition, routing } = service;
  return callVariants(routing.call, protocolOf(service, port), null).map((variant) =>
    route({
      name: "default",
      match: narrowed(ANY_REQUEST, variant),
      action: forward({ kind: "name", name: clusterName(definition, port) }, variant.treatment),
      source: definition.source,
    }),
  );
}

function protocolOf({ definition }: ServiceState, port: number): HttpProtocol {
  return httpOf(definition.ports.find((candidate) => candidate.port === port)?.protocol ?? "any") ?? "any";
}

function httpRuleRoutes(
  attached: HttpRule,
  match: RouteMatchManifest,
  port: number,
  protocol: HttpProtocol,
): readonly Route[] {
  const { rule, call } = attached;
  const redirect = rule.filters.find((filter) => filter.requestRedirect !== null)?.requestRedirect ?? null;
  if (redirect !== null) {
    const action = redirectAction(redirect, match.path.value, port);
    return [route({ ...common(attached), match: routeMatch(match, null), action })];
  }
  const rewrite = urlRewrite(rule.filters.find((f) => f.urlRewrite !== null)?.urlRewrite ?? null, match.path.value);
  return forwardingRoutes(attached, routeMatch(match, null), callVariants(call, protocol, match.method), {
    prefixRewrite: rewrite.prefixRewrite,
    regexRewrite: rewrite.regexRewrite,
    hostRewrite: rewrite.host === null ? { kind: "keep" } : { kind: "literal", value: rewrite.host },
  });
}

function grpcRuleRoutes(attached: GrpcRule, match: GrpcMatchManifest): readonly Route[] {
  return forwardingRoutes(attached, grpcRouteMatch(match), [grpcVariant(attached.call)], {});
}

/** Routes to a rule's backends; the share of requests that has none is answered an error. */
function forwardingRoutes(
  attached: AttachedRule,
  match: RouteMatch,
  variants: readonly CallVariant[],
  rewrites: Partial<Pick<ForwardAction, "prefixRewrite" | "regexRewrite" | "hostRewrite">>,
): readonly Route[] {
  const parts = common(attached);
  const lost = unresolvedShare(attached);
  const noBackend = (fraction: Fraction | null): Route =>
    route({
      ...parts,
      match: { ...match, fraction },
      action: { kind: "direct_response", ...noBackendAnswer(attached) },
    });
  if (lost === 1) return [noBackend(null)];
  const cluster = backendChoice(attached);
  const requestMirrors = mirrors(attached);
  const forwarding = variants.map((variant) =>
    route({
      ...parts,
      ...(changesAtBackends(attached) ? NO_MUTATIONS : {}),
      match: narrowed(match, variant),
      action: { ...forward(cluster, variant.treatment), ...rewrites, requestMirrors },
    }),
  );
  return lost === 0 ? forwarding : [noBackend(millionths(lost)), ...forwarding];
}

/** To a gRPC call, HTTP's 503 is the status UNAVAILABLE, which Gateway API asks for, and the body is its message. */
function noBackendAnswer({ kind, name }: AttachedRule): { readonly status: number; readonly body: string } {
  const sentence = `${name}: the backend of this rule does not exist`;
  return kind === "GRPCRoute" ? { status: 503, body: sentence } : { status: 500, body: `${sentence}\n` };
}

function common({ name, rule }: AttachedRule) {
  return { name, source: rule.source, ...headerMutations(rule.filters) };
}

/** Which share of a rule's requests has no backend to go to (Gateway API: it is answered 500); all where none is given. */
function unresolvedShare({ rule, backends }: AttachedRule): number {
  const sum = (wanted: (index: number) => boolean): number =>
    rule.backendRefs.reduce((total, { weight }, index) => total + (wanted(index) ? weight : 0), 0);
  const total = sum(() => true);
  return total === 0 ? 1 : sum((index) => backends[index] == null) / total;
}

/** Envoy knows three denominators: any other fraction is carried in the finest. */
function wireFraction({ numerator, denominator }: MirrorFraction): Fraction {
  if (denominator === 100 || denominator === 10_000 || denominator === 1_000_000) return { numerator, denominator };
  return millionths(numerator / denominator);
}

function millionths(share: number): Fraction {
  return { numerator: Math.round(share * 1_000_000), denominator: 1_000_000 };
}

/** Whether both a rule and some of its backends change headers: each backend has the rule's changes with its own, then. */
function changesAtBackends({ rule }: AttachedRule): boolean {
  return (
    !hasNoMutations(headerMutations(rule.filters)) &&
    rule.backendRefs.some(({ filters }) => !hasNoMutations(headerMutations(filters)))
  );
}

/** Where a rule sends requests: its backends that can be resolved. */
function backendChoice(attached: AttachedRule): ForwardAction["cluster"] {
  const { rule, backends } = attached;
  const outer = changesAtBackends(attached) ? headerMutations(rule.filters) : NO_MUTATIONS;
  const weighted = rule.backendRefs.flatMap((ref, index): WeightedCluster[] => {
    const name = backends[index];
    if (ref.weight === 0 || name == null) return [];
    const mutations = throughBoth(outer, headerMutations(ref.filters));
    return [{ ...mutations, name, weight: ref.weight, filterOverrides: {}, hostRewrite: null }];
  });
  const [only] = weighted;
  return weighted.length === 1 && only && hasNoMutations(only)
    ? { kind: "name", name: only.name }
    : { kind: "weighted", clusters: weighted, headerName: "" };
}

function mirrors({ rule, mirrors: clusters }: AttachedRule): readonly RequestMirror[] {
  const filters = rule.filters.flatMap((filter) => filter.requestMirror ?? []);
  return filters.flatMap(({ percent, fraction }, index): RequestMirror[] => {
    const cluster = clusters[index];
    if (cluster == null) return [];
    const share = percent === null ? fraction : { numerator: percent, denominator: 100 };
    return [{ ...MIRROR, cluster, fraction: share === null ? null : wireFraction(share) }];
  });
}
