import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ResourceSchema } from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import { unwrap } from "./unwrap.ts";

test("a wrapper gives name and resource; a time to live is refused", () => {
  const resource = { typeUrl: "t", value: Uint8Array.of(1) };
  const plain = unwrap(create(ResourceSchema, { name: "a", resource }), "7");
  assert.deepEqual([plain.name, plain.version, plain.resource.typeUrl, plain.problem], ["a", "7", "t", undefined]);
  const expiring = unwrap(create(ResourceSchema, { name: "a", resource, ttl: { seconds: 5n } }), "7");
  assert.match(expiring.problem ?? "", /ttl/);
  assert.equal(unwrap(create(ResourceSchema, { name: "a" }), "7").resource.value.length, 0);
});
