import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, test } from "node:test";
import { SimulatedClock, systemClock } from "../core/clock.ts";
import { UserError } from "../core/errors.ts";
import { DirectorySource } from "./directory.ts";
import type { ManifestSet } from "./manifest/merge.ts";
import { SILENT } from "./testing/test-mesh.ts";
import { until } from "./testing/until.ts";
import { serviceYaml } from "./testing/workloads.ts";

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Fixture {
  readonly source: DirectorySource;
  readonly seen: ManifestSet[];
  readonly write: (name: string, text: string) => void;
  readonly file: (name: string) => string;
  readonly keys: () => readonly string[];
}

async function open(clock = systemClock as SimulatedClock | typeof systemClock): Promise<Fixture> {
  const directory = mkdtempSync(path.join(os.tmpdir(), "outrigger-manifests-"));
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  const file = (name: string): string => path.join(directory, name);
  const source = new DirectorySource({ directory, clock, log: SILENT, debounceMs: 10 });
  await source.start();
  cleanups.push(() => source.close());
  const seen: ManifestSet[] = [];
  source.content.subscribe(({ manifests }) => seen.push(manifests));
  const keys = (): readonly string[] => [...(source.content.get()?.manifests.objects.keys() ?? [])].sort();
  return { source, seen, file, keys, write: (name, text) => writeFileSync(file(name), text) };
}

test("files that appear, change and go are followed, in folders too", async () => {
  const { write, file, keys, source } = await open();
  assert.deepEqual(keys(), []);
  write("a.yaml", serviceYaml("a"));
  await until("a", () => keys().join() === "Service/default/a");
  mkdirSync(file("team/inner"), { recursive: true });
  write("team/inner/b.yml", serviceYaml("b"));
  await until("b", () => keys().length === 2);
  write("team/inner/b.yml", serviceYaml("c"));
  await until("c", () => keys().join() === "Service/default/a,Service/default/c");
  rmSync(file("team"), { recursive: true });
  await until("gone", () => keys().join() === "Service/default/a");
  assert.deepEqual(source.content.get()?.manifests.rejections, []);
});

test("an editor that writes beside and renames is followed, and its other files are not read", async () => {
  const { write, file, keys, source, seen } = await open();
  write("a.yaml", serviceYaml("a", 1));
  await until("a", () => keys().length === 1);
  write(".a.yaml.swp", "not: [yaml");
  write("a.yaml~", "not: [yaml");
  write("4913", "");
  const before = seen.length;
  renameSync(file("a.yaml"), file("a.yaml~"));
  write("a.yaml.new", serviceYaml("a", 2));
  renameSync(file("a.yaml.new"), file("a.yaml"));
  const port = (): number | undefined => {
    const object = source.content.get()?.manifests.objects.get("Service/default/a");
    return object?.kind === "Service" ? object.value.spec.ports[0]?.port : undefined;
  };
  await until("the new text", () => port() === 2);
  assert.ok(
    seen.slice(before).every((set) => set.objects.size === 1 && set.rejections.length === 0),
    "never without it",
  );
});

test("a mounted ConfigMap, where links are swapped, is followed", async () => {
  const { write, file, keys } = await open();
  for (const [version, name] of [
    ["..v1", "a"],
    ["..v2", "b"],
  ] as const) {
    mkdirSync(file(version));
    write(`${version}/m.yaml`, serviceYaml(name));
  }
  symlinkSync("..v1", file("..data"));
  symlinkSync("..data/m.yaml", file("m.yaml"));
  await until("a", () => keys().join() === "Service/default/a");
  symlinkSync("..v2", file("..data_tmp"));
  renameSync(file("..data_tmp"), file("..data"));
  await until("b", () => keys().join() === "Service/default/b");
});

test("nothing is given out again while nothing changes, and what did not change is the same object", async () => {
  const { write, source, seen } = await open();
  write("a.yaml", serviceYaml("a"));
  await until("a", () => seen.at(-1)?.objects.size === 1);
  const a = seen.at(-1)?.objects.get("Service/default/a");
  const count = seen.length;
  await source.rescan();
  await source.rescan();
  assert.equal(seen.length, count);
  write("b.yaml", serviceYaml("b"));
  await until("b", () => seen.at(-1)?.objects.size === 2);
  assert.equal(seen.at(-1)?.objects.get("Service/default/a"), a);
});

test("the file that was there first is the older one, also after it is edited", async () => {
  const { write, source } = await open();
  write("z.yaml", serviceYaml("a", 1));
  await source.rescan();
  write("b.yaml", serviceYaml("a", 2));
  await source.rescan();
  write("z.yaml", serviceYaml("a", 3));
  await source.rescan();
  const object = source.content.get()?.manifests.objects.get("Service/default/a");
  assert.equal(object?.file, "z.yaml");
  assert.deepEqual(
    source.content.get()?.manifests.rejections.map(({ file }) => file),
    ["b.yaml"],
  );
});

test("without any event the directory is looked at now and then", async () => {
  const clock = new SimulatedClock();
  const { write, keys } = await open(clock);
  write("a.yaml", serviceYaml("a"));
  assert.deepEqual(keys(), []);
  // Events only arm the debounce, whose time stands still: this is the poll.
  clock.advance(5000);
  await until("a", () => keys().length === 1);
});

test("changes that never pause do not hold the newest state back", async () => {
  const { write, source } = await open();
  const port = (): number => {
    const object = source.content.get()?.manifests.objects.get("Service/default/a");
    return object?.kind === "Service" ? (object.value.spec.ports[0]?.port ?? 0) : 0;
  };
  let written = 0;
  // The quiet time is 10 ms, and there is none.
  await until("some of them", () => {
    write("a.yaml", serviceYaml("a", ++written));
    return port() > 0;
  });
  await until("the last one", () => port() === written);
});

test("a file that can't be read keeps what it gave", async () => {
  const { write, file, keys, source } = await open();
  write("a.yaml", serviceYaml("a"));
  await source.rescan();
  unlinkSync(file("a.yaml"));
  write("a.yaml", `# ${"x".repeat(4 * 1024 * 1024)}\n${serviceYaml("a")}`);
  await source.rescan();
  assert.deepEqual(keys(), ["Service/default/a"]);
  assert.match(source.content.get()?.manifests.rejections[0]?.problems[0]?.message ?? "", /larger than/);
});

test("a directory that is not there is a clear error", async () => {
  const source = new DirectorySource({ directory: "/nonexistent/dir", clock: systemClock, log: SILENT });
  await assert.rejects(source.start(), (error) => error instanceof UserError && /does not exist$/.test(error.message));
});
