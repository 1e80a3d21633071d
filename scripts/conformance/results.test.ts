import assert from "node:assert/strict";
import { test } from "node:test";
import { allPassed, resultOf, tableOf } from "./results.ts";

const OUTPUT = `=== RUN   TestConformance
=== RUN   TestConformance/MeshBasic
    pod.go:51: 2026-01-01T00:00:00Z: --- PASS: not this
--- FAIL: TestConformance (80.52s)
    --- PASS: TestConformance/MeshWeight (11.00s)
        --- PASS: TestConformance/MeshWeight/part (1.00s)
    --- SKIP: TestConformance/GatewayOnly (0.00s)
    --- FAIL: TestConformance/MeshBasic (30.25s)
        --- FAIL: TestConformance/MeshBasic/0_request_to_'echo'_ (30.25s)
FAIL
`;

test("the suite's tests are read from its output, their parts and its logs are not", () => {
  const results = OUTPUT.split("\n").flatMap((line) => resultOf(line) ?? []);
  assert.deepEqual(
    results.map(({ name, outcome }) => [name, outcome]),
    [
      ["MeshWeight", "PASS"],
      ["GatewayOnly", "SKIP"],
      ["MeshBasic", "FAIL"],
    ],
  );
  assert.equal(tableOf(results), ["MeshBasic   FAIL", "MeshWeight  PASS", "1 of 2 passed"].join("\n"));
  assert.equal(allPassed(results), false);
});

test("a suite that ran nothing has not passed", () => {
  const skipped = { name: "A", outcome: "SKIP" } as const;
  assert.equal(allPassed([]), false);
  assert.equal(allPassed([skipped]), false);
  assert.equal(allPassed([skipped, { ...skipped, outcome: "PASS" }]), true);
});
