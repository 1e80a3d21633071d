import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clusterCodec } from "./cluster.ts";
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

const withMore = (type: string, address: object): object => {
  const more = [{ address: { socket_address: { address: "fd77::3", port_value: 80 } } }, { address }];
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: ADDRESS, additional_addresses: more } }] }];
  return { name: "c", type, load_assignment: { cluster_name: "c", endpoints } };
};
const PIPE = { pipe: { path: "/run/c" } };

test("an endpoint has its additional addresses where they are of use", () => {
  const { discovery } = decodeJson(clusterCodec, withMore("STATIC", PIPE));
  assert.deepEqual(
    discovery.kind === "static" && discovery.endpoints.localities[0]?.endpoints[0]?.additionalAddresses,
    [
      { kind: "tcp", host: "fd77::3", port: 80 },
      { kind: "pipe", path: "/run/c" },
    ],
  );
  // What Envoy does not look at is not kept; that it is of no use is told.
  const name = { socket_address: { address: "db", port_value: 80 } };
  const resolved = decodeJson(clusterCodec, withMore("STRICT_DNS", name));
  assert.ok(resolved.discovery.kind === "strict_dns");
  assert.equal(resolved.discovery.endpoints.localities[0]?.endpoints[0]?.additionalAddresses, undefined);
});

test("additional addresses are held to what addresses are held to", () => {
  const where = "endpoints[0].lb_endpoints[0].endpoint.additional_addresses[1].address";
  const wrong = (type: string, address: object): readonly string[] => problemsOf(clusterCodec, withMore(type, address));
  assert.deepEqual(wrong("STATIC", {}), [`cluster "c": load_assignment.${where}: an address is required`]);
  assert.deepEqual(wrong("STRICT_DNS", {}), [`cluster "c": load_assignment.${where}: an address is required`]);
  const name = { socket_address: { address: "db", port_value: 80 } };
  assert.deepEqual(wrong("STATIC", name), [
    `cluster "c": load_assignment.${where}.socket_address.address: malformed IP address: db`,
  ]);
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
