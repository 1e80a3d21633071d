import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderMap } from "../../core/header-map.ts";
import type { ForwardAction, RetryPolicy } from "../../model/route.ts";
import { formatGrpcTimeout, parseGrpcTimeout } from "./grpc-timeout.ts";
import { compileTimeouts, RequestTimeouts, streamDuration, type TimeoutOptions, tellDeadline } from "./timeouts.ts";

const ACTION: ForwardAction = {
  kind: "forward",
  cluster: { kind: "name", name: "orders" },
  clusterNotFoundStatus: 503,
  prefixRewrite: null,
  regexRewrite: null,
  hostRewrite: { kind: "keep" },
  appendXForwardedHost: false,
  timeoutMs: 2000,
  idleTimeoutMs: null,
  maxStreamDurationMs: null,
  maxGrpcTimeoutMs: null,
  retryPolicy: null,
  requestMirrors: [],
  hashPolicies: [],
  priority: "default",
  upgrades: [],
};

const OPTIONS: TimeoutOptions = { tellUpstream: true, respectExpected: false };

function perTry(perTryTimeoutMs: number): RetryPolicy {
  return {
    on: ["5xx"],
    numRetries: 1,
    perTryTimeoutMs,
    perTryIdleTimeoutMs: 0,
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    backoff: { baseMs: 25, maxMs: 250 },
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
    rateLimitedBackoff: null,
  };
}

interface Case {
  readonly action?: Partial<ForwardAction>;
  readonly retry?: RetryPolicy;
  readonly headers?: Record<string, string>;
  readonly options?: Partial<TimeoutOptions>;
  readonly grpc?: boolean;
}

function run({ action = {}, retry, headers = {}, options = {}, grpc = false }: Case) {
  const map = HeaderMap.of(headers);
  const timeouts = new RequestTimeouts();
  timeouts.set(compileTimeouts({ ...ACTION, ...action }, retry ?? null), map, grpc, { ...OPTIONS, ...options });
  return { routeMs: timeouts.routeMs, perTryMs: timeouts.perTryMs, sent: map.toObject() };
}

const EXPECTED = "x-envoy-expected-rq-timeout-ms";

// The values of the cases below are those that Envoy 1.40 sent upstream for the same configuration and headers.
test("the route's timeout, 15 s where it has none, and none where it is 0", () => {
  assert.deepEqual(run({}), { routeMs: 2000, perTryMs: 0, sent: { [EXPECTED]: "2000" } });
  assert.equal(run({ action: { timeoutMs: null } }).routeMs, 15_000);
  assert.deepEqual(run({ action: { timeoutMs: 0 } }), { routeMs: 0, perTryMs: 0, sent: {} });
});

test("x-envoy-upstream-rq-timeout-ms overrides the route and does not reach the upstream", () => {
  const header = (value: string) => run({ headers: { "x-envoy-upstream-rq-timeout-ms": value } });
  assert.deepEqual(header("400"), { routeMs: 400, perTryMs: 0, sent: { [EXPECTED]: "400" } });
  assert.deepEqual(header("0"), { routeMs: 0, perTryMs: 0, sent: {} });
  assert.equal(header("+300").routeMs, 300);
  for (const bad of ["abc", "-300", "1.5", "", "300,400"]) assert.equal(header(bad).routeMs, 2000, bad);
});

test("the per-try timeout counts only below the whole timeout, and is what the upstream is told", () => {
  const header = (value: string) =>
    run({ retry: perTry(500), headers: { "x-envoy-upstream-rq-per-try-timeout-ms": value } });
  assert.deepEqual(run({ retry: perTry(500) }).sent, { [EXPECTED]: "500" });
  assert.deepEqual(header("300"), { routeMs: 2000, perTryMs: 300, sent: { [EXPECTED]: "300" } });
  assert.deepEqual(header("5000"), { routeMs: 2000, perTryMs: 0, sent: { [EXPECTED]: "2000" } });
  assert.equal(run({ retry: perTry(500), action: { timeoutMs: 0 } }).perTryMs, 500);
});

test("max_stream_duration takes the place of the route's timeout", () => {
  assert.deepEqual(run({ action: { maxStreamDurationMs: 5000 } }), { routeMs: 0, perTryMs: 0, sent: {} });
  const asked = { "x-envoy-upstream-rq-timeout-ms": "700" };
  assert.equal(run({ action: { maxStreamDurationMs: 5000 }, headers: asked }).routeMs, 700);
});

test("grpc-timeout counts for gRPC up to max_grpc_timeout, and is sent on as what is left", () => {
  const action = { maxGrpcTimeoutMs: 1000 };
  const grpc = (timeout: Record<string, string>, more: Partial<ForwardAction> = {}) =>
    run({ action: { ...action, ...more }, headers: timeout, grpc: true });
  assert.deepEqual(grpc({ "grpc-timeout": "300m" }), {
    routeMs: 300,
    perTryMs: 0,
    sent: { [EXPECTED]: "300", "grpc-timeout": "300m" },
  });
  assert.equal(grpc({ "grpc-timeout": "3S" }).routeMs, 1000);
  assert.equal(grpc({ "grpc-timeout": "200u" }).routeMs, 1);
  assert.equal(grpc({}).sent["grpc-timeout"], "1000m");
  assert.equal(grpc({ "grpc-timeout": "3S" }, { maxGrpcTimeoutMs: 0 }).routeMs, 3000);
  assert.equal(grpc({}, { maxGrpcTimeoutMs: 0 }).routeMs, 0);
  assert.equal(grpc({ "grpc-timeout": "300m" }, { grpcTimeoutOffsetMs: 100 }).routeMs, 200);
  assert.equal(grpc({ "grpc-timeout": "100m" }, { grpcTimeoutOffsetMs: 100 }).routeMs, 100, "nothing would be left");
  assert.equal(run({ action, headers: { "grpc-timeout": "300m" } }).routeMs, 2000, "not gRPC");
});

