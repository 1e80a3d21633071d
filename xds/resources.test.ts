import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { formatProblem } from "../core/errors.ts";
import { ResourceSchema } from "../generated/envoy/service/discovery/v3/discovery_pb.js";
import { packAny } from "./any.ts";
import { decodeResource, encodeResource, kindOf, type ResourceKind, TYPE_URLS } from "./resources.ts";
import { cluster, endpointSet } from "./testing/arbitrary-cluster.ts";
import { listener } from "./testing/arbitrary-listener.ts";
import { routeTable } from "./testing/arbitrary-route.ts";
import { secret } from "./testing/arbitrary-tls.ts";
import { NO_WORLD } from "./testing/round-trip.ts";

const KINDS = Object.keys(TYPE_URLS) as ResourceKind[];

const resource = fc.oneof(
  fc.record({ kind: fc.constant("cluster" as const), value: cluster }),
  fc.record({ kind: fc.constant("endpoint" as const), value: endpointSet }),
  fc.record({ kind: fc.constant("listener" as const), value: listener }),
  fc.record({ kind: fc.constant("route" as const), value: routeTable }),
  fc.record({ kind: fc.constant("secret" as const), value: secret }),
);

test("every kind survives an Any, also inside a Resource", () => {
  fc.assert(
    fc.property(resource, fc.boolean(), ({ kind, value }, wrapped) => {
      const any = encodeResource(kind, value);
      const sent = wrapped ? packAny(ResourceSchema, create(ResourceSchema, { name: "n", resource: any })) : any;
      const decoded = decodeResource(TYPE_URLS[kind], sent, NO_WORLD);
      assert.ok(decoded.ok);
      assert.equal(decoded.value.kind, kind);
      assert.equal(decoded.value.name, value.name);
      assert.deepEqual(decoded.value.value, structuredClone(value));
    }),
    { numRuns: 60 },
  );
});

test("a resource of another type than the response's is refused", () => {
  const any = create(AnySchema, { typeUrl: TYPE_URLS.listener });
  const decoded = decodeResource(TYPE_URLS.cluster, any, NO_WORLD);
  assert.deepEqual(decoded.ok ? [] : decoded.problems.map(formatProblem), [
    "expected a resource of type envoy.config.cluster.v3.Cluster, got envoy.config.listener.v3.Listener",
  ]);
  assert.equal(kindOf("type.googleapis.com/a.B"), undefined);
});

test("no bytes make the decoder throw", () => {
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), fc.uint8Array({ maxLength: 60 }), (kind, value) => {
      decodeResource(TYPE_URLS[kind], create(AnySchema, { typeUrl: TYPE_URLS[kind], value }), NO_WORLD);
    }),
    { numRuns: 1000 },
  );
});

test("no damage to good bytes makes the decoder throw", () => {
  fc.assert(
    fc.property(resource, fc.nat(), fc.integer({ min: 0, max: 255 }), ({ kind, value }, at, byte) => {
      const any = encodeResource(kind, value);
      any.value[at % any.value.length] = byte;
      const decoded = decodeResource(TYPE_URLS[kind], any, NO_WORLD);
      if (!decoded.ok) assert.ok(decoded.problems.length > 0);
    }),
    { numRuns: 300 },
  );
});
