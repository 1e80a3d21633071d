import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { SILENT } from "../testing/test-mesh.ts";
import { intercepted, workload } from "../testing/workloads.ts";
import { LeaseFile } from "./lease-file.ts";
import { Registry } from "./registry.ts";

const directories: string[] = [];
afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function stateDir(): string {
  const directory = mkdtempSync(path.join(os.tmpdir(), "outrigger-registry-"));
  directories.push(directory);
  return directory;
}

function open(clock = new SimulatedClock(), directory: string | null = null): Registry {
  const file = directory === null ? null : new LeaseFile(directory, clock, SILENT);
  return new Registry({ clock, file, log: SILENT, graceMs: 3000, leaseMs: 60_000, departedMs: 600_000 });
}

function stages(registry: Registry): Record<string, string> {
  return Object.fromEntries(registry.views().map(({ workload: { id }, stage }) => [id, stage]));
}

const [streamA, streamB] = [{}, {}];

test("a workload serves once it is ready, is kept while its stream is lost, and leaves after its grace", () => {
  const clock = new SimulatedClock();
  const registry = open(clock);
  const changes: string[] = [];
  registry.subscribe((id) => changes.push(`${id} ${stages(registry)[id]}`));
  registry.join(workload("stock"), streamA);
  assert.equal(registry.get("stock-1")?.serving, false);
  registry.ready("stock-1", streamA);
  registry.leave("stock-1", streamA, false);
  assert.equal(registry.get("stock-1")?.serving, true);
  clock.advance(2999);
  assert.equal(registry.get("stock-1")?.serving, true);
  clock.advance(1);
  assert.equal(registry.get("stock-1")?.serving, false);
  clock.advance(600_000);
  assert.equal(registry.get("stock-1"), undefined);
  assert.deepEqual(changes, [
    "stock-1 joining",
    "stock-1 serving",
    "stock-1 lost",
    "stock-1 departed",
    "stock-1 undefined",
  ]);
});

test("one that comes back in time serves on; with another address it first has to be ready again", () => {
  const registry = open();
  registry.join(workload("stock"), streamA);
  registry.ready("stock-1", streamA);
  registry.leave("stock-1", streamA, false);
  registry.join(workload("stock"), streamB);
  assert.deepEqual(stages(registry), { "stock-1": "serving" });
  registry.join(workload("stock", 1, { inboundPort: 15106 }), streamA);
  assert.deepEqual(stages(registry), { "stock-1": "joining" });
});

test("the end of an older stream means nothing once a newer one holds the workload", () => {
  const clock = new SimulatedClock();
  const registry = open(clock);
  registry.join(workload("stock"), streamA);
  registry.ready("stock-1", streamA);
  registry.join(workload("stock"), streamB);
  registry.leave("stock-1", streamA, true);
  clock.advance(10_000);
  assert.deepEqual(stages(registry), { "stock-1": "serving" });
});

test("goodbye needs no grace, and neither does one that never became ready", () => {
  const registry = open();
  registry.join(workload("stock", 1), streamA);
  registry.ready("stock-1", streamA);
  registry.leave("stock-1", streamA, true);
  registry.join(workload("stock", 2), streamB);
  registry.leave("stock-2", streamB, false);
  assert.deepEqual(stages(registry), { "stock-1": "departed", "stock-2": "departed" });
});

test("a second instance on another port keeps the service's port, also when the first is gone", () => {
  const registry = open();
  registry.join(workload("stock", 1, { appPort: 9000 }), streamA);
  registry.leave("stock-1", streamA, true);
  registry.join(workload("stock", 2, { appPort: 9001 }), streamB);
  assert.equal(registry.get("stock-2")?.servicePort, 9000);
  registry.join(workload("other", 1, { appPort: 9002 }), {});
  assert.equal(registry.get("other-1")?.servicePort, 9002);
});

test("an address has one holder: a lost workload is gone when another comes up there", () => {
  const registry = open();
  const first = workload("stock", 1);
  registry.join(first, streamA);
  registry.ready("stock-1", streamA);
  registry.leave("stock-1", streamA, false);
  registry.join({ ...workload("orders"), address: first.address }, streamB);
  assert.equal(stages(registry)["stock-1"], "departed");
});

test("any of its addresses is enough to know a place again", () => {
  const registry = open();
  const first = intercepted("stock", 1, { addresses: ["fd77::3"] });
  registry.join(first, streamA);
  registry.ready("stock-1", streamA);
  registry.leave("stock-1", streamA, false);
  registry.join(intercepted("orders", 1, { address: "10.9.9.9" }), {});
  assert.equal(stages(registry)["stock-1"], "lost");
  registry.join(intercepted("orders", 2, { address: "fd77::3", addresses: ["10.9.9.8"] }), streamB);
  assert.equal(stages(registry)["stock-1"], "departed");
});

test("after a restart workloads are where they were, until their lease ends", () => {
  const directory = stateDir();
  const clock = new SimulatedClock();
  const first = open(clock, directory);
  for (const [index, stream] of [{}, {}, {}].entries()) {
    first.join(workload("stock", index + 1), stream);
    if (index < 2) first.ready(`stock-${index + 1}`, stream);
    if (index === 1) first.leave("stock-2", stream, true);
  }
  first.close();
  first.leave("stock-1", streamA, false);

  const second = open(clock, directory);
  assert.deepEqual(stages(second), { "stock-1": "restored", "stock-2": "departed", "stock-3": "joining" });
  assert.equal(second.get("stock-1")?.serving, true);
  clock.advance(59_999);
  assert.equal(second.get("stock-1")?.serving, true);
  clock.advance(1);
  assert.equal(second.get("stock-1")?.serving, false);
  clock.advance(540_000);
  assert.equal(second.get("stock-2"), undefined, "forgotten as long after it left as without a restart");
});

test("a burst is written once, and a process that dies without a word has written it", () => {
  const directory = stateDir();
  const clock = new SimulatedClock();
  const registry = open(clock, directory);
  for (let index = 1; index <= 50; index++) {
    registry.join(workload("stock", index), {});
  }
  const file = path.join(directory, "registrations.json");
  assert.throws(() => readFileSync(file));
  clock.advance(50);
  assert.equal(open(new SimulatedClock(), directory).views().length, 50);
});

test("what an older version wrote lacks what it did not know", () => {
  const directory = stateDir();
  const { addresses, interception, probes, ...known } = workload("stock");
  const registrations = [{ workload: known, servicePort: 80, serving: true, departedAt: null }];
  writeFileSync(path.join(directory, "registrations.json"), JSON.stringify({ version: 1, registrations }));
  assert.deepEqual(open(new SimulatedClock(), directory).get("stock-1")?.workload, workload("stock"));
});

test("a damaged file is as good as none", () => {
  for (const text of [
    "",
    "{",
    "[]",
    "null",
    '{"version":1,"registrations":[{}]}',
    '{"version":2,"registrations":[]}',
  ]) {
    const directory = stateDir();
    writeFileSync(path.join(directory, "registrations.json"), text);
    assert.deepEqual(open(new SimulatedClock(), directory).views(), []);
  }
});
