import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RouteConfigurationSchema } from "../generated/envoy/config/route/v3/route_pb.js";
import type { ForwardAction, RedirectAction, Route, RouteTable } from "../model/route.ts";
import { decodeRouteTable, routeCodec } from "./route.ts";
import { routeTable } from "./testing/arbitrary-route.ts";
import { any, host, type Json, route, table } from "./testing/bootstrap-json.ts";
import { accepted, decodeJson, refused } from "./testing/decode-json.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";

const tableOf = (fields: Json): RouteTable =>
  accepted(decodeJson(RouteConfigurationSchema, table(fields), decodeRouteTable)).value;

function routeOf(fields: Json): Route {
  const decoded = tableOf({ virtual_hosts: [host({ routes: [route(fields)] })] });
  const only = decoded.virtualHosts[0]?.routes[0];
  assert.ok(only);
  return only;
}

function forward(fields: Json): ForwardAction {
  const { action } = routeOf({ route: { cluster: "c", ...fields } });
  assert.ok(action.kind === "forward");
  return action;
}

function redirect(fields: Json): RedirectAction {
  const { action } = routeOf({ route: undefined, redirect: fields });
  assert.ok(action.kind === "redirect");
  return action;
}

const NO_MUTATIONS = {
  requestHeadersToAdd: [],
  requestHeadersToRemove: [],
  responseHeadersToAdd: [],
  responseHeadersToRemove: [],
};

test("a route table survives the way to bytes and back", () => {
  fc.assert(
    fc.property(routeTable, (value) => assertRoundTrip(routeCodec, value)),
    { numRuns: 100 },
  );
});

test("what is not given has Envoy's defaults", () => {
  assert.deepEqual(tableOf({}), {
    name: "r",
    virtualHosts: [
      {
        name: "v",
        domains: ["*"],
        routes: [
          {
            name: "",
            match: {
              path: { kind: "prefix", value: "/" },
              caseSensitive: true,
              fraction: null,
              headers: [],
              queryParameters: [],
              grpcOnly: false,
            },
            action: {
              kind: "forward",
              cluster: { kind: "name", name: "c" },
              clusterNotFoundStatus: 503,
              prefixRewrite: null,
              regexRewrite: null,
              hostRewrite: { kind: "keep" },
              appendXForwardedHost: false,
              timeoutMs: null,
              idleTimeoutMs: null,
              maxStreamDurationMs: null,
              maxGrpcTimeoutMs: null,
              retryPolicy: null,
              requestMirrors: [],
              hashPolicies: [],
              priority: "default",
              upgrades: [],
            },
            filterOverrides: {},
            tracing: null,
            operation: "",
            source: "",
            ...NO_MUTATIONS,
          },
        ],
        requireTls: "none",
        retryPolicy: null,
        includeRequestAttemptCount: false,
        includeAttemptCountInResponse: false,
        requestMirrors: [],
        filterOverrides: {},
        ...NO_MUTATIONS,
      },
    ],
    mostSpecificHeaderMutationsWins: false,
    ignorePortInHostMatching: false,
    maxDirectResponseBodySizeBytes: 4096,
    internalOnlyHeaders: [],
    filterOverrides: {},
    requestMirrors: [],
    ...NO_MUTATIONS,
  });
});

test("a retry policy without settings retries once, 25 ms to 250 ms later", () => {
  assert.deepEqual(forward({ retry_policy: {} }).retryPolicy, {
    on: [],
    numRetries: 1,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    backoff: { baseMs: 25, maxMs: 250 },
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
    rateLimitedBackoff: null,
  });
  const backoff = (fields: Json) => forward({ retry_policy: { retry_back_off: fields } }).retryPolicy?.backoff;
  assert.deepEqual(backoff({ base_interval: "0.1s" }), { baseMs: 100, maxMs: 1000 });
  assert.deepEqual(backoff({ base_interval: "0.0001s", max_interval: "0.0005s" }), { baseMs: 1, maxMs: 1 });
  const limited = { rate_limited_retry_back_off: { reset_headers: [{ name: "X-Reset", format: "UNIX_TIMESTAMP" }] } };
  assert.deepEqual(forward({ retry_policy: limited }).retryPolicy?.rateLimitedBackoff, {
    headers: [{ name: "x-reset", format: "unix_timestamp" }],
    maxMs: 300_000,
  });
});

test("a retry condition that is none is left out, aloud", () => {
  const json = table({
    virtual_hosts: [host({ retry_policy: { retry_on: "5xx, foo,5xx,reset-before-request" } })],
  });
  const { value, notes } = accepted(decodeJson(RouteConfigurationSchema, json, decodeRouteTable));
  assert.deepEqual(value.virtualHosts[0]?.retryPolicy?.on, ["5xx", "reset-before-request"]);
  assert.deepEqual(notes, ['virtual_hosts[0].retry_policy.retry_on: "foo" is no retry condition and never holds']);
});

