/** Which ends of exchanges are told to whom. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "../../core/clock.ts";
import { GrpcFilterStats } from "../../telemetry/grpc/filter-stats.ts";
import { MetricsRegistry } from "../../telemetry/metrics.ts";
import { RequestMetrics } from "../../telemetry/request-metrics.ts";
import { StreamInfo } from "../../telemetry/stream-info.ts";
import { connection, request } from "../../test/support/routes.ts";
import { ResponseHead } from "./message.ts";
import { compileObserve } from "./observe.ts";

test("what access rules refused is told to operators with its sentence, and nothing else is", () => {
  const denied: string[] = [];
  const observe = compileObserve({
    metrics: new RequestMetrics(new MetricsRegistry(new SimulatedClock())),
    accessLogs: [],
    filters: [],
    grpcStats: new GrpcFilterStats(),
    direction: "inbound",
    workload: "orders.shop",
    destination: (cluster) => cluster,
    onDenied: ({ explanation }) => denied.push(explanation),
  });
  const ends = [
    ["rbac_access_denied_matched_policy[none]", "no policy allows this call", 403],
    // The application's own, and a failure with a sentence.
    ["via_upstream", "", 403],
    ["upstream_reset_before_response_started", "the upstream could not be reached", 503],
  ] as const;
  for (const [details, explanation, code] of ends) {
    const info = Object.assign(new StreamInfo(connection()), { responseCodeDetails: details, explanation });
    info.responseCode = code;
    observe(info, request("/"), new ResponseHead(), null, null);
  }
  assert.deepEqual(denied, ["no policy allows this call"]);
});
