import assert from "node:assert/strict";
import { test } from "node:test";
import { LazySource } from "./lazy-source.ts";
import type { ResourceSource } from "./source.ts";

function rig() {
  const log: string[] = [];
  const source: ResourceSource = {
    start: () => log.push("start"),
    want: (kind, names) => log.push(`${kind} [${[...names].join()}]`),
    status: () => ({ connected: true, target: "t", server: "", lastError: "" }),
    close: () => log.push("close"),
  };
  const { promise, resolve } = Promise.withResolvers<ResourceSource>();
  const lazy = new LazySource(() => {
    log.push("load");
    return promise;
  });
  return { log, lazy, loaded: () => Promise.resolve(resolve(source)) };
}

test("what was wanted meanwhile is wanted when it is there, the newest of each kind", async () => {
  const { log, lazy, loaded } = rig();
  lazy.want("cluster", new Set());
  assert.deepEqual(log, []);
  lazy.start();
  lazy.want("endpoint", new Set(["a"]));
  lazy.want("endpoint", new Set(["b"]));
  assert.equal(lazy.status().connected, false);
  await loaded();
  assert.deepEqual(log, ["load", "cluster []", "endpoint [b]", "start"]);
  lazy.want("route", new Set(["r"]));
  lazy.close();
  assert.deepEqual(log.slice(4), ["route [r]", "close"]);
  assert.equal(lazy.status().target, "t");
});

test("closed before it is there, it is never started", async () => {
  const { log, lazy, loaded } = rig();
  lazy.start();
  lazy.close();
  await loaded();
  assert.deepEqual(log, ["load"]);
});
