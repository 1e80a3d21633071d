import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigSource } from "../../model/bootstrap.ts";
import type { ResourceKind } from "../../xds/resources.ts";
import type { ResourceSource } from "./source.ts";
import { SourceTable } from "./source-table.ts";

const ads: ConfigSource = { kind: "ads", initialFetchTimeoutMs: 15_000 };
const file = (path: string): ConfigSource => ({ kind: "file", path, initialFetchTimeoutMs: 15_000 });
const grpc = (cluster: string, initialFetchTimeoutMs = 15_000): ConfigSource => ({
  kind: "grpc",
  source: { variant: "state_of_the_world", clusters: [cluster], initialMetadata: [] },
  initialFetchTimeoutMs,
});

function rig(hasAds = true) {
  const log: string[] = [];
  const made = (name: string): ResourceSource => {
    log.push(`make ${name}`);
    return {
      start: () => log.push(`start ${name}`),
      want: (kind: ResourceKind, names) => log.push(`${name}: ${kind} [${[...names].join(",")}]`),
      status: () => ({ connected: true, target: name, server: "", lastError: "" }),
      close: () => log.push(`close ${name}`),
    };
  };
  const table = new SourceTable({
    ads: () => (hasAds ? made("ads") : null),
    single: (kind, source) => made(`${kind}@${source.kind === "file" ? source.path : source.source.clusters.join()}`),
  });
  return { table, log };
}

test("one aggregated stream serves every kind", () => {
  const { table, log } = rig();
  table.wantAll("cluster", ads);
  table.wantAll("listener", ads);
  table.want(
    "endpoint",
    new Map([
      ["a", undefined],
      ["b", ads],
    ]),
  );
  assert.deepEqual(log, ["make ads", "start ads", "ads: cluster []", "ads: listener []", "ads: endpoint [a,b]"]);
});

test("sources of their own are made for each kind and place, shared by names, and closed when nobody needs them", () => {
  const { table, log } = rig();
  table.want(
    "secret",
    new Map([
      ["x", grpc("agent")],
      ["y", grpc("agent", 0)],
      ["z", file("/s")],
    ]),
  );
  assert.deepEqual(log.splice(0), [
    "make secret@agent",
    "start secret@agent",
    "secret@agent: secret [x,y]",
    "make secret@/s",
    "start secret@/s",
    "secret@/s: secret [z]",
  ]);
  table.want("endpoint", new Map([["x", grpc("agent")]]));
  log.splice(0);
  table.want("secret", new Map([["z", file("/s")]]));
  assert.deepEqual(log, ["secret@/s: secret [z]", "close secret@agent"]);
  assert.deepEqual(
    table.status().map((status) => status.target),
    ["secret@/s", "endpoint@agent"],
  );
});

test("the aggregated stream hears when its last name of a kind is gone", () => {
  const { table, log } = rig();
  table.wantAll("cluster", ads);
  table.want("endpoint", new Map([["a", ads]]));
  table.want("endpoint", new Map());
  assert.equal(log.at(-1), "ads: endpoint []");
});

test("without an aggregated stream, what refers to it is not asked of anyone", () => {
  const { table, log } = rig(false);
  table.want("endpoint", new Map([["a", undefined]]));
  assert.deepEqual(log, []);
});