test("respect_expected_rq_timeout: what an egress proxy told is the timeout, per try included", () => {
  const headers = { [EXPECTED]: "700", "x-envoy-upstream-rq-timeout-ms": "100" };
  const { routeMs, sent } = run({ headers, options: { respectExpected: true } });
  assert.equal(routeMs, 700);
  assert.equal(sent[EXPECTED], "700");
  assert.equal(run({ headers }).routeMs, 100);
});

test("suppressed Envoy headers: the upstream is told nothing", () => {
  assert.deepEqual(run({ options: { tellUpstream: false } }).sent, {});
});

test("a retry tells the upstream what is left of the time, 1 ms when none is", () => {
  const route = compileTimeouts(ACTION, null);
  const timeouts = new RequestTimeouts();
  const headers = new HeaderMap();
  timeouts.set(route, headers, false, OPTIONS);
  timeouts.tellUpstream(route, headers, false, OPTIONS, 1500.4);
  assert.equal(headers.get(EXPECTED), "499");
  timeouts.tellUpstream(route, headers, false, OPTIONS, 2500);
  assert.equal(headers.get(EXPECTED), "1");
});

test("the stream's duration: the route's, or what grpc-timeout asks for up to the cap", () => {
  const duration = (fields: Partial<ForwardAction>, timeout?: string) =>
    streamDuration(
      { ...ACTION, ...fields },
      HeaderMap.of(timeout === undefined ? {} : { "grpc-timeout": timeout }),
      false,
    );
  assert.equal(duration({}), null);
  assert.equal(duration({ maxStreamDurationMs: 5000 }, "1S"), 5000);
  const capped = { maxStreamDurationMs: 5000, grpcStreamTimeout: { maxMs: 1000, offsetMs: 0 } };
  assert.equal(duration(capped), 5000);
  assert.equal(duration(capped, "300m"), 300);
  assert.equal(duration(capped, "3S"), 1000);
  assert.equal(duration({ grpcStreamTimeout: { maxMs: 0, offsetMs: 0 } }, "3S"), 3000);
  assert.equal(duration({ grpcStreamTimeout: { maxMs: 1000, offsetMs: 200 } }, "3S"), 800);
  assert.equal(duration({ grpcStreamTimeout: { maxMs: 1000, offsetMs: 200 } }, "100m"), 1);
  assert.equal(duration({ ...capped, maxGrpcTimeoutMs: 1, maxStreamDurationMs: null }), null);
});

test("the upstream of a gRPC call is told what the cap and the offset have left of its time", () => {
  const action = { ...ACTION, grpcStreamTimeout: { maxMs: 1000, offsetMs: 200 } };
  for (const [grpc, told] of [
    [true, "800m"],
    [false, "3S"],
  ] as const) {
    const headers = HeaderMap.of({ "grpc-timeout": "3S" });
    assert.equal(streamDuration(action, headers, grpc), 800);
    assert.equal(headers.get("grpc-timeout"), told);
  }
});

test("a limit of the route's own takes the place of a gRPC caller's, as in Envoy, which asks nobody", () => {
  for (const [maxStreamDurationMs, grpc, asked, told] of [
    [500, true, "1S", "500m"],
    [500, true, "100m", "500m"],
    [500, true, null, "500m"],
    [0, true, "100m", "100m"],
    [null, true, "100m", "100m"],
    [500, false, "100m", "100m"],
  ] as const) {
    const headers = HeaderMap.of(asked === null ? {} : { "grpc-timeout": asked });
    assert.equal(streamDuration({ ...ACTION, maxStreamDurationMs }, headers, grpc), maxStreamDurationMs);
    assert.equal(headers.get("grpc-timeout"), told);
  }
});

test("grpc-timeout values: units, at most eight digits, nothing else", () => {
  assert.equal(parseGrpcTimeout("1H"), 3_600_000);
  assert.equal(parseGrpcTimeout("2M"), 120_000);
  assert.equal(parseGrpcTimeout("1500u"), 2);
  assert.equal(parseGrpcTimeout("1n"), 1);
  for (const bad of ["", "5", "m", "-1S", "123456789S", "1 S", "1s"]) assert.equal(parseGrpcTimeout(bad), null, bad);
  assert.equal(formatGrpcTimeout(99_999_999), "99999999m");
  assert.equal(formatGrpcTimeout(100_000_000), "100000S");
});

test("what is written as grpc-timeout is read as no more than it was, and off by less than its unit", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 48 }), (ms) => {
      const text = formatGrpcTimeout(ms);
      const back = parseGrpcTimeout(text) ?? Number.NaN;
      assert.ok(back <= ms, text);
      assert.ok(back > 0.99 * ms, text);
    }),
  );
});

test("what is left of a deadline is told in whole milliseconds, and never as nothing", () => {
  for (const [left, told] of [
    [1500.9, "1500m"],
    [1, "1m"],
    [0.4, "1m"],
    [0, "1m"],
    [-20, "1m"],
    [3_600_000_000_000, "60000000M"],
  ] as const) {
    const headers = HeaderMap.of({ "grpc-timeout": "9S" });
    tellDeadline(headers, left);
    assert.equal(headers.get("grpc-timeout"), told);
  }
});
