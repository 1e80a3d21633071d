import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SimulatedClock } from "../../core/clock.ts";
import { HeaderMap } from "../../core/header-map.ts";
import { seededRandom } from "../../core/random.ts";
import type { RetryPolicy } from "../../model/route.ts";
import { DEFAULT_LIMITS } from "../../test/support/clusters.ts";
import { RequestHead } from "../http/message.ts";
import { ClusterStats } from "./cluster-stats.ts";
import { ResourceLimits } from "./resource-limits.ts";
import { type ResetKind, RetryState } from "./retry.ts";
import { compileRetryPolicy } from "./retry-policy.ts";

const POLICY: RetryPolicy = {
  on: [],
  numRetries: 2,
  perTryTimeoutMs: 0,
  perTryIdleTimeoutMs: 0,
  retriableStatusCodes: [],
  retriableHeaders: [],
  retriableRequestHeaders: [],
  backoff: { baseMs: 25, maxMs: 250 },
  avoidPreviousHosts: false,
  hostSelectionMaxAttempts: 1,
  rateLimitedBackoff: null,
};

interface Setup {
  readonly policy?: Partial<RetryPolicy> | null;
  readonly own?: boolean;
  readonly headers?: Record<string, string>;
  readonly method?: string;
  readonly limits?: Partial<typeof DEFAULT_LIMITS>;
}

function begin({ policy = {}, own = false, headers = {}, method = "GET", limits: limited = {} }: Setup) {
  const clock = new SimulatedClock();
  const stats = new ClusterStats();
  const limits = new ResourceLimits({ ...DEFAULT_LIMITS, ...limited }, stats);
  const request = new RequestHead();
  request.method = method;
  for (const [name, value] of Object.entries(headers)) request.headers.append(name, value);
  const state = new RetryState(clock, seededRandom(1));
  const compiled = compileRetryPolicy(policy === null ? null : { ...POLICY, ...policy }, own);
  const active = state.begin(compiled, request, { stats, limits });
  return { state, stats, limits, request, active, clock, compiled };
}

const none = new HeaderMap();

/** Whether a response with this status and these headers is tried again. */
function retries(setup: Setup, status: number, response: Record<string, string> = {}): boolean {
  return begin(setup).state.shouldRetryResponse(status, HeaderMap.of(response)) >= 0;
}

function retriesReset(on: RetryPolicy["on"], kind: ResetKind, started: boolean): boolean {
  return begin({ policy: { on } }).state.shouldRetryReset(kind, started) >= 0;
}

