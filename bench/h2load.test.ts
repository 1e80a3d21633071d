import assert from "node:assert/strict";
import { test } from "node:test";
import { latencies } from "./h2load.ts";

test("latencies are sorted, in ms; streams that failed or were not answered with 200 are errors", () => {
  const log =
    "1795267718262890\t200\t1623\n1795267718262891\t503\t10\n1795267718262892\t-1\t7\n1795267718262893\t200\t50\n";
  assert.deepEqual(latencies(log), { latencies: [0.05, 1.623], errors: 2 });
  assert.deepEqual(latencies(""), { latencies: [], errors: 0 });
});
