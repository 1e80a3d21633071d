/** That parts make the message that they are parts of. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from "../../generated/envoy/service/discovery/v3/discovery_pb.js";
import { TYPE_URLS } from "../../xds/resources.ts";
import { deltaResponse, sotwResponse } from "./response-bytes.ts";

const text = fc.string({ maxLength: 20 });
const resource = fc.record({
  name: text,
  version: text,
  bytes: fc.uint8Array({ maxLength: 50 }),
  aliases: fc.array(text, { maxLength: 2 }),
});
const response = fc.record({
  resources: fc.array(resource, { maxLength: 5 }),
  removed: fc.array(text, { maxLength: 3 }),
  version: text,
});

test("a delta response says what it was made of, also a second time", () => {
  fc.assert(
    fc.property(response, text, (given, nonce) => {
      for (const bytes of [deltaResponse("route", given, nonce), deltaResponse("route", given, nonce)]) {
        const read = fromBinary(DeltaDiscoveryResponseSchema, bytes);
        assert.deepEqual(
          [read.systemVersionInfo, read.nonce, read.typeUrl, read.removedResources],
          [given.version, nonce, TYPE_URLS.route, given.removed],
        );
        assert.deepEqual(
          read.resources.map(({ name, version, aliases, resource: any }) => {
            assert.equal(any?.typeUrl, TYPE_URLS.route);
            return { name, version, aliases, bytes: new Uint8Array(any?.value ?? []) };
          }),
          given.resources.map(({ bytes: value, ...rest }) => ({ ...rest, bytes: new Uint8Array(value) })),
        );
      }
    }),
  );
});

test("so does one of the world's state", () => {
  fc.assert(
    fc.property(response, text, (given, nonce) => {
      const read = fromBinary(DiscoveryResponseSchema, sotwResponse("cluster", given, nonce));
      assert.deepEqual([read.versionInfo, read.nonce, read.typeUrl], [given.version, nonce, TYPE_URLS.cluster]);
      assert.deepEqual(
        read.resources.map(({ typeUrl, value }) => [typeUrl, new Uint8Array(value)]),
        given.resources.map(({ bytes }) => [TYPE_URLS.cluster, new Uint8Array(bytes)]),
      );
    }),
  );
});
