import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { endpointCodec } from "./endpoint.ts";
import { endpointSet } from "./testing/arbitrary-cluster.ts";
import { decodeJson, problemsOf } from "./testing/from-json.ts";
import { assertRoundTrip } from "./testing/round-trip.ts";

const ADDRESS = { socket_address: { address: "10.0.0.1", port_value: 80 } };

test("an endpoint set survives the way to bytes and back", () => {
  fc.assert(
    fc.property(endpointSet, (value) => assertRoundTrip(endpointCodec, value)),
    { numRuns: 100 },
  );
});

test("health states mean what they mean to Envoy", () => {
  const states = ["UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED"];
  const lb_endpoints = states.map((health_status) => ({ health_status, endpoint: { address: ADDRESS } }));
  const set = decodeJson(endpointCodec, { cluster_name: "c", endpoints: [{ lb_endpoints }] });
  assert.deepEqual(
    set.localities[0]?.endpoints.map((endpoint) => endpoint.health),
    ["healthy", "healthy", "unhealthy", "draining", "unhealthy", "degraded"],
  );
});

test("metadata chooses the transport socket and names the workload; other names are left alone", () => {
  const metadata = {
    filter_metadata: {
      "envoy.transport_socket_match": { tlsMode: "istio" },
      outrigger: { workload: "orders-v2" },
      istio: { workload: "x;y" },
    },
  };
  const endpoints = [{ lb_endpoints: [{ metadata, endpoint: { address: ADDRESS } }] }];
  const endpoint = decodeJson(endpointCodec, { cluster_name: "c", endpoints }).localities[0]?.endpoints[0];
  assert.deepEqual(endpoint?.transportSocketMatch, { tlsMode: "istio" });
  assert.equal(endpoint?.workload, "orders-v2");
});

test("every broken endpoint is reported with its path", () => {
  const json = {
    endpoints: [
      {
        priority: 129,
        load_balancing_weight: 0,
        lb_endpoints: [
          {},
          { endpoint: { address: ADDRESS }, load_balancing_weight: 0 },
          { endpoint: { address: { socket_address: { address: "10.0.0.1", protocol: "UDP" } } } },
        ],
      },
    ],
    policy: { overprovisioning_factor: 0 },
  };
  assert.deepEqual(problemsOf(endpointCodec, json), [
    "endpoints: cluster_name: is required",
    "endpoints: policy.overprovisioning_factor: must be greater than 0",
    "endpoints: endpoints[0].load_balancing_weight: must be at least 1",
    "endpoints: endpoints[0].priority: must be at most 128",
    "endpoints: endpoints[0].lb_endpoints[0].endpoint: is required",
    "endpoints: endpoints[0].lb_endpoints[0].endpoint.address: an address is required",
    "endpoints: endpoints[0].lb_endpoints[1].load_balancing_weight: must be at least 1",
    "endpoints: endpoints[0].lb_endpoints[2].endpoint.address.socket_address.protocol: UDP is not supported",
    "endpoints: endpoints[0].lb_endpoints[2].endpoint.address.socket_address.port_value: is required",
  ]);
});
