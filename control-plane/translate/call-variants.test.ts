import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_CALL } from "../mesh/defaults.ts";
import { callVariants, grpcVariant, narrowed } from "./call-variants.ts";
import { ANY_REQUEST } from "./route-match.ts";

const kinds = (...given: Parameters<typeof callVariants>) =>
  callVariants(...given).map(({ grpcOnly, treatment }) => [grpcOnly, treatment.timeoutMs, treatment.idleTimeoutMs]);

const GRPC = [true, 0, 0];
const PLAIN = [false, 15_000, null];

test("gRPC calls go first where they may come at all", () => {
  assert.deepEqual(kinds(DEFAULT_CALL, "any", null), [GRPC, PLAIN]);
  assert.deepEqual(kinds(DEFAULT_CALL, "http2", "POST"), [GRPC, PLAIN]);
  assert.deepEqual(kinds(DEFAULT_CALL, "http1", null), [PLAIN]);
  assert.deepEqual(kinds(DEFAULT_CALL, "any", "GET"), [PLAIN]);
});

test("every call to a port of gRPC is one, unless its method says that it is not", () => {
  assert.deepEqual(kinds(DEFAULT_CALL, "grpc", null), [[false, 0, 0]]);
  assert.deepEqual(kinds(DEFAULT_CALL, "grpc", "GET"), [PLAIN]);
});

test("what a policy asks for bounds the whole call, and what its caller may ask for", () => {
  const { treatment } = grpcVariant({ ...DEFAULT_CALL, requestMs: 3000, idleMs: 60_000, perTryMs: 800 });
  assert.equal(treatment.maxStreamDurationMs, 3000);
  assert.deepEqual(treatment.grpcStreamTimeout, { maxMs: 3000, offsetMs: 0 });
  assert.equal(treatment.idleTimeoutMs, 60_000);
  assert.equal(treatment.retryPolicy?.perTryTimeoutMs, 800);
});

test("without a policy, or with one that asks for no limit, the caller's deadline is the only one", () => {
  for (const requestMs of [null, 0]) {
    const { treatment } = grpcVariant({ ...DEFAULT_CALL, requestMs });
    assert.equal(treatment.maxStreamDurationMs, null);
    assert.deepEqual(treatment.grpcStreamTimeout, { maxMs: 0, offsetMs: 0 });
  }
});

test("a narrowed match keeps what it had", () => {
  const match = { ...ANY_REQUEST, grpcOnly: true };
  const variants = callVariants({ ...DEFAULT_CALL, retry: { ...DEFAULT_CALL.retry, on: ["5xx"] } }, "any", null);
  assert.deepEqual(
    variants.map((variant) => [narrowed(ANY_REQUEST, variant).grpcOnly, narrowed(match, variant).headers.length]),
    [
      [true, 0],
      [false, 1],
      [false, 0],
    ],
  );
  assert.ok(variants.every((variant) => narrowed(match, variant).grpcOnly));
});
