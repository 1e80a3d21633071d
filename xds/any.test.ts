import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { formatProblem } from "../core/errors.ts";
import { RawBufferSchema } from "../generated/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { UpstreamTlsContextSchema } from "../generated/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { TypedStructSchema } from "../generated/xds/type/v3/typed_struct_pb.js";
import { packAny, typedStructType, unpackAny } from "./any.ts";
import { Place } from "./place.ts";
import { NO_WORLD } from "./testing/round-trip.ts";

const ALLOWED = [UpstreamTlsContextSchema, RawBufferSchema];

function unpack(any: Parameters<typeof unpackAny>[0]) {
  const at = Place.root(NO_WORLD);
  const message = unpackAny(any, ALLOWED, at.field("typed_config"));
  return { message, problems: at.findings.problems.map(formatProblem) };
}

function typedStruct(typeUrl: string, value: Record<string, string | number>) {
  return packAny(TypedStructSchema, create(TypedStructSchema, { typeUrl, value }));
}

test("gives the message that was packed", () => {
  const context = create(UpstreamTlsContextSchema, { sni: "a.example" });
  const { message, problems } = unpack(packAny(UpstreamTlsContextSchema, context));
  assert.deepEqual(problems, []);
  assert.deepEqual(message, context);
});

test("a TypedStruct of an allowed type counts as that type", () => {
  const any = typedStruct("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", {
    sni: "a",
  });
  const { message, problems } = unpack(any);
  assert.deepEqual(problems, []);
  assert.deepEqual(message, create(UpstreamTlsContextSchema, { sni: "a" }));
  assert.match(typedStructType(any) ?? "", /UpstreamTlsContext$/);
});

test("a TypedStruct is read as strictly as JSON", () => {
  const any = typedStruct("x/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", { sni: 1, nosuch: 1 });
  assert.deepEqual(unpack(any).problems, [
    "typed_config.value.sni: expected a string, got 1",
    'typed_config.value.nosuch: envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext has no field "nosuch"',
  ]);
});

test("what is missing, of another type or broken is an error that says so", () => {
  assert.deepEqual(unpack(undefined).problems, ["typed_config: is required"]);
  const supported = `(supported: ${ALLOWED.map((schema) => schema.typeName).join(", ")})`;
  assert.deepEqual(unpack(create(AnySchema, { typeUrl: "t/a.B" })).problems, [
    `typed_config: type a.B is not supported here ${supported}`,
  ]);
  assert.deepEqual(unpack(typedStruct("t/a.B", {})).problems, [
    `typed_config: type a.B is not supported here ${supported}`,
  ]);
  const typeUrl = `t/${UpstreamTlsContextSchema.typeName}`;
  const [problem] = unpack(create(AnySchema, { typeUrl, value: new Uint8Array([0x0a, 0xff]) })).problems;
  assert.match(
    problem ?? "",
    /^typed_config: not a valid envoy\.extensions\.transport_sockets\.tls\.v3\.UpstreamTlsContext: /,
  );
});
