import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterView, EndpointView } from "../../telemetry/cluster-view.ts";
import { CLUSTER, ENDPOINT, HTTP2 } from "../admin/testing/fake-source.ts";
import { countersOf, mergeReports, mergeWithEnded } from "./merge-reports.ts";
import type { WorkerReport } from "./messages.ts";

const EMPTY: WorkerReport = { families: [], clusters: [], stats: [], connections: new Map(), cpuSeconds: 0 };

const report = (clusters: readonly ClusterView[], more: Partial<WorkerReport> = {}): WorkerReport => ({
  ...EMPTY,
  clusters,
  ...more,
});

const cluster = (stats: object, endpoints: readonly EndpointView[] = [ENDPOINT], more = {}): ClusterView => ({
  ...CLUSTER,
  stats,
  endpoints,
  ...more,
});

test("amounts are added up, what all workers know alike is not", () => {
  const one = { upstream_rq_total: 3, upstream_cx_active: 2, membership_healthy: 4, update_success: 1 };
  const merged = mergeReports([
    report([cluster({ ...one, http2: { ...HTTP2, streams_active: 5 } })]),
    report([cluster({ ...one, update_success: 2, http2: { ...HTTP2, streams_active: 6 } })]),
  ]);
  assert.equal(merged.clusters.length, 1);
  assert.deepEqual(merged.clusters[0]?.stats, {
    upstream_rq_total: 6,
    upstream_cx_active: 4,
    membership_healthy: 4,
    update_success: 2,
    http2: { ...HTTP2, streams_active: 11 },
  });
  assert.deepEqual(merged.clusters[0]?.limits, CLUSTER.limits);
});

test("endpoints are put together by their address, out of service where a worker says so", () => {
  const other = { ...ENDPOINT, address: "127.0.0.1:10" };
  const out = { ...ENDPOINT, rq_total: 2, rq_active: 1, health: "ejected", out: "ejected for 30 s: 5 consecutive 5xx" };
  const [merged] = mergeReports([
    report([cluster({}, [{ ...ENDPOINT, rq_total: 5 }, other])]),
    report([cluster({}, [out])]),
  ]).clusters;
  assert.deepEqual(merged?.endpoints, [{ ...out, rq_total: 7 }, other]);
});

test("a breaker is in the worst state that a worker sees, and a cluster ready when it is in all", () => {
  const [merged] = mergeReports([
    report([cluster({}, [], { breaker: { state: "half_open" } })]),
    report([cluster({}, [], { breaker: { state: "open" }, ready: false })]),
    report([cluster({}, [], { breaker: { state: "closed" } })]),
  ]).clusters;
  assert.deepEqual([merged?.breaker, merged?.ready], [{ state: "open" }, false]);
});

test("counters of an ended worker stay, and what it held does not", () => {
  const ended = countersOf(
    report(
      [
        cluster({ upstream_rq_total: 9, upstream_rq_active: 3, membership_total: 2, http2: HTTP2 }, [
          { ...ENDPOINT, rq_total: 9, rq_active: 3, out: "ejected", health: "ejected" },
          { ...ENDPOINT, address: "gone:1", rq_total: 1 },
        ]),
        cluster({ upstream_rq_total: 1 }, [], { name: "gone" }),
      ],
      {
        stats: [
          ["http.h.downstream_rq_http1_total", 9],
          ["http.h.downstream_cx_http1_active", 4],
        ],
        connections: new Map([["main", 4]]),
        families: [
          { name: "g", help: "", type: "gauge", bounds: [], samples: [{ labels: "", value: 4, counts: null }] },
          { name: "c", help: "", type: "counter", bounds: [], samples: [{ labels: "", value: 9, counts: null }] },
        ],
      },
    ),
  );
  const live = report([cluster({ upstream_rq_total: 1, upstream_rq_active: 1, membership_total: 2, http2: HTTP2 })]);
  const merged = mergeWithEnded([live], [ended]);
  assert.deepEqual(
    merged.clusters.map(({ name, stats, endpoints }) => [name, stats, endpoints]),
    [
      [
        "up",
        { upstream_rq_total: 10, upstream_rq_active: 1, membership_total: 2, http2: HTTP2 },
        [{ ...ENDPOINT, rq_total: 9 }],
      ],
    ],
  );
  assert.deepEqual(merged.stats, [["http.h.downstream_rq_http1_total", 9]]);
  assert.equal(merged.connections.size, 0);
  assert.deepEqual(
    merged.families.map(({ name, samples }) => [name, samples[0]?.value]),
    [["c", 9]],
  );
});

test("histograms of several workers are one", () => {
  const family = (counts: number[], sum: number) => ({
    name: "h",
    help: "",
    type: "histogram" as const,
    bounds: [1, 2],
    samples: [{ labels: 'a="b"', value: sum, counts: Float64Array.from(counts) }],
  });
  const merged = mergeReports([
    { ...EMPTY, families: [family([1, 2, 0], 4)] },
    { ...EMPTY, families: [family([0, 1, 5], 60)] },
  ]);
  assert.deepEqual(merged.families, [family([1, 3, 5], 64)]);
});
