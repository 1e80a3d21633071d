/** What is asked for, kept and known not to exist. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AskedNames } from "./asked-names.ts";
import type { ResourceUpdate } from "./resources.ts";

function rig() {
  const sent: { readonly names: readonly string[]; readonly dropped: readonly string[] }[] = [];
  const asked = new AskedNames((names, dropped) => void sent.push({ names, dropped }));
  const update = (removed: readonly string[], aliases: readonly string[] = []): ResourceUpdate => ({
    kind: "listener",
    version: "1",
    upserts: new Map(),
    removed,
    aliases,
  });
  return { sent, asked, update };
}

test("a name is absent from when it is said so until it is an alias", () => {
  const { asked, update } = rig();
  asked.ask("on-demand|a");
  asked.ask("on-demand|b");
  asked.take(update(["on-demand|a", "on-demand|never asked", "outbound|80||a.b"]));
  assert.deepEqual(asked.absent.get(), new Set(["on-demand|a"]));
  asked.take({ ...update(["on-demand|b"]), kind: "cluster" } as ResourceUpdate);
  assert.deepEqual(asked.absent.get(), new Set(["on-demand|a"]));
  asked.take(update([], ["on-demand|a"]));
  assert.deepEqual(asked.absent.get(), new Set());
});

test("a name is asked for as often as somebody asks", () => {
  const { asked, sent } = rig();
  asked.ask("on-demand|a");
  asked.ask("on-demand|a");
  assert.deepEqual(sent, [
    { names: ["on-demand|a"], dropped: [] },
    { names: ["on-demand|a"], dropped: [] },
  ]);
});

test("4,096 names are kept, those asked for last; of others nothing is known", () => {
  const { asked, sent, update } = rig();
  for (let i = 0; i < 4096; i++) asked.ask(`on-demand|${i}`);
  asked.take(update(["on-demand|0", "on-demand|1"]));
  asked.ask("on-demand|0");
  asked.ask("on-demand|more");
  assert.deepEqual(sent.at(-1), { names: ["on-demand|more"], dropped: ["on-demand|1"] });
  assert.deepEqual(asked.absent.get(), new Set(["on-demand|0"]));
});
