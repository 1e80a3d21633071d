import assert from "node:assert/strict";
import { test } from "node:test";
import { IdleLearner } from "./idle-learner.ts";

test("a close after some idle time sets a limit below that time", () => {
  const learner = new IdleLearner();
  assert.equal(learner.limitMs, 0);
  learner.sawClose(5000);
  assert.ok(learner.limitMs > 3000 && learner.limitMs < 5000, `${learner.limitMs}`);
});

test("the shortest time counts", () => {
  const learner = new IdleLearner();
  learner.sawClose(5000);
  const { limitMs } = learner;
  learner.sawClose(60_000);
  assert.equal(learner.limitMs, limitMs);
  learner.sawClose(2000);
  assert.ok(learner.limitMs < 2000);
});

test("what is no idle limit is not taken for one: restarts, errors, the end of days", () => {
  const learner = new IdleLearner();
  for (const ms of [0, 10, 499, 600_001, Number.POSITIVE_INFINITY]) learner.sawClose(ms);
  for (const ms of [0, -1, 600_001, Number.NaN]) learner.sawAnnouncement(ms);
  assert.equal(learner.limitMs, 0);
});

test("an announced limit holds from the first connection on", () => {
  const learner = new IdleLearner();
  learner.sawAnnouncement(5000);
  assert.ok(learner.limitMs > 3000 && learner.limitMs < 5000);
});
