import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { MetricsRegistry } from "../metrics.ts";
import { type Direction, RequestMetrics } from "../request-metrics.ts";
import { StreamInfo } from "../stream-info.ts";
import { GrpcStatus } from "./status.ts";

interface Call {
  readonly path: string;
  readonly status?: number | null;
  /** Envoy's response code details. */
  readonly details?: string;
}

function finished({ path, status = 0, details = "via_upstream" }: Call): StreamInfo {
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
  info.startedAt = 1000;
  info.endedAt = 1004;
  info.responseCode = 200;
  info.responseCodeDetails = details;
  info.originalPath = path;
  info.grpc = { status, requestMessages: 2, responseMessages: 3 };
  return info;
}

function counted(calls: readonly Call[], direction: Direction): { text: string; calls: Record<string, number> } {
  const registry = new MetricsRegistry(new SimulatedClock());
  const recorder = new RequestMetrics(registry).forRoute("front", "orders", "r", direction);
  for (const call of calls) recorder.record(finished(call));
  const text = registry.text();
  const found = text.matchAll(/^outrigger_grpc_calls_total\{.*service="(.*)",method="(.*)",status="(.*)"\} (\d+)$/gm);
  return {
    text,
    calls: Object.fromEntries(
      [...found].map(([, service, method, status, n]) => [`${service} ${method} ${status}`, Number(n)]),
    ),
  };
}

test("a call is counted by service, method and status, with its duration and messages", () => {
  const ok = { path: "/shop.Orders/Get" };
  const { text, calls } = counted([ok, { ...ok, status: GrpcStatus.notFound }, ok], "outbound");
  assert.deepEqual(calls, { "shop.Orders Get OK": 2, "shop.Orders Get NOT_FOUND": 1 });
  const labels = 'direction="outbound",source="front",destination="orders",service="shop.Orders",method="Get"';
  assert.ok(text.includes(`outrigger_grpc_messages_total{${labels},side="request"} 6\n`), text);
  assert.ok(text.includes(`outrigger_grpc_messages_total{${labels},side="response"} 9\n`), text);
  assert.ok(text.includes(`outrigger_grpc_call_duration_seconds_bucket{le="0.005",${labels}} 3\n`), text);
  assert.ok(text.includes('outrigger_requests_total{direction="outbound",source="front"'), text);
});

test("a request that is no gRPC call leaves no trace here", () => {
  const registry = new MetricsRegistry(new SimulatedClock());
  const info = finished({ path: "/a/b" });
  info.grpc = null;
  new RequestMetrics(registry).forRoute("front", "orders", "r", "inbound").record(info);
  assert.doesNotMatch(registry.text(), /^outrigger_grpc_\w+\{/m);
});

test("statuses that nobody knows are one", () => {
  const path = "/a.S/M";
  const { calls } = counted(
    [
      { path, status: 99 },
      { path, status: -1 },
      { path, status: null },
    ],
    "outbound",
  );
  assert.deepEqual(calls, { "a.S M UNKNOWN": 3 });
});

test("on the way in a method is named once the application has answered for it", () => {
  const path = "/a.S/M";
  const denied = { path, status: GrpcStatus.permissionDenied, details: "rbac_access_denied_matched_policy" };
  const lacking = { path, status: GrpcStatus.unimplemented };
  const { calls } = counted([denied, lacking, { path }, denied, lacking], "inbound");
  assert.deepEqual(calls, {
    "other other PERMISSION_DENIED": 1,
    "other other UNIMPLEMENTED": 1,
    "a.S M OK": 1,
    "a.S M PERMISSION_DENIED": 1,
    "a.S M UNIMPLEMENTED": 1,
  });
});

test("the own application's calls are named at once, but for paths that are none", () => {
  const { calls } = counted(
    [
      { path: "/a.S/M", status: GrpcStatus.unimplemented },
      { path: "/" },
      { path: "/a/b/c" },
      { path: `/a/${"x".repeat(101)}` },
      { path: '/a"\n/b' },
    ],
    "outbound",
  );
  assert.deepEqual(calls, { "a.S M UNIMPLEMENTED": 1, "other other OK": 4 });
});

test("a caller that makes up methods does not make up series", () => {
  const made = Array.from({ length: 1500 }, (_, i) => ({ path: `/a.S/M${i}` }));
  for (const direction of ["inbound", "outbound"] as const) {
    const { calls } = counted(made, direction);
    assert.equal(Object.keys(calls).length, 501);
    assert.equal(calls["other other OK"], 1000);
  }
});
