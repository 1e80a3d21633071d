import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { SimulatedClock } from "../core/clock.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../model/snapshot.ts";
import { LastGoodFile, type LastGoodOptions } from "./last-good.ts";
import {
  certificateSecret,
  downstreamTls,
  edsCluster,
  endpointSet,
  rdsListener,
  routeTable,
  staticCluster,
  upstreamTls,
} from "./testing/models.ts";

const directory = mkdtempSync(path.join(tmpdir(), "outrigger-last-good-"));
after(() => rmSync(directory, { recursive: true, force: true }));

let files = 0;
function rig(overrides: Partial<LastGoodOptions> = {}) {
  const warnings: string[] = [];
  const clock = new SimulatedClock();
  const options: LastGoodOptions = {
    file: path.join(directory, `state-${files++}`, "last-good.json"),
    owner: "sidecar~1",
    build: "0.1.0",
    includePrivateKeys: false,
    clock,
    log: {
      debug() {},
      info() {},
      warn: (fields, message) => warnings.push(`${message}: ${(fields as { reason: string }).reason}`),
      error() {},
    },
    ...overrides,
  };
  return { file: new LastGoodFile(options), options, warnings, clock };
}

const inline = {
  kind: "inline",
  material: { certificateChain: "chain", privateKey: "TOP-SECRET", password: "" },
} as const;
const snapshot: Snapshot = {
  revision: "7",
  listeners: new Map([
    ["web", rdsListener("web", "r")],
    ["keyed", rdsListener("keyed", "r", downstreamTls(inline))],
  ]),
  routes: new Map([["r", routeTable("r", "orders")]]),
  clusters: new Map([
    ["orders", edsCluster("orders")],
    ["keyed", staticCluster("keyed", endpointSet("keyed"), { tls: upstreamTls({ certificates: [inline] }) })],
  ]),
  endpoints: new Map([["orders", endpointSet("orders", 1, 2)]]),
  secrets: new Map([
    ["default", certificateSecret("default")],
    ["ROOTCA", { kind: "trust", name: "ROOTCA", material: { roots: "roots", crl: "" } }],
  ]),
};

test("gives back what was saved, frozen, with its time", async () => {
  const { file, warnings, clock } = rig({ includePrivateKeys: true });
  clock.advance(5000);
  await file.save(snapshot);
  clock.advance(5000);
  const found = await file.load();
  assert.deepEqual(found?.snapshot, snapshot);
  assert.equal(found?.savedAt, clock.wallTime() - 5000);
  assert.ok(Object.isFrozen(found?.snapshot.clusters.get("orders")));
  assert.deepEqual(warnings, []);
});

test("the file is the owner's alone, and replaced whole", async () => {
  const { file, options } = rig();
  await file.save(snapshot);
  assert.equal(statSync(options.file).mode & 0o777, 0o600);
  assert.equal(statSync(path.dirname(options.file)).mode & 0o777, 0o700);
  const first = statSync(options.file).ino;
  await file.save({ ...snapshot, revision: "8" });
  assert.notEqual(statSync(options.file).ino, first);
  assert.equal((await file.load())?.snapshot.revision, "8");
});

test("private keys stay out, with what holds them, unless asked for", async () => {
  const { file, options } = rig();
  await file.save(snapshot);
  assert.ok(!readFileSync(options.file, "utf8").includes("TOP-SECRET"));
  const found = (await file.load())?.snapshot;
  assert.deepEqual([...(found?.secrets.keys() ?? [])], ["ROOTCA"]);
  assert.deepEqual([...(found?.listeners.keys() ?? [])], ["web"]);
  assert.deepEqual([...(found?.clusters.keys() ?? [])], ["orders"]);
});

test("no file is nothing to warn of", async () => {
  const { file, warnings } = rig();
  assert.equal(await file.load(), null);
  assert.deepEqual(warnings, []);
});

test("every flipped byte and every cut is noticed", async () => {
  const { file, options } = rig();
  await file.save({ ...EMPTY_SNAPSHOT, revision: "1" });
  const good = readFileSync(options.file);
  for (let i = 0; i < good.length - 1; i++) {
    const bad = Buffer.from(good);
    bad[i] = (bad[i] ?? 0) ^ 1;
    writeFileSync(options.file, bad);
    assert.equal(await file.load(), null, `byte ${i}`);
    writeFileSync(options.file, good.subarray(0, i));
    assert.equal(await file.load(), null, `cut at ${i}`);
  }
});

test("another owner's, another version's and another thing's file are ignored with a reason", async () => {
  const mine = rig();
  await mine.file.save(snapshot);
  const other = rig({ file: mine.options.file, owner: "sidecar~2" });
  assert.equal(await other.file.load(), null);
  const newer = rig({ file: mine.options.file, build: "0.2.0" });
  assert.equal(await newer.file.load(), null);
  writeFileSync(mine.options.file, "hello\n");
  assert.equal(await mine.file.load(), null);
  assert.deepEqual(
    [...other.warnings, ...newer.warnings, ...mine.warnings],
    [
      'ignored the last-good configuration: it belongs to "sidecar~1"',
      "ignored the last-good configuration: another version of Outrigger wrote it",
      "ignored the last-good configuration: it is not intact",
    ],
  );
});

test("a disk that cannot be written is warned of once, and used again when it can", async () => {
  const blocked = path.join(directory, "blocked");
  writeFileSync(blocked, "");
  const { file, options, warnings } = rig({ file: path.join(blocked, "last-good.json") });
  await file.save(snapshot);
  await file.save(snapshot);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /cannot save the last-good configuration: going on without: .*(ENOTDIR|EEXIST)/);
  rmSync(blocked);
  await file.save(snapshot);
  assert.equal(statSync(options.file).mode & 0o777, 0o600);
});

test("a file of others' making beside it is no way in", async () => {
  const { file, options } = rig();
  await file.save(snapshot);
  chmodSync(options.file, 0o644);
  const planted = `${options.file}.${process.pid}.new`;
  writeFileSync(planted, "planted", { mode: 0o666 });
  await file.save(snapshot);
  assert.equal(statSync(options.file).mode & 0o777, 0o600);
  assert.notEqual(await file.load(), null);
});
