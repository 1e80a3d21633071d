/** Arbitrary route tables of the model, valid as a whole: no domain twice, weights above zero. */
import fc from "fast-check";
import type { CorsPolicy } from "../../model/cors.ts";
import type { FilterOverride } from "../../model/http.ts";
import type {
  ForwardAction,
  HashPolicy,
  HeaderMutation,
  HeaderMutations,
  RedirectAction,
  RequestMirror,
  RetryPolicy,
  Route,
  RouteMatch,
  RouteTable,
  VirtualHost,
  WeightedCluster,
} from "../../model/route.ts";
import { fraction, headerMatch, queryMatch, regexRewrite, stringMatch } from "./arbitrary-matcher.ts";
import { faultPolicy, rbacPolicy } from "./arbitrary-rbac.ts";
import {
  andPerhaps,
  durationMs,
  few,
  headerName,
  name,
  nonEmptyText,
  orNull,
  plainText,
  port,
  positiveMs,
  regex,
  template,
  uint32,
} from "./arbitrary-text.ts";

export const headerMutation: fc.Arbitrary<HeaderMutation> = fc.record({
  name: headerName,
  value: template,
  action: fc.constantFrom(
    "append_if_exists_or_add" as const,
    "add_if_absent" as const,
    "overwrite_if_exists_or_add" as const,
    "overwrite_if_exists" as const,
  ),
  keepEmptyValue: fc.boolean(),
});

const mutations: { [K in keyof HeaderMutations]: fc.Arbitrary<HeaderMutations[K]> } = {
  requestHeadersToAdd: few(headerMutation),
  requestHeadersToRemove: few(headerName),
  responseHeadersToAdd: few(headerMutation),
  responseHeadersToRemove: few(headerName),
};

const corsPolicy: fc.Arbitrary<CorsPolicy> = fc.record({
  allowOrigins: few(stringMatch),
  allowMethods: plainText,
  allowHeaders: plainText,
  exposeHeaders: plainText,
  maxAge: plainText,
  allowCredentials: orNull(fc.boolean()),
  allowPrivateNetworkAccess: orNull(fc.boolean()),
  forwardNotMatchingPreflights: orNull(fc.boolean()),
  enabled: orNull(fraction),
});

const filterOverrides: fc.Arbitrary<Readonly<Record<string, FilterOverride>>> = fc.dictionary(
  name,
  fc.oneof(
    fc.record({ kind: fc.constant("rbac" as const), policy: orNull(rbacPolicy(true)) }),
    fc.record({ kind: fc.constant("fault" as const), policy: faultPolicy }),
    fc.record({ kind: fc.constant("cors" as const), policy: corsPolicy }),
    fc.constant({ kind: "disabled" as const }),
  ),
  { maxKeys: 2, noNullPrototype: true },
);

const requestMirror: fc.Arbitrary<RequestMirror> = fc.record({
  cluster: name,
  fraction: orNull(fraction),
  traceSampled: orNull(fc.boolean()),
  disableShadowHostSuffix: fc.boolean(),
});

export const retryPolicy: fc.Arbitrary<RetryPolicy> = fc.record({
  on: fc.uniqueArray(
    fc.constantFrom(
      "5xx" as const,
      "gateway-error" as const,
      "reset-before-request" as const,
      "connect-failure" as const,
      "retriable-status-codes" as const,
      "unavailable" as const,
    ),
    { maxLength: 4 },
  ),
  numRetries: uint32,
  perTryTimeoutMs: durationMs,
  perTryIdleTimeoutMs: durationMs,
  retriableStatusCodes: few(fc.integer({ min: 100, max: 599 })),
  retriableHeaders: few(headerMatch),
  retriableRequestHeaders: few(headerMatch),
  backoff: fc.record({ baseMs: positiveMs, maxMs: durationMs }).map(({ baseMs, maxMs }) => ({
    baseMs,
    maxMs: Math.max(baseMs, maxMs),
  })),
  avoidPreviousHosts: fc.boolean(),
  hostSelectionMaxAttempts: fc.integer({ min: 1, max: 100 }),
  rateLimitedBackoff: orNull(
    fc.record({
      headers: few(
        fc.record({ name: headerName, format: fc.constantFrom("seconds" as const, "unix_timestamp" as const) }),
        1,
      ),
      maxMs: positiveMs,
    }),
  ),
});

