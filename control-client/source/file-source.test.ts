import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { systemClock } from "../../core/clock.ts";
import { formatProblem } from "../../core/errors.ts";
import { noObserver } from "../observer.ts";
import type { ResourceUpdate } from "../resources.ts";
import { JsonDecoder } from "../testing/json-decoder.ts";
import { FileSource } from "./file-source.ts";

const directory = mkdtempSync(path.join(tmpdir(), "outrigger-file-source-"));
after(() => rmSync(directory, { recursive: true, force: true }));

function rig(kind: "cluster" | "endpoint", file: string) {
  const updates: ResourceUpdate[] = [];
  const refused: string[] = [];
  let wake = (): void => {};
  const source = new FileSource({
    kind,
    path: file,
    clock: systemClock,
    decoder: new JsonDecoder(),
    observer: noObserver,
    sink: {
      update(update) {
        updates.push(update);
        wake();
      },
      refused(_, names, problems) {
        refused.push(`${names.join(",")}: ${problems.map(formatProblem).join("; ")}`);
        wake();
      },
    },
  });
  /** Resolves when `ready` holds. */
  const until = (ready: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      wake = () => {
        if (ready()) resolve();
      };
      wake();
    });
  return { source, updates, refused, until };
}

function content(version: string, ...resources: object[]): string {
  return JSON.stringify({ version_info: version, resources }, null, 2);
}

/** As a careful writer does it: beside, then moved over. */
function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

test("hands on what a file of clusters holds, what is new in it and what left it", async () => {
  const file = path.join(directory, "cds.json");
  writeFileSync(file, content("1", { name: "a" }, { name: "b" }));
  const { source, updates, until } = rig("cluster", file);
  source.start();
  await until(() => updates.length === 1);
  assert.deepEqual([...(updates[0]?.upserts.keys() ?? [])], ["a", "b"]);
  assert.equal(updates[0]?.version, "1");
  assert.equal(source.status().connected, true);
  replace(file, content("2", { name: "a" }, { name: "c" }));
  await until(() => updates.length === 2);
  assert.deepEqual([...(updates[1]?.upserts.keys() ?? [])], ["c"]);
  assert.deepEqual(updates[1]?.removed, ["b"]);
  source.close();
});

test("a file that is no longer good leaves its last good content in force", async () => {
  const file = path.join(directory, "bad.json");
  writeFileSync(file, content("1", { name: "a" }));
  const { source, updates, refused, until } = rig("cluster", file);
  source.start();
  await until(() => updates.length === 1);
  replace(file, content("2", { name: "a", bad: { lb_policy: "is wrong" } }));
  await until(() => refused.length === 1);
  assert.match(refused[0] ?? "", /^a: .*bad.json:4:5: resource "a": resources\[0\].lb_policy: is wrong$/);
  assert.equal(updates.length, 2);
  assert.deepEqual([updates[1]?.upserts.size, updates[1]?.removed], [0, []]);
  replace(file, '{"version_info": "3", "resources": [');
  await until(() => refused.length === 2);
  assert.match(refused[1] ?? "", /bad.json:1:/);
  assert.equal(updates.length, 2);
  replace(file, content("4", { name: "a", v: 4 }));
  await until(() => updates.length === 3);
  assert.deepEqual([...(updates[2]?.upserts.keys() ?? [])], ["a"]);
  source.close();
});

test("endpoints are handed on by name, when they are wanted", async () => {
  const file = path.join(directory, "eds.json");
  writeFileSync(file, content("1", { name: "a" }, { name: "b" }));
  const { source, updates, until } = rig("endpoint", file);
  source.want("endpoint", new Set(["a"]));
  source.start();
  await until(() => updates.length === 1);
  assert.deepEqual([...(updates[0]?.upserts.keys() ?? [])], ["a"]);
  source.want("endpoint", new Set(["a", "b"]));
  assert.deepEqual([...(updates[1]?.upserts.keys() ?? [])], ["b"]);
  // Wanted anew, it is handed on anew.
  source.want("endpoint", new Set(["b"]));
  source.want("endpoint", new Set(["a", "b"]));
  assert.deepEqual([...(updates.at(-1)?.upserts.keys() ?? [])], ["a"]);
  replace(file, content("2", { name: "b" }));
  await until(() => updates.at(-1)?.version === "2");
  assert.deepEqual(updates.at(-1)?.removed, []);
  source.close();
});

test("a file, and its directory, may come later", async () => {
  const late = path.join(directory, "late");
  const file = path.join(late, "cds.json");
  const { source, updates, until } = rig("cluster", file);
  source.start();
  while (!source.status().lastError.includes("ENOENT")) await new Promise((resolve) => setImmediate(resolve));
  mkdirSync(late);
  writeFileSync(file, content("1", { name: "a" }));
  await until(() => updates.length === 1);
  assert.equal(source.status().lastError, "");
  source.close();
});

test("a closed source says nothing more", async () => {
  const file = path.join(directory, "closed.json");
  writeFileSync(file, content("1", { name: "a" }));
  const { source, updates } = rig("cluster", file);
  source.start();
  source.close();
  await new Promise((resolve) => systemClock.after(100, () => resolve(undefined)));
  assert.equal(updates.length, 0);
});
