import assert from "node:assert/strict";
import { test } from "node:test";
import { isServiceFailure, outlierStatus } from "./failure.ts";

test("a breaker counts what the service is to blame for", () => {
  const failures = [];
  for (let status = -1; status <= 40; status++) if (isServiceFailure(status)) failures.push(status);
  // UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS, and what nobody knows.
  assert.deepEqual(failures.slice(0, 8), [-1, 2, 4, 8, 13, 14, 15, 17]);
  assert.equal(failures.length, 7 + 24);
});

test("outlier detection counts HTTP's statuses, under the own policy only for failures of the service", () => {
  assert.equal(outlierStatus(12, false), 501);
  assert.equal(outlierStatus(12, true), 200);
  for (const own of [false, true]) {
    assert.equal(outlierStatus(14, own), 503);
    assert.equal(outlierStatus(0, own), 200);
    assert.equal(outlierStatus(99, own), 500);
  }
});