describe("conditions on responses", () => {
  test("5xx, gateway-error, retriable-4xx", () => {
    const statuses = [200, 404, 409, 500, 501, 502, 503, 504, 505, 599];
    const accepted = (on: RetryPolicy["on"]) => statuses.filter((status) => retries({ policy: { on } }, status));
    assert.deepEqual(accepted(["5xx"]), [500, 501, 502, 503, 504, 505, 599]);
    assert.deepEqual(accepted(["gateway-error"]), [502, 503, 504]);
    assert.deepEqual(accepted(["retriable-4xx"]), [409]);
    assert.deepEqual(accepted(["reset", "connect-failure", "refused-stream"]), []);
  });

  test("retriable-status-codes needs both the condition and the code", () => {
    assert.equal(retries({ policy: { on: ["retriable-status-codes"], retriableStatusCodes: [404] } }, 404), true);
    assert.equal(retries({ policy: { on: ["retriable-status-codes"], retriableStatusCodes: [404] } }, 405), false);
    assert.equal(retries({ policy: { on: ["5xx"], retriableStatusCodes: [404] } }, 404), false);
  });

  test("retriable-headers, by value and by :status", () => {
    const match = (name: string, value: string): RetryPolicy["retriableHeaders"][number] => ({
      name,
      match: { kind: "string", match: { kind: "exact", value, ignoreCase: false } },
      invert: false,
      treatMissingAsEmpty: false,
    });
    const policy: Partial<RetryPolicy> = {
      on: ["retriable-headers"],
      retriableHeaders: [match("x-again", "yes"), match(":status", "418")],
    };
    assert.equal(retries({ policy }, 200, { "X-Again": "yes" }), true);
    assert.equal(retries({ policy }, 200, { "x-again": "no" }), false);
    assert.equal(retries({ policy }, 418), true);
  });

  test("a rate limited response only on envoy-ratelimited, whatever its status", () => {
    const limited = { "x-envoy-ratelimited": "true" };
    assert.equal(retries({ policy: { on: ["5xx"] } }, 503, limited), false);
    assert.equal(retries({ policy: { on: ["envoy-ratelimited"] } }, 200, limited), true);
    assert.equal(retries({ policy: { on: ["envoy-ratelimited"] } }, 429), false);
  });

  test("gRPC conditions by the grpc-status of the head", () => {
    const grpc = (on: RetryPolicy["on"], status: string) => retries({ policy: { on } }, 200, { "grpc-status": status });
    assert.equal(grpc(["unavailable"], "14"), true);
    assert.equal(grpc(["unavailable"], "13"), false);
    assert.equal(grpc(["cancelled", "internal"], "1"), true);
    assert.equal(grpc(["deadline-exceeded"], "4"), true);
    assert.equal(grpc(["resource-exhausted"], "8"), true);
    assert.equal(grpc(["internal"], "13"), true);
    assert.equal(grpc(["internal"], "x"), false);
    assert.equal(retries({ policy: { on: ["5xx"] } }, 200, { "grpc-status": "14" }), false);
  });
});

test("conditions on resets are Envoy's, for each kind, begun or not", () => {
  const kinds: readonly ResetKind[] = [
    "connect_failure",
    "connect_timeout",
    "connection_termination",
    "protocol_error",
    "local_close",
    "per_try_timeout",
    "refused_stream",
    "overflow",
  ];
  const accepted = (on: RetryPolicy["on"], started: boolean) => kinds.filter((kind) => retriesReset(on, kind, started));
  const all = kinds.filter((kind) => kind !== "overflow");
  for (const on of [["5xx"], ["gateway-error"], ["reset"]] as const) assert.deepEqual(accepted(on, true), all);
  assert.deepEqual(accepted(["connect-failure"], false), ["connect_failure", "connect_timeout"]);
  assert.deepEqual(accepted(["refused-stream"], true), ["refused_stream"]);
  assert.deepEqual(accepted(["reset-before-request"], false), all);
  assert.deepEqual(accepted(["reset-before-request"], true), []);
  assert.deepEqual(accepted(["retriable-4xx"], false), []);
});

test("reset-before-request: bytes sent in an earlier attempt count", () => {
  const { state } = begin({ policy: { on: ["reset-before-request", "gateway-error"] } });
  assert.ok(state.shouldRetryReset("connection_termination", true) >= 0);
  const { state: only } = begin({ policy: { on: ["reset-before-request"] } });
  assert.equal(only.shouldRetryReset("connection_termination", true), -1);
  assert.equal(only.shouldRetryReset("connect_failure", false), -1);
});

