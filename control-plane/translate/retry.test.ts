import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_CALL } from "../mesh/defaults.ts";
import type { CallPolicy } from "../mesh/state.ts";
import { grpcRetry, retryVariants } from "./retry.ts";

function call(retry: Partial<CallPolicy["retry"]>): CallPolicy {
  return { ...DEFAULT_CALL, retry: { ...DEFAULT_CALL.retry, ...retry } };
}

const seen = (on: CallPolicy["retry"]["on"], method: string | null, nonIdempotent = false) =>
  retryVariants(call({ on, nonIdempotent }), method).map(({ only, retry }) => [only?.match ?? null, retry.on]);

test("failures that the application can't have seen are retried for every method", () => {
  assert.deepEqual(seen(["connect-failure", "refused-stream"], null), [[null, ["connect-failure", "refused-stream"]]]);
});

test("others only for methods that may be repeated", () => {
  const idempotent = {
    kind: "string",
    match: { kind: "regex", value: "GET|HEAD|OPTIONS|TRACE|PUT|DELETE" },
  };
  assert.deepEqual(seen(["5xx", "connect-failure"], null), [
    [idempotent, ["5xx", "connect-failure"]],
    [null, ["connect-failure"]],
  ]);
  assert.deepEqual(seen(["5xx"], "GET"), [[null, ["5xx"]]]);
  assert.deepEqual(seen(["5xx"], "POST"), [[null, []]]);
  assert.deepEqual(seen(["5xx"], "PATCH"), [[null, []]]);
});

test("unless the policy says that they may be", () => {
  assert.deepEqual(seen(["5xx"], "POST", true), [[null, ["5xx"]]]);
  assert.deepEqual(seen(["5xx"], null, true), [[null, ["5xx"]]]);
});

test("attempts count the first one, retries do not; no condition means no retry", () => {
  assert.equal(retryVariants(call({ attempts: 3 }), null)[0]?.retry.numRetries, 2);
  assert.equal(retryVariants(call({ attempts: 1 }), null)[0]?.retry.numRetries, 0);
  assert.equal(retryVariants(call({ on: [] }), null)[0]?.retry.numRetries, 0);
});

test("status codes are given only with their condition", () => {
  const variants = retryVariants(call({ on: ["retriable-status-codes"], statusCodes: [503] }), null);
  assert.deepEqual(
    variants.map(({ retry }) => retry.retriableStatusCodes),
    [[503], []],
  );
});

test("a grpc-status that a policy names is retried though gRPC calls are POST; what HTTP says is not", () => {
  const on = ["unavailable", "5xx", "connect-failure"] as const;
  assert.deepEqual(grpcRetry(call({ on })).on, ["unavailable", "connect-failure"]);
  assert.deepEqual(grpcRetry(call({ on, nonIdempotent: true })).on, on);
  assert.equal(grpcRetry(call({ on: ["5xx"] })).numRetries, 0);
  assert.deepEqual(grpcRetry(call({})).on, DEFAULT_CALL.retry.on);
});

test("a grpc-status means nothing to other calls", () => {
  assert.deepEqual(seen(["unavailable", "5xx"], "GET"), [[null, ["5xx"]]]);
  assert.deepEqual(seen(["internal"], null, true), [[null, []]]);
});
