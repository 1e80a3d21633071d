/** The routes of a service port, as RDS gives them to callers. */
import type { Fraction } from "../../model/matcher.ts";
import type {
  ForwardAction,
  HeaderMutations,
  RequestMirror,
  RetryPolicy,
  Route,
  RouteTable,
  VirtualHost,
  WeightedCluster,
} from "../../model/route.ts";
import type { RouteMatchManifest } from "../manifest/http-route.ts";
import type { AttachedRule, CallPolicy, ServiceState } from "../mesh/state.ts";
import { MIRROR, NO_MUTATIONS } from "./envoy-defaults.ts";
import { authority, clusterName, routeTableName } from "./names.ts";
import { retryVariants } from "./retry.ts";
import { headerMutations, redirectAction, urlRewrite } from "./route-filters.ts";
import { ANY_REQUEST, comparePrecedence, routeMatch } from "./route-match.ts";

/** Callers that use the listener's own address (a loopback one) as host. */
const BY_ADDRESS = "127.*";

/** The table of a service port for clients of `clientNamespace`; null: for those whose namespace has no routes of its own. */
export function serviceRouteTable(service: ServiceState, port: number, clientNamespace: string | null): RouteTable {
  const { definition } = service;
  const routes = serviceRoutes(service, port, clientNamespace);
  const name = routeTableName(definition, port, clientNamespace);
  const named = authority(definition, port);
  return routeTable(name, [
    virtualHost(
      `${name}/by-address`,
      [BY_ADDRESS],
      routes.map((route) => withAuthority(route, named)),
    ),
    virtualHost(name, ["*"], routes),
  ]);
}

export function routeTable(name: string, virtualHosts: readonly VirtualHost[]): RouteTable {
  return {
    ...NO_MUTATIONS,
    name,
    virtualHosts,
    mostSpecificHeaderMutationsWins: false,
    ignorePortInHostMatching: false,
    maxDirectResponseBodySizeBytes: 4096,
    internalOnlyHeaders: [],
    filterOverrides: {},
    requestMirrors: [],
  };
}

export function virtualHost(name: string, domains: readonly string[], routes: readonly Route[]): VirtualHost {
  return {
    ...NO_MUTATIONS,
    name,
    domains,
    routes,
    requireTls: "none",
    retryPolicy: null,
    includeRequestAttemptCount: false,
    includeAttemptCountInResponse: false,
    requestMirrors: [],
    filterOverrides: {},
  };
}

/** Namespaces whose clients have routes of their own for a service (GAMMA's consumer routes), sorted. */
export function consumerNamespaces(service: ServiceState): readonly string[] {
  return [...new Set(service.routing.rules.flatMap(({ clientNamespace }) => clientNamespace ?? []))].sort();
}

/** The table's key for a client: its own namespace where that has routes for the service, else null. */
export function routeScope(service: ServiceState, clientNamespace: string): string | null {
  return service.routing.rules.some((rule) => rule.clientNamespace === clientNamespace) ? clientNamespace : null;
}

/** Routes of a service port in the order in which they are tried. */
export function serviceRoutes(service: ServiceState, port: number, clientNamespace: string | null): readonly Route[] {
  const { definition, routing } = service;
  // A consumer's own routes take the place of the producer's (Gateway API, mesh).
  const attached = routing.rules.filter((rule) => rule.clientNamespace === clientNamespace);
  const rules = attached.filter((rule) => rule.port === null || rule.port === port);
  if (rules.length === 0) {
    return retryVariants(routing.call, null).map(({ only, retry }) =>
      route({
        name: "default",
        match: only === null ? ANY_REQUEST : { ...ANY_REQUEST, headers: [only] },
        action: forward({ kind: "name", name: clusterName(definition, port) }, routing.call, retry),
        source: definition.source,
      }),
    );
  }
  return rules
    .flatMap((attachedRule) => attachedRule.rule.matches.map((match) => ({ attachedRule, match })))
    .sort((a, b) => comparePrecedence(a.match, b.match))
    .flatMap(({ attachedRule, match }) => ruleRoutes(attachedRule, match));
}