const anyMatch = fc.record({
  path: fc.oneof(
    fc.record({ kind: fc.constantFrom("prefix" as const, "exact" as const), value: plainText }),
    fc.record({
      kind: fc.constant("path_separated_prefix" as const),
      value: fc.constantFrom("/a", "/a/b", "/api/v1"),
    }),
    fc.record({ kind: fc.constant("regex" as const), value: regex }),
  ),
  caseSensitive: fc.boolean(),
  fraction: orNull(fraction),
  headers: few(headerMatch),
  queryParameters: few(queryMatch),
  grpcOnly: fc.boolean(),
});

const routeMatch: fc.Arbitrary<RouteMatch> = andPerhaps(anyMatch, {
  tls: fc.record({ presented: orNull(fc.boolean()), validated: orNull(fc.boolean()) }),
});

const redirect: fc.Arbitrary<RedirectAction> = fc.record({
  kind: fc.constant("redirect" as const),
  status: fc.constantFrom(301 as const, 302 as const, 303 as const, 307 as const, 308 as const),
  scheme: fc.oneof(
    fc.constantFrom({ kind: "keep" as const }, { kind: "https" as const }),
    fc.record({ kind: fc.constant("set" as const), value: nonEmptyText }),
  ),
  host: plainText,
  port: fc.oneof(fc.constant(0), port),
  path: fc.oneof(
    fc.constant({ kind: "keep" as const }),
    fc.record({ kind: fc.constantFrom("set" as const, "prefix" as const), value: nonEmptyText }),
    fc.record({ kind: fc.constant("regex" as const), rewrite: regexRewrite }),
  ),
  stripQuery: fc.boolean(),
});

const weightedCluster: fc.Arbitrary<WeightedCluster> = fc.record({
  name,
  weight: fc.integer({ min: 1, max: 1000 }),
  filterOverrides,
  hostRewrite: orNull(nonEmptyText),
  ...mutations,
});

const hashPolicy: fc.Arbitrary<HashPolicy> = fc.oneof(
  fc.record({ kind: fc.constant("header" as const), name: headerName, terminal: fc.boolean() }),
  fc.record({
    kind: fc.constant("cookie" as const),
    name: nonEmptyText,
    ttlMs: orNull(durationMs),
    path: plainText,
    terminal: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("source_ip" as const), terminal: fc.boolean() }),
  fc.record({ kind: fc.constant("query" as const), name: nonEmptyText, terminal: fc.boolean() }),
);

const upgrades = fc.uniqueArray(
  fc.record({ type: fc.constantFrom("websocket", "h2c", "tls"), enabled: fc.boolean() }),
  { selector: (upgrade) => upgrade.type, maxLength: 2 },
);

const rewrites = fc.oneof(
  fc.constant({ prefixRewrite: null, regexRewrite: null }),
  fc.record({ prefixRewrite: nonEmptyText, regexRewrite: fc.constant(null) }),
  fc.record({ prefixRewrite: fc.constant(null), regexRewrite }),
);

