/** What loads and what does not, by a table of verdicts taken from Envoy's own `--mode validate`. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatProblem } from "../core/errors.ts";
import { checkFormat } from "../telemetry/format.ts";
import { decodeBootstrapText } from "./bootstrap-file.ts";
import { VALIDITY_CASES } from "./testing/cases/all.ts";
import type { ValidityCase } from "./testing/cases/case.ts";
import { NO_WORLD } from "./testing/round-trip.ts";

for (const [group, list] of Object.entries(VALIDITY_CASES)) {
  describe(group, () => {
    for (const entry of list) test(entry.name, () => check(entry));
  });
}

function check({ bootstrap, refused }: ValidityCase): void {
  const decoded = decodeBootstrapText(
    { text: JSON.stringify(bootstrap), file: "bootstrap.json" },
    {
      ...NO_WORLD,
      checkFormat,
    },
  );
  const problems = decoded.ok ? [] : decoded.problems;
  const shown = problems.map(formatProblem).join("\n");
  if (!refused) {
    assert.equal(shown, "");
    return;
  }
  const found = problems.some(
    ({ path, message, resource }) =>
      path?.endsWith(refused.path) && refused.message.test(message) && /^(listener|cluster) ?/.test(resource ?? ""),
  );
  assert.ok(
    found,
    `expected a problem of a listener or cluster at …${refused.path} like ${refused.message}, got:\n${shown || "none"}`,
  );
}

test("no name stands twice in a group", () => {
  for (const [group, list] of Object.entries(VALIDITY_CASES)) {
    assert.equal(new Set(list.map(({ name }) => name)).size, list.length, group);
  }
});
