import assert from "node:assert/strict";
import { test } from "node:test";
import type { CallResult } from "./http-get.ts";
import { callMany, callSteadily, failureKinds, hasFailed, quantile } from "./traffic.ts";

function result(parts: Partial<CallResult>): CallResult {
  return { startedAt: 0, ms: 1, status: 200, headers: {}, body: "", error: null, ...parts };
}

test("so many calls are made, and no more at once than asked for", async () => {
  let open = 0;
  let most = 0;
  const results = await callMany(
    async () => {
      most = Math.max(most, ++open);
      await new Promise(setImmediate);
      open--;
      return result({});
    },
    25,
    4,
  );
  assert.equal(results.length, 25);
  assert.equal(most, 4);
});

test("a steady stream does not wait for answers, and its end does", async () => {
  const answer: (() => void)[] = [];
  const stream = callSteadily(() => new Promise((resolve) => answer.push(() => resolve(result({})))), 1);
  while (answer.length < 5) await new Promise(setImmediate);
  assert.equal(stream.results.length, 0);
  const stopped = stream.stop();
  await new Promise((resolve) => setTimeout(resolve, 10));
  for (const give of answer) give();
  assert.equal((await stopped).length, answer.length);
});

test("failures are counted by kind: 5xx and calls without an answer", () => {
  const results = [
    result({}),
    result({ status: 404 }),
    result({ status: 503 }),
    result({ status: 503 }),
    result({ status: 0, error: "socket hang up" }),
  ];
  assert.equal(results.filter(hasFailed).length, 3);
  assert.equal(failureKinds(results), "2 × 503, 1 × socket hang up");
});

test("quantiles of durations", () => {
  const results = Array.from({ length: 100 }, (_, i) => result({ ms: 100 - i }));
  assert.equal(quantile(results, 0.5), 51);
  assert.equal(quantile(results, 1), 100);
  assert.equal(quantile([], 0.5), 0);
});
