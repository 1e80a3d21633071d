import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { UserError } from "../core/errors.ts";
import { serviceYaml } from "./testing/workloads.ts";
import { validateManifests } from "./validate.ts";

function directory(t: TestContext, files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(path.join(tmpdir(), "outrigger-validate-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(dir, name), text);
  return dir;
}

test("what would be refused and what would not be as it was meant are told, and nothing is left running", async (t) => {
  const dir = directory(t, {
    "a.yaml": serviceYaml("db", 5432, "tcp"),
    "b.yaml": "apiVersion: v1\nkind: Service\nmetadata: { name: x }\nspec: { ports: [{ port: 0 }] }\n",
    "c.yaml":
      "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: { name: g }\nspec: { parentRefs: [{ kind: Service, name: db }], rules: [{}] }\n",
  });
  const clock = new SimulatedClock();
  const { problems, findings, objects } = await validateManifests(dir, "cluster.local", clock);
  assert.deepEqual(
    problems.map(({ file, line, path: field }) => [file, line, field]),
    [["b.yaml", 4, "spec.ports[0].port"]],
  );
  assert.deepEqual(
    findings.map(({ source, message }) => `${source}: ${message}`),
    [
      "c.yaml:1: port 5432 of Service default/db is declared as bytes (tcp), whose calls nobody sees: this GRPCRoute has no effect there",
    ],
  );
  assert.equal(objects, 2);
});

test("a directory that is not there is said so", async () => {
  const missing = path.join(tmpdir(), "outrigger-no-such-directory");
  await assert.rejects(validateManifests(missing, "cluster.local", new SimulatedClock()), UserError);
});
