import assert from "node:assert/strict";
import { test } from "node:test";
import { serviceYaml } from "../testing/workloads.ts";
import { type ManifestFile, type ManifestSet, mergeManifests, NO_MANIFESTS } from "./merge.ts";
import { parseManifests } from "./parse.ts";

function file(name: string, text: string): ManifestFile {
  return { file: name, documents: parseManifests(name, text) };
}

function ports(set: ManifestSet): Record<string, number | undefined> {
  return Object.fromEntries(
    [...set.objects].map(([key, object]) => [key, object.kind === "Service" ? object.value.spec.ports[0]?.port : 0]),
  );
}

const BROKEN = serviceYaml("a").replace("port:", "prot:");

test("the older file keeps a name that two claim, and the other is told", () => {
  const set = mergeManifests(
    [file("old.yaml", serviceYaml("a", 1)), file("new.yaml", serviceYaml("a", 2))],
    NO_MANIFESTS,
  );
  assert.deepEqual(ports(set), { "Service/default/a": 1 });
  assert.deepEqual(
    set.rejections.map(({ file: name, inForce, problems }) => [name, inForce, problems[0]?.message]),
    [["new.yaml", "older object", "is already given by old.yaml:2, which is older and stays in force"]],
  );
});

test("when the older one goes, the other takes its place", () => {
  const newer = file("new.yaml", serviceYaml("a", 2));
  const before = mergeManifests([file("old.yaml", serviceYaml("a", 1)), newer], NO_MANIFESTS);
  const after = mergeManifests([newer], before);
  assert.deepEqual([ports(after), after.rejections], [{ "Service/default/a": 2 }, []]);
});

test("a broken object keeps its last good version, however often it is broken", () => {
  const first = mergeManifests([file("f.yaml", serviceYaml("a", 1) + serviceYaml("b", 2))], NO_MANIFESTS);
  const second = mergeManifests([file("f.yaml", BROKEN + serviceYaml("b", 3))], first);
  const third = mergeManifests([file("f.yaml", BROKEN + serviceYaml("b", 4))], second);
  assert.deepEqual(ports(third), { "Service/default/a": 1, "Service/default/b": 4 });
  assert.equal(third.objects.get("Service/default/a"), first.objects.get("Service/default/a"));
  assert.equal(third.rejections[0]?.inForce, "last good version");
});

test("a broken object that was never good is just refused", () => {
  const set = mergeManifests([file("f.yaml", BROKEN)], NO_MANIFESTS);
  assert.equal(set.objects.size, 0);
  assert.deepEqual(
    set.rejections.map(({ inForce }) => inForce),
    ["nothing"],
  );
});

test("a text without readable names keeps what the file gave and does not give any more", () => {
  const first = mergeManifests([file("f.yaml", serviceYaml("a", 1) + serviceYaml("b", 2))], NO_MANIFESTS);
  const second = mergeManifests([file("f.yaml", `---\nkind: [\n${serviceYaml("b", 3)}`)], first);
  assert.equal(ports(second)["Service/default/a"], 1);
});

test("an object that is taken out of its file is gone", () => {
  const first = mergeManifests([file("f.yaml", serviceYaml("a", 1) + serviceYaml("b", 2))], NO_MANIFESTS);
  const second = mergeManifests([file("f.yaml", serviceYaml("b", 2))], first);
  assert.deepEqual(ports(second), { "Service/default/b": 2 });
});

test("a broken object does not keep a name from another file that gives it well", () => {
  const good = file("g.yaml", serviceYaml("a", 5));
  const first = mergeManifests([file("f.yaml", serviceYaml("a", 1)), good], NO_MANIFESTS);
  assert.deepEqual(ports(first), { "Service/default/a": 1 });
  const second = mergeManifests([file("f.yaml", BROKEN), good], first);
  assert.deepEqual(ports(second), { "Service/default/a": 1 }, "the older file's last good version holds");
  const third = mergeManifests([good], second);
  assert.deepEqual(ports(third), { "Service/default/a": 5 });
});