const forward: fc.Arbitrary<ForwardAction> = fc
  .tuple(
    andPerhaps(
      fc.record({
        kind: fc.constant("forward" as const),
        cluster: fc.oneof(
          fc.record({ kind: fc.constant("name" as const), name }),
          fc.record({ kind: fc.constant("header" as const), header: headerName }),
          fc.record({
            kind: fc.constant("weighted" as const),
            clusters: few(weightedCluster, 1),
            headerName: fc.oneof(fc.constant(""), headerName),
          }),
        ),
        clusterNotFoundStatus: fc.constantFrom(404 as const, 503 as const, 500 as const),
        hostRewrite: fc.oneof(
          fc.constantFrom({ kind: "keep" as const }, { kind: "auto" as const }),
          fc.record({ kind: fc.constant("literal" as const), value: nonEmptyText }),
          fc.record({ kind: fc.constant("header" as const), header: headerName }),
          fc.record({ kind: fc.constant("path_regex" as const), rewrite: regexRewrite }),
        ),
        appendXForwardedHost: fc.boolean(),
        timeoutMs: orNull(durationMs),
        idleTimeoutMs: orNull(durationMs),
        maxStreamDurationMs: orNull(durationMs),
        maxGrpcTimeoutMs: orNull(durationMs),
        retryPolicy: orNull(retryPolicy),
        requestMirrors: few(requestMirror),
        hashPolicies: few(hashPolicy),
        priority: fc.constantFrom("default" as const, "high" as const),
        upgrades,
      }),
      {
        grpcTimeoutOffsetMs: positiveMs,
        grpcStreamTimeout: fc.record({ maxMs: durationMs, offsetMs: durationMs }),
      },
    ),
    rewrites,
  )
  .map(([action, rewrite]) => ({ ...action, ...rewrite }));

const anyRoute = fc.record({
  name: plainText,
  match: routeMatch,
  action: fc.oneof(
    forward,
    redirect,
    fc.record({
      kind: fc.constant("direct_response" as const),
      status: fc.integer({ min: 200, max: 599 }),
      body: fc.string({ maxLength: 20 }),
    }),
    fc.constant({ kind: "non_forwarding" as const }),
  ),
  filterOverrides,
  tracing: orNull(
    fc.record({
      clientSampling: orNull(fraction),
      randomSampling: orNull(fraction),
      overallSampling: orNull(fraction),
    }),
  ),
  operation: plainText,
  source: plainText,
  ...mutations,
});

const route: fc.Arbitrary<Route> = andPerhaps(anyRoute, { requestBufferLimitBytes: uint32 });

const anyHost = fc.record({
  name,
  domains: fc.constant<string[]>([]),
  routes: few(route),
  requireTls: fc.constantFrom("none" as const, "external_only" as const, "all" as const),
  retryPolicy: orNull(retryPolicy),
  includeRequestAttemptCount: fc.boolean(),
  includeAttemptCountInResponse: fc.boolean(),
  requestMirrors: few(requestMirror),
  filterOverrides,
  ...mutations,
});

const virtualHost: fc.Arbitrary<VirtualHost> = andPerhaps(anyHost, { requestBufferLimitBytes: uint32 });

const DOMAINS = ["*", "a", "a:80", "*.a", "*-a.b", "a.*", "b", "10.0.0.1", "[::1]:80", "shop.ns.svc"];

export const routeTable: fc.Arbitrary<RouteTable> = fc
  .tuple(
    fc.record(
      {
        name: plainText,
        virtualHosts: few(virtualHost),
        mostSpecificHeaderMutationsWins: fc.boolean(),
        ignorePortInHostMatching: fc.boolean(),
        maxDirectResponseBodySizeBytes: fc.integer({ min: 100, max: 0xffff_ffff }),
        internalOnlyHeaders: few(headerName),
        filterOverrides,
        requestMirrors: few(requestMirror),
        validateClusters: fc.boolean(),
        ...mutations,
      },
      {
        requiredKeys: [
          "name",
          "virtualHosts",
          "mostSpecificHeaderMutationsWins",
          "ignorePortInHostMatching",
          "maxDirectResponseBodySizeBytes",
          "internalOnlyHeaders",
          "filterOverrides",
          "requestMirrors",
          ...(Object.keys(mutations) as (keyof HeaderMutations)[]),
        ],
      },
    ),
    fc.shuffledSubarray(DOMAINS, { minLength: 4, maxLength: DOMAINS.length }),
  )
  .map(([table, domains]) => ({
    ...table,
    virtualHosts: table.virtualHosts.map((host, index) => ({
      ...host,
      domains: domains.filter((_, at) => at % table.virtualHosts.length === index),
    })),
  }));
