import assert from "node:assert/strict";
import { test } from "node:test";
import { type Edge, edgesOf, quantileMs, since } from "./edges.ts";
import { parseExposition, sum } from "./scrape.ts";

function sidecar(ok: number, failed: number, breaker: number, ejected: number) {
  const edge = 'direction="outbound",source="shop.default",destination="orders.default",route="r"';
  const bucket = `outrigger_request_duration_seconds_bucket{${edge},code_class="2xx",le=`;
  return parseExposition(`
# HELP outrigger_requests_total Finished requests
outrigger_requests_total{${edge},code="200",flags="-"} ${ok}
outrigger_requests_total{${edge},code="503",flags="UF,\\"x\\""} ${failed}
outrigger_requests_total{${edge},code="0",flags="DC"} 1
outrigger_grpc_calls_total{${edge},service="s",method="m",status="UNAVAILABLE"} 2
outrigger_grpc_calls_total{${edge},service="s",method="m",status="NOT_FOUND"} 5
outrigger_requests_total{direction="inbound",source="shop.default",destination="orders.default",code="200"} 99
${bucket}"0.001"} 50
${bucket}"0.01"} 100
${bucket}"+Inf"} 100
outrigger_upstream_breaker_state{cluster="outbound|80||orders.default"} ${breaker}
outrigger_upstream_breaker_state{cluster="outbound|80||stock.default"} 2
outrigger_upstream_endpoints{cluster="outbound|80||orders.default",state="healthy"} 1
outrigger_upstream_endpoints{cluster="outbound|80||orders.default",state="ejected"} ${ejected}
`);
}

function only(edges: ReadonlyMap<string, Edge>): Edge {
  assert.deepEqual([...edges.keys()], ["shop.default orders.default"]);
  const [edge] = edges.values();
  assert.ok(edge);
  return edge;
}

test("an edge is what its callers' sidecars counted, with the worst of their states", () => {
  const edge = only(edgesOf([sidecar(7, 2, 0, 0), sidecar(3, 0, 1, 1)]));
  assert.equal(edge.requests, 14);
  assert.equal(edge.failed, 8);
  assert.equal(edge.breaker, "half open");
  assert.equal(edge.ejected, 1);
  assert.equal(edge.endpoints, 2);
});

test("what happened since an earlier look is a difference of counts, with the states of now", () => {
  const before = only(edgesOf([sidecar(7, 2, 2, 1)]));
  const now = only(edgesOf([sidecar(17, 3, 0, 0)]));
  const difference = since(now, before);
  assert.equal(difference.requests, 11);
  assert.equal(difference.failed, 1);
  assert.equal(difference.breaker, "closed");
  assert.equal(quantileMs(difference, 0.5), null);
  assert.equal(since(now, undefined), now);
});

test("a quantile is interpolated within its bucket", () => {
  const edge = only(edgesOf([sidecar(100, 0, 0, 0)]));
  assert.equal(quantileMs(edge, 0.25), 0.5);
  assert.equal(quantileMs(edge, 0.5), 1);
  assert.equal(quantileMs(edge, 0.75)?.toFixed(6), "5.500000");
});

test("a quantile beyond the last bound is that bound", () => {
  const edge = only(edgesOf([sidecar(1, 0, 0, 0)]));
  const buckets = new Map([
    [0.001, 1],
    [Number.POSITIVE_INFINITY, 10],
  ]);
  assert.equal(quantileMs({ ...edge, buckets }, 0.99), 1);
});

test("samples are summed by the labels that are asked for", () => {
  const samples = sidecar(7, 2, 0, 0);
  assert.equal(sum(samples, "outrigger_requests_total", { direction: "outbound" }), 10);
  assert.equal(sum(samples, "outrigger_requests_total", { direction: "outbound", code: "503" }), 2);
  assert.equal(sum(samples, "missing"), 0);
});