// What Envoy 1.40 did for the same headers.
describe("headers of the caller", () => {
  test("add conditions to the policy's, also where there is no policy (one retry then)", () => {
    const headers = { "x-envoy-retry-on": "retriable-4xx , bogus" };
    const { state } = begin({ policy: null, headers });
    assert.ok(state.shouldRetryResponse(409, none) >= 0);
    assert.equal(state.shouldRetryResponse(409, none), -1);
    assert.equal(state.gaveUp, true);
    assert.equal(retries({ policy: { on: ["5xx"] }, headers }, 500), true);
  });

  test("gRPC conditions have their own header", () => {
    const response = { "grpc-status": "14" };
    const on = (name: string) => retries({ policy: null, headers: { [name]: "unavailable,internal" } }, 200, response);
    assert.equal(on("x-envoy-retry-grpc-on"), true);
    assert.equal(on("x-envoy-retry-on"), false);
  });

  test("x-envoy-max-retries takes precedence, 0 included; what is not a number is passed over", () => {
    const count = (value: string): number => {
      const { state } = begin({ policy: { on: ["5xx"] }, headers: { "x-envoy-max-retries": value } });
      let made = 0;
      while (state.shouldRetryResponse(500, none) >= 0) made++;
      return made;
    };
    assert.equal(count("1"), 1);
    assert.equal(count("0"), 0);
    assert.equal(count("x"), 2);
  });

  test("status codes and header names are added", () => {
    const codes = { "x-envoy-retry-on": "retriable-status-codes", "x-envoy-retriable-status-codes": "400, 404,x" };
    assert.equal(retries({ policy: null, headers: codes }, 404), true);
    assert.equal(retries({ policy: null, headers: codes }, 403), false);
    const names = { "x-envoy-retry-on": "retriable-headers", "x-envoy-retriable-header-names": "X-Foo, X-Up" };
    assert.equal(retries({ policy: null, headers: names }, 200, { "x-up": "1" }), true);
    assert.equal(retries({ policy: null, headers: names }, 200, { "x-down": "1" }), false);
  });

  test("none of them reaches the upstream, whether or not there are retries", () => {
    const headers = {
      "x-envoy-retry-on": "5xx",
      "x-envoy-retry-grpc-on": "internal",
      "x-envoy-max-retries": "2",
      "x-envoy-retriable-status-codes": "1",
      "x-envoy-retriable-header-names": "a",
      "x-envoy-hedge-on-per-try-timeout": "true",
      "x-other": "stays",
    };
    assert.deepEqual(begin({ headers }).request.headers.toObject(), { "x-other": "stays" });
    assert.deepEqual(begin({ headers: { "x-envoy-max-retries": "2" }, policy: null }).request.headers.toObject(), {});
  });
});

test("without a condition nothing needs to be kept", () => {
  assert.equal(begin({ policy: null }).active, false);
  assert.equal(begin({ policy: { on: ["5xx"] } }).active, true);
});

test("retriable_request_headers: only requests that match one", () => {
  const policy: Partial<RetryPolicy> = {
    on: ["5xx"],
    retriableRequestHeaders: [
      { name: "x-retry", match: { kind: "present", present: true }, invert: false, treatMissingAsEmpty: false },
    ],
  };
  assert.equal(begin({ policy }).active, false);
  assert.equal(begin({ policy, headers: { "X-Retry": "" } }).active, true);
});

describe("limits", () => {
  test("retries used up: URX, counted", () => {
    const { state, stats } = begin({ policy: { on: ["5xx"], numRetries: 1 } });
    assert.ok(state.shouldRetryResponse(500, none) >= 0);
    assert.equal(state.refusal, null);
    assert.equal(state.shouldRetryResponse(500, none), -1);
    assert.equal(state.refusal, "limit_exceeded");
    assert.equal(stats.upstream_rq_retry_limit_exceeded, 1);
  });

  test("a retry holds one of the cluster's places until the next decision or the end", () => {
    const { state, limits, stats } = begin({ policy: { on: ["5xx"] }, limits: { maxRetries: 1 } });
    assert.ok(state.shouldRetryResponse(500, none) >= 0);
    assert.equal(limits.retries, 1);
    assert.ok(state.shouldRetryResponse(500, none) >= 0, "its own place is free for it");
    assert.equal(limits.retries, 1);
    assert.equal(state.shouldRetryResponse(200, none), -1);
    assert.equal(limits.retries, 0);
    assert.equal(stats.upstream_rq_retry_success, 1);
    assert.equal(state.refusal, null);
  });

  test("no place free: overflow", () => {
    const { state, limits, stats } = begin({ policy: { on: ["5xx"] }, limits: { maxRetries: 1 } });
    limits.tryAcquireRetry();
    assert.equal(state.shouldRetryResponse(500, none), -1);
    assert.equal(state.refusal, "overflow");
    assert.equal(stats.upstream_rq_retry_overflow, 1);
    state.finish(false);
    assert.equal(limits.retries, 1, "only its own place is given back");
  });

  test("the end of a request gives the place back", () => {
    const { state, limits, stats } = begin({ policy: { on: ["reset"] } });
    state.shouldRetryReset("connection_termination", true);
    state.finish(false);
    assert.equal(limits.retries, 0);
    assert.equal(stats.upstream_rq_retry_success, 0);
  });
});

