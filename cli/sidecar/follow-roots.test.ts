import assert from "node:assert/strict";
import * as fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { WatchCell } from "../../core/watch.ts";
import { EMPTY_SNAPSHOT, type Snapshot } from "../../model/snapshot.ts";
import { WORKLOAD_ROOTS } from "../../model/tls.ts";
import { followRoots } from "./follow-roots.ts";

const dir = fs.mkdtempSync(path.join(os.tmpdir(), "outrigger-roots-"));
after(() => fs.rmSync(dir, { recursive: true, force: true }));

const pem = (name: string): string => `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`;

function snapshotWith(roots: string): Snapshot {
  const secret = { kind: "trust", name: WORKLOAD_ROOTS, material: { roots, crl: "" } } as const;
  return { ...EMPTY_SNAPSHOT, secrets: new Map([[WORKLOAD_ROOTS, secret]]) };
}

function fixture(file?: string) {
  const clock = new SimulatedClock();
  const snapshots = new WatchCell<Snapshot>();
  const told: string[] = [];
  const complaints: string[] = [];
  const complain = (_: object, message: string): void => void complaints.push(message);
  const identity = {
    updateRoots(roots: string) {
      if (roots.includes("bad")) throw new Error("the new trust bundle holds no certificate");
      told.push(roots);
    },
  };
  followRoots({ identity, snapshots, file, clock, log: { debug() {}, info() {}, warn: complain, error: complain } });
  return { clock, snapshots, told, complaints };
}

test("what the control plane sends is told once, however many snapshots it is in", () => {
  const { snapshots, told, complaints } = fixture();
  snapshots.set(EMPTY_SNAPSHOT);
  snapshots.set(snapshotWith(pem("a")));
  snapshots.set(snapshotWith(pem("a")));
  snapshots.set(snapshotWith(pem("b")));
  assert.deepEqual(told, [pem("a"), pem("b")]);
  snapshots.set(snapshotWith("bad"));
  assert.deepEqual(complaints, ["roots that cannot be used: from the control plane"]);
});

test("a file is looked at again and again, and told when it has changed", () => {
  const file = path.join(dir, "roots.pem");
  fs.writeFileSync(file, pem("a"));
  const { clock, told } = fixture(file);
  clock.advance(60_000);
  assert.equal(told.length, 0, "what it began with");
  fs.writeFileSync(file, pem("b"));
  clock.advance(10_000);
  assert.equal(told.length, 1);
  fs.rmSync(file);
  clock.advance(30_000);
  fs.writeFileSync(file, "nothing");
  clock.advance(30_000);
  fs.writeFileSync(file, pem("c"));
  clock.advance(30_000);
  assert.deepEqual(
    told.map((roots) => roots.trim()),
    [pem("b").trim(), pem("c").trim()],
  );
});
