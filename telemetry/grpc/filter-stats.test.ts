import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../core/header-map.ts";
import type { GrpcStats } from "../../model/http.ts";
import { StreamInfo } from "../stream-info.ts";
import { GrpcFilterStats } from "./filter-stats.ts";

const ALL: GrpcStats = { methods: "all", emitFilterState: false, upstreamStats: false, replaceDots: false };

function call(path: string, cluster = "up"): StreamInfo {
  const info = new StreamInfo({
    id: 1,
    remoteAddress: "127.0.0.1",
    remotePort: 1,
    localAddress: "127.0.0.1",
    localPort: 2,
    tls: null,
    listener: "",
    filterChain: "",
  });
  info.originalPath = path;
  info.cluster = cluster;
  info.grpc = { status: 0, requestMessages: 1, responseMessages: 2 };
  return info;
}

const status = (value: string): HeaderMap => HeaderMap.of({ "grpc-status": value });

/** Names and values after the calls, "cluster.up.grpc." taken off. */
function statsAfter(config: GrpcStats, calls: readonly (readonly [StreamInfo, HeaderMap | null, HeaderMap | null])[]) {
  const stats = new GrpcFilterStats();
  const record = stats.recorder(config);
  for (const one of calls) record(...one);
  return Object.fromEntries([...stats.stats()].map(([name, value]) => [name.replace("cluster.up.grpc.", ""), value]));
}

test("calls are counted under Envoy's names", () => {
  const head = HeaderMap.of({});
  const stats = statsAfter(ALL, [
    [call("/a.b.S/M"), head, status("0")],
    [call("/a.b.S/M?x=1"), status("14"), null],
    [call("/a.b.S/M"), status("abc"), null],
    [call("/a.b.S/M"), head, null],
  ]);
  assert.deepEqual(stats, {
    "a.b.S.M.0": 1,
    "a.b.S.M.14": 1,
    "a.b.S.M.abc": 1,
    "a.b.S.M.success": 1,
    "a.b.S.M.failure": 2,
    "a.b.S.M.total": 3,
    "a.b.S.M.request_message_count": 4,
    "a.b.S.M.response_message_count": 8,
  });
});

test("a service's dots can be replaced; what is no method, or goes to no cluster, does not count", () => {
  const stats = statsAfter({ ...ALL, replaceDots: true }, [
    [call("/a.b.S/M"), null, status("0")],
    [call("/a"), null, status("0")],
    [call("/a/b/c"), null, status("0")],
    [call("//b"), null, status("0")],
    [call("/a.b.S/M", ""), null, status("0")],
  ]);
  assert.equal(stats["a_b_S.M.total"], 1);
  assert.equal(Object.keys(stats).length, 6);
});

test("methods that are not listed are counted together", () => {
  const listed = { ...ALL, methods: [{ service: "a.S", methods: ["M", "N"] }], replaceDots: true };
  const calls = ["/a.S/M", "/a.S/N", "/a.S/O", "/b.S/M"].map((path) => [call(path), null, status("0")] as const);
  const stats = statsAfter(listed, calls);
  assert.deepEqual([stats["a.S.M.total"], stats["a.S.N.total"], stats["total"], stats["0"]], [1, 1, 2, 2]);
  assert.equal(statsAfter({ ...ALL, methods: "none" }, calls)["total"], 4);
});

test("an upstream that makes up statuses finds an end", () => {
  const odd = Array.from({ length: 200 }, (_, i) => [call("/a.S/M"), null, status(`x${i}`)] as const);
  const stats = statsAfter(ALL, [...odd, [call("/a.S/M"), null, status("y".repeat(11))]]);
  assert.equal(stats["a.S.M.total"], 201);
  assert.equal(stats["a.S.M.other"], 151);
});

test("a caller that makes up methods finds an end", () => {
  const calls = Array.from({ length: 3000 }, (_, i) => [call(`/a.S/M${i}`), null, status("0")] as const);
  const stats = statsAfter(ALL, calls);
  assert.equal(Object.keys(stats).filter((name) => name.endsWith("total")).length, 1001);
  assert.equal(stats["total"], 2000);
});