describe("backoff", () => {
  test("full jitter below base × 2ⁿ, at most the maximum", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const clock = new SimulatedClock();
        const stats = new ClusterStats();
        const state = new RetryState(clock, seededRandom(seed));
        const policy = compileRetryPolicy({ ...POLICY, on: ["5xx"], numRetries: 7 }, false);
        const target = { stats, limits: new ResourceLimits(DEFAULT_LIMITS, stats) };
        state.begin(policy, new RequestHead(), target);
        for (const bound of [25, 50, 100, 200, 250, 250, 250]) {
          const delay = state.shouldRetryResponse(500, none);
          assert.ok(delay >= 0 && delay < bound, `${delay} < ${bound}`);
        }
        state.finish(false);
      }),
    );
  });

  test("a response may ask for a time, in seconds or as a time of day, up to the maximum", () => {
    const policy: Partial<RetryPolicy> = {
      on: ["5xx"],
      rateLimitedBackoff: {
        headers: [
          { name: "retry-after", format: "seconds" },
          { name: "x-reset", format: "unix_timestamp" },
        ],
        maxMs: 10_000,
      },
    };
    const delay = (response: Record<string, string>) =>
      begin({ policy }).state.shouldRetryResponse(503, HeaderMap.of(response));
    const now = Math.floor(new SimulatedClock().wallTime() / 1000);
    const between = (value: number, from: number, to: number) => assert.ok(value >= from && value < to, `${value}`);
    between(delay({ "retry-after": "2" }), 2000, 3000);
    between(delay({ "x-reset": String(now + 4) }), 4000, 6000);
    between(delay({ "retry-after": "60", "x-reset": String(now + 1) }), 1000, 1500);
    between(delay({ "retry-after": "60" }), 0, 25);
    between(delay({ "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT" }), 0, 25);
    between(delay({ "x-reset": String(now - 5) }), 0, 25);
    const { state, stats } = begin({ policy });
    state.shouldRetryResponse(503, HeaderMap.of({ "retry-after": "1" }));
    assert.equal(stats.upstream_rq_retry_backoff_ratelimited, 1);
  });
});