function ruleRoutes(attached: AttachedRule, match: RouteMatchManifest): readonly Route[] {
  const { rule, call } = attached;
  const redirect = rule.filters.find((filter) => filter.requestRedirect !== null)?.requestRedirect ?? null;
  const common = { name: attached.name, source: rule.source, ...headerMutations(rule.filters) };
  if (redirect !== null) {
    return [route({ ...common, match: routeMatch(match, null), action: redirectAction(redirect, match.path.value) })];
  }
  const lost = unresolvedShare(attached);
  const noBackend = (fraction: Fraction | null): Route =>
    route({
      ...common,
      match: { ...routeMatch(match, null), fraction },
      action: {
        kind: "direct_response",
        status: 500,
        body: `${attached.name}: the backend of this rule does not exist\n`,
      },
    });
  if (lost === 1) return [noBackend(null)];
  const cluster = backendChoice(attached);
  const rewrite = urlRewrite(rule.filters.find((f) => f.urlRewrite !== null)?.urlRewrite ?? null, match.path.value);
  const forwarding = retryVariants(call, match.method).map(({ only, retry }) =>
    route({
      ...common,
      match: routeMatch(match, only),
      action: {
        ...forward(cluster, call, retry),
        prefixRewrite: rewrite.prefixRewrite,
        regexRewrite: rewrite.regexRewrite,
        hostRewrite: rewrite.host === null ? { kind: "keep" } : { kind: "literal", value: rewrite.host },
        requestMirrors: mirrors(attached),
      },
    }),
  );
  return lost === 0 ? forwarding : [noBackend(millionths(lost)), ...forwarding];
}

/** Which share of a rule's requests has no backend to go to (Gateway API: it is answered 500); all where none is given. */
function unresolvedShare({ rule, backends }: AttachedRule): number {
  const sum = (wanted: (index: number) => boolean): number =>
    rule.backendRefs.reduce((total, { weight }, index) => total + (wanted(index) ? weight : 0), 0);
  const total = sum(() => true);
  return total === 0 ? 1 : sum((index) => backends[index] == null) / total;
}

function millionths(share: number): Fraction {
  return { numerator: Math.round(share * 1_000_000), denominator: 1_000_000 };
}

/** Where a rule sends requests: its backends that can be resolved. */
function backendChoice({ rule, backends }: AttachedRule): ForwardAction["cluster"] {
  const weighted = rule.backendRefs.flatMap((ref, index): WeightedCluster[] => {
    const name = backends[index];
    if (ref.weight === 0 || name == null) return [];
    return [{ ...headerMutations(ref.filters), name, weight: ref.weight, filterOverrides: {}, hostRewrite: null }];
  });
  const [only] = weighted;
  return weighted.length === 1 && only && hasNoMutations(only)
    ? { kind: "name", name: only.name }
    : { kind: "weighted", clusters: weighted, headerName: "" };
}

function hasNoMutations(mutations: HeaderMutations): boolean {
  return (Object.keys(NO_MUTATIONS) as (keyof HeaderMutations)[]).every((part) => mutations[part].length === 0);
}

function mirrors({ rule, mirrors: clusters }: AttachedRule): readonly RequestMirror[] {
  const filters = rule.filters.flatMap((filter) => filter.requestMirror ?? []);
  return filters.flatMap(({ percent, fraction }, index): RequestMirror[] => {
    const cluster = clusters[index];
    if (cluster == null) return [];
    return [{ ...MIRROR, cluster, fraction: percent === null ? fraction : { numerator: percent, denominator: 100 } }];
  });
}

/** A forwarding action with a call policy's timeouts. */
export function forward(cluster: ForwardAction["cluster"], call: CallPolicy, retry: RetryPolicy | null): ForwardAction {
  return {
    kind: "forward",
    cluster,
    clusterNotFoundStatus: 503,
    prefixRewrite: null,
    regexRewrite: null,
    hostRewrite: { kind: "keep" },
    appendXForwardedHost: false,
    timeoutMs: call.requestMs,
    idleTimeoutMs: call.idleMs,
    maxStreamDurationMs: null,
    maxGrpcTimeoutMs: null,
    retryPolicy: retry,
    requestMirrors: [],
    hashPolicies: [],
    priority: "default",
    upgrades: [],
  };
}

/** A route with nothing but what is given. */
export function route(
  parts: Pick<Route, "name" | "match" | "action" | "source"> & Partial<typeof NO_MUTATIONS>,
): Route {
  return { ...NO_MUTATIONS, filterOverrides: {}, tracing: null, operation: "", ...parts };
}

function withAuthority(given: Route, value: string): Route {
  if (given.action.kind !== "forward" || given.action.hostRewrite.kind !== "keep") return given;
  return { ...given, action: { ...given.action, hostRewrite: { kind: "literal", value } } };
}