test("limits for grpc-timeout: of the route's timeout, and of the stream's duration", () => {
  const old = forward({ max_grpc_timeout: "2s", grpc_timeout_offset: "0.1s" });
  assert.equal(old.maxGrpcTimeoutMs, 2000);
  assert.equal(old.grpcTimeoutOffsetMs, 100);
  assert.equal(old.grpcStreamTimeout, undefined);
  const both = {
    max_grpc_timeout: "2s",
    max_stream_duration: { grpc_timeout_header_max: "0s", max_stream_duration: "3s" },
  };
  assert.equal(forward(both).maxGrpcTimeoutMs, 2000);
  assert.deepEqual(forward(both).grpcStreamTimeout, { maxMs: 0, offsetMs: 0 });
  assert.equal(forward(both).maxStreamDurationMs, 3000);
});

test("rewrites to nothing are none", () => {
  assert.deepEqual(forward({ prefix_rewrite: "", host_rewrite_literal: "" }).prefixRewrite, null);
  assert.deepEqual(forward({ host_rewrite_literal: "" }).hostRewrite, { kind: "keep" });
  assert.deepEqual(forward({ host_rewrite_header: "" }).hostRewrite, { kind: "keep" });
  assert.deepEqual(forward({ auto_host_rewrite: false }).hostRewrite, { kind: "keep" });
  assert.deepEqual(forward({ auto_host_rewrite: true }).hostRewrite, { kind: "auto" });
  assert.deepEqual(redirect({ path_redirect: "", https_redirect: false }), {
    kind: "redirect",
    status: 301,
    scheme: { kind: "keep" },
    host: "",
    port: 0,
    path: { kind: "keep" },
    stripQuery: false,
  });
});

test("redirects have Envoy's codes", () => {
  const status = (code: string): number => redirect({ response_code: code }).status;
  assert.deepEqual(
    ["MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"].map(status),
    [301, 302, 303, 307, 308],
  );
});

test("headers are appended or overwritten, by the newer word or the older", () => {
  const action = (option: Json) =>
    routeOf({ request_headers_to_add: [{ header: { key: "X-A", value: "b" }, ...option }] }).requestHeadersToAdd[0];
  assert.deepEqual(action({}), {
    name: "x-a",
    value: "b",
    action: "append_if_exists_or_add",
    keepEmptyValue: false,
  });
  assert.equal(action({ append: true })?.action, "append_if_exists_or_add");
  assert.equal(action({ append: false })?.action, "overwrite_if_exists_or_add");
  assert.equal(action({ append_action: "ADD_IF_ABSENT" })?.action, "add_if_absent");
  assert.equal(action({ append_action: "OVERWRITE_IF_EXISTS" })?.action, "overwrite_if_exists");
});

test("domains are lower case", () => {
  assert.deepEqual(tableOf({ virtual_hosts: [host({ domains: ["Shop.NS", "*.A"] })] }).virtualHosts[0]?.domains, [
    "shop.ns",
    "*.a",
  ]);
});

test("a route says where it comes from", () => {
  const metadata = { filter_metadata: { outrigger: { source: "shop.yaml:12" }, istio: { config: "x" } } };
  assert.equal(routeOf({ metadata }).source, "shop.yaml:12");
});

test("a direct response's body is read from its file", () => {
  const json = table({
    virtual_hosts: [
      host({ routes: [route({ route: undefined, direct_response: { status: 200, body: { filename: "/hello" } } })] }),
    ],
  });
  const options = { readFile: () => new TextEncoder().encode("hello"), environment: {} };
  const { value } = accepted(decodeJson(RouteConfigurationSchema, json, decodeRouteTable, options));
  assert.deepEqual(value.virtualHosts[0]?.routes[0]?.action, { kind: "direct_response", status: 200, body: "hello" });
});

test("overrides are found by the filter's name", () => {
  const disabled = any("config.route.v3.FilterConfig", { disabled: true });
  const off = any("extensions.filters.http.rbac.v3.RBACPerRoute");
  assert.deepEqual(routeOf({ typed_per_filter_config: { b: disabled, a: off } }).filterOverrides, {
    a: { kind: "rbac", policy: null },
    b: { kind: "disabled" },
  });
});

test("all problems are found, each with its path", () => {
  const json = table({
    virtual_hosts: [
      host({ name: "", domains: ["a", "a"] }),
      host({ domains: ["b"], routes: [route({ match: {} }), route({ route: { cluster: "" } })] }),
    ],
    request_headers_to_remove: ["host"],
  });
  const lines = refused(decodeJson(RouteConfigurationSchema, json, decodeRouteTable));
  assert.deepEqual(
    lines.map((line) => line.split(": ")[0]),
    [
      "virtual_hosts[0].name",
      "virtual_hosts[1].routes[0].match",
      "virtual_hosts[1].routes[1].route.cluster",
      "virtual_hosts[0].domains[1]",
      "request_headers_to_remove[0]",
    ],
  );
});