describe("Outrigger's own policy", () => {
  const on: RetryPolicy["on"] = ["5xx", "reset", "reset-before-request", "connect-failure", "refused-stream"];

  test("a POST is sent again only if the application cannot have seen it", () => {
    const post = (kind: ResetKind, started: boolean) =>
      begin({ own: true, method: "POST", policy: { on } }).state.shouldRetryReset(kind, started, true) >= 0;
    assert.equal(post("connect_failure", false), true);
    assert.equal(post("refused_stream", true), true);
    assert.equal(post("per_try_timeout", false), true);
    assert.equal(post("connection_termination", true), false);
    assert.equal(post("per_try_timeout", true), false);
    const { state } = begin({ own: true, method: "POST", policy: { on } });
    assert.equal(state.shouldRetryResponse(503, none), -1);
    assert.equal(state.refusal, "unsafe");
    assert.equal(state.gaveUp, false);
  });

  test("an endpoint that did not take the request is no attempt, once", () => {
    const gone = begin({ own: true, method: "POST", policy: { on, numRetries: 0 } }).state;
    assert.equal(gone.shouldRetryReset("connect_failure", false), 0);
    assert.equal(gone.shouldRetryReset("refused_stream", true), -1);
    assert.equal(gone.gaveUp, true);
    const { state, limits } = begin({
      own: true,
      method: "POST",
      policy: { on, numRetries: 1 },
      limits: { maxRetries: 0 },
    });
    assert.equal(state.shouldRetryReset("refused_stream", true), 0);
    assert.equal(limits.retries, 0, "the budget is for attempts that may be load");
    assert.equal(state.shouldRetryReset("refused_stream", true), -1);
    assert.equal(state.refusal, "overflow");
    const envoy = begin({ policy: { on, numRetries: 0 } });
    assert.equal(envoy.state.shouldRetryReset("refused_stream", true), -1, "Envoy counts it as any other");
  });

  test("except after a grpc-status that the policy names, as every gRPC call is a POST", () => {
    const grpc = (status: string) =>
      retries({ own: true, method: "POST", policy: { on: ["unavailable", "5xx"] } }, 200, { "grpc-status": status });
    assert.equal(grpc("14"), true);
    assert.equal(grpc("13"), false);
    assert.equal(retries({ own: true, method: "POST", policy: { on: ["unavailable", "5xx"] } }, 503), false);
  });

  test("headers of the caller do not change that", () => {
    const { state } = begin({ own: true, method: "PATCH", policy: null, headers: { "x-envoy-retry-on": "5xx" } });
    assert.equal(state.shouldRetryResponse(503, none), -1);
  });

  test("what is idempotent is sent again", () => {
    for (const method of ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]) {
      assert.equal(retries({ own: true, method, policy: { on } }, 503), true, method);
    }
  });

  test("a reused connection that breaks counts as reset before the request", () => {
    const reset = (own: boolean, reused: boolean) =>
      begin({ own, policy: { on: ["reset-before-request"] } }).state.shouldRetryReset(
        "connection_termination",
        true,
        reused,
      ) >= 0;
    assert.equal(reset(true, true), true);
    assert.equal(reset(true, false), false);
    assert.equal(reset(false, true), false, "Envoy knows no such rule");
  });

  test("under plain Envoy configuration a POST is repeated, as in Envoy", () => {
    assert.equal(retries({ method: "POST", policy: { on: ["5xx"] } }, 503), true);
  });

  test("whatever happens, a request that is not idempotent is never sent after it may have been seen", () => {
    const event = fc.oneof(
      fc.record({ status: fc.integer({ min: 200, max: 599 }) }),
      fc.record({
        kind: fc.constantFrom<ResetKind>(
          "connect_failure",
          "connection_termination",
          "per_try_timeout",
          "protocol_error",
        ),
        started: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 6 }), fc.constantFrom("POST", "PATCH", "QUERY"), (events, method) => {
        const { state } = begin({ own: true, method, policy: { on, numRetries: 10 } });
        for (const it of events) {
          const seen = "status" in it || (it.kind !== "connect_failure" && it.started);
          const delay =
            "status" in it ? state.shouldRetryResponse(it.status, none) : state.shouldRetryReset(it.kind, it.started);
          if (seen) assert.equal(delay, -1);
          if (delay < 0) return;
        }
      }),
    );
  });
});

test("previous hosts are avoided where the policy says so, on retries", () => {
  const a = {};
  const { state } = begin({ policy: { on: ["5xx"], avoidPreviousHosts: true, hostSelectionMaxAttempts: 5 } });
  assert.equal(state.hostSelectionRetries, 0);
  state.onHostAttempted(a);
  state.shouldRetryResponse(500, none);
  assert.equal(state.hostSelectionRetries, 5);
  assert.deepEqual(state.triedHosts, [a]);
  const { state: other } = begin({ policy: { on: ["5xx"] } });
  other.onHostAttempted(a);
  assert.deepEqual(other.triedHosts, []);
});

test("a state that is used again remembers nothing", () => {
  const { state, compiled, stats, limits } = begin({ policy: { on: ["5xx"], avoidPreviousHosts: true } });
  state.onHostAttempted({});
  state.shouldRetryResponse(500, none);
  state.begin(compiled, new RequestHead(), { stats, limits });
  assert.equal(limits.retries, 0);
  assert.deepEqual(state.triedHosts, []);
  assert.equal(state.hostSelectionRetries, 0);
  assert.ok(state.shouldRetryResponse(500, none) >= 0);
  assert.ok(state.shouldRetryResponse(500, none) >= 0);
});
