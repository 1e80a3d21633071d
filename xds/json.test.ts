import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry, equals, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { formatProblem } from "../core/errors.ts";
import { type Cluster, ClusterSchema } from "../generated/envoy/config/cluster/v3/cluster_pb.js";
import { HttpProtocolOptionsSchema } from "../generated/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { clusterCodec } from "./cluster.ts";
import { messageFromJson } from "./json.ts";
import { Place } from "./place.ts";
import { EXTENSION_TYPES } from "./registry.ts";
import { cluster as arbitraryCluster } from "./testing/arbitrary-cluster.ts";
import { NO_WORLD } from "./testing/round-trip.ts";

const registry = createRegistry(...EXTENSION_TYPES);

function parse(json: unknown): { message: Cluster; problems: string[] } {
  const at = Place.root(NO_WORLD);
  const message = messageFromJson(ClusterSchema, json, at);
  return { message, problems: at.findings.problems.map(formatProblem) };
}

test("gives what protobuf-es gives, in both spellings", () => {
  fc.assert(
    fc.property(arbitraryCluster, fc.boolean(), (model, useProtoFieldName) => {
      const json = toJson(ClusterSchema, clusterCodec.encode(model), { registry, useProtoFieldName });
      const { message, problems } = parse(json);
      assert.deepEqual(problems, []);
      assert.deepEqual(
        toBinary(ClusterSchema, message),
        toBinary(ClusterSchema, fromJson(ClusterSchema, json, { registry })),
      );
    }),
    { numRuns: 50 },
  );
});

test("an Any holds the bytes of what its JSON says", () => {
  const options = {
    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    explicitHttpConfig: { httpProtocolOptions: {} },
  };
  const { message } = parse({ typed_extension_protocol_options: { x: options } });
  const any = message.typedExtensionProtocolOptions["x"];
  assert.ok(any);
  assert.ok(equals(AnySchema, any, fromJson(AnySchema, options, { registry })));
  assert.equal(HttpProtocolOptionsSchema.typeName, options["@type"].split("/")[1]);
});

const WRONG: [object, string][] = [
  [{ nosuch: 1 }, 'nosuch: envoy.config.cluster.v3.Cluster has no field "nosuch"'],
  [{ health_checks: [] }, "health_checks: is not supported"],
  [{ healthChecks: [] }, "healthChecks: is not supported"],
  [{ name: 5 }, "name: expected a string, got 5"],
  [{ respectDnsTtl: "yes" }, 'respect_dns_ttl: expected true or false, got "yes"'],
  [{ filters: {} }, "filters: expected a list, got an object"],
  [{ metadata: [] }, "metadata: expected an object, got a list"],
  [{ metadata: { filter_metadata: [] } }, "metadata.filter_metadata: expected an object, got a list"],
  [{ metadata: { filter_metadata: { a: 1 } } }, 'metadata.filter_metadata["a"]: expected an object, got a number'],
  [
    { lb_policy: "BEST" },
    'lb_policy: expected one of ROUND_ROBIN, LEAST_REQUEST, RING_HASH, RANDOM, MAGLEV, CLUSTER_PROVIDED, LOAD_BALANCING_POLICY_CONFIG, got "BEST"',
  ],
  [{ connect_timeout: "5" }, 'connect_timeout: expected a duration in seconds such as "1.5s", got "5"'],
  [{ connect_timeout: 5 }, 'connect_timeout: expected a duration in seconds such as "1.5s", got 5'],
  [
    { per_connection_buffer_limit_bytes: -1 },
    "per_connection_buffer_limit_bytes: expected a non-negative 32-bit integer, got -1",
  ],
  [
    { per_connection_buffer_limit_bytes: 4294967296 },
    "per_connection_buffer_limit_bytes: expected a non-negative 32-bit integer, got 4294967296",
  ],
  [
    { ring_hash_lb_config: { minimum_ring_size: 1.5 } },
    "ring_hash_lb_config.minimum_ring_size: expected a non-negative 64-bit integer, got 1.5",
  ],
  [
    { ring_hash_lb_config: {}, round_robin_lb_config: {} },
    "round_robin_lb_config: only one of ring_hash_lb_config, least_request_lb_config, round_robin_lb_config may be set",
  ],
  [{ transport_socket: { typed_config: { a: 1 } } }, 'transport_socket.typed_config: expected an object with "@type"'],
  [{ filters: [{ name: "a" }, 7] }, "filters[1]: expected an object, got a number"],
];

for (const [json, problem] of WRONG) {
  test(`refused: ${JSON.stringify(json)}`, () => assert.deepEqual(parse(json).problems, [problem]));
}

test("everything wrong is reported at once", () => {
  const { problems } = parse({ nosuch: 1, name: 5, eds_cluster_config: { nosuch: 1 }, filters: [{ x: 1 }] });
  assert.equal(problems.length, 4);
});

test("numbers may be strings, null is not set, an enum may be its number", () => {
  const json = {
    per_connection_buffer_limit_bytes: "7",
    name: null,
    lb_policy: 3,
    ring_hash_lb_config: { minimum_ring_size: "9" },
  };
  const { message, problems } = parse(json);
  assert.deepEqual(problems, []);
  assert.equal(message.perConnectionBufferLimitBytes, 7);
  assert.equal(message.name, "");
  assert.equal(message.lbPolicy, 3);
  assert.ok(message.lbConfig.case === "ringHashLbConfig");
  assert.equal(message.lbConfig.value.minimumRingSize, 9n);
});

test("never throws, whatever the JSON", () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom("name", "filters", "metadata", "transport_socket", "x"),
      (value, key) => {
        parse(value as JsonValue);
        parse({ [key]: value });
      },
    ),
  );
});
