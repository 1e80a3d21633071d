import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../../../core/header-map.ts";
import { FieldKind, isValue, kindOfName, tagOfName } from "./field.ts";

test("names are known by their kind", () => {
  const kinds: [string, number][] = [
    ["x-custom", FieldKind.regular],
    ["grpc-status", FieldKind.regular],
    [":method", FieldKind.method],
    [":scheme", FieldKind.scheme],
    [":authority", FieldKind.authority],
    [":path", FieldKind.path],
    [":status", FieldKind.status],
    [":protocol", FieldKind.protocol],
    [":methods", FieldKind.unknownPseudo],
    ["connection", FieldKind.connectionSpecific],
    ["keep-alive", FieldKind.connectionSpecific],
    ["proxy-connection", FieldKind.connectionSpecific],
    ["transfer-encoding", FieldKind.connectionSpecific],
    ["upgrade", FieldKind.connectionSpecific],
    ["te", FieldKind.te],
    ["content-length", FieldKind.contentLength],
    ["host", FieldKind.host],
    ["cookie", FieldKind.cookie],
    ["expect", FieldKind.expect],
  ];
  for (const [name, kind] of kinds) assert.equal(kindOfName(name), kind, name);
});

test("names that no lower-case token is are invalid", () => {
  for (const name of [
    "",
    ":",
    "::path",
    "X-Custom",
    ":Path",
    "a b",
    "a:b",
    "a\r\n",
    "a\n",
    "a\0",
    "a\x7f",
    "\xe9",
    "a,b",
  ]) {
    assert.equal(kindOfName(name), FieldKind.invalid, JSON.stringify(name));
  }
});

test("a tag is the one by which a header map finds the name", () => {
  for (const name of ["a", "te", "x-request-id", "content-type"]) {
    const map = new HeaderMap();
    map.appendTagged(name, "v", tagOfName(name));
    assert.equal(map.get(name), "v");
  }
});

test("values have no control characters and no white space at their ends", () => {
  const check = (value: string): boolean => isValue(Buffer.from(value, "latin1"), 0, value.length);
  for (const value of ["", "a", "a b", "a\tb", "caf\xe9", "\x80\xff", '"~!']) assert.ok(check(value), value);
  for (const value of [" a", "a ", "\ta", "a\t", " ", "a\rb", "a\nb", "a\0b", "a\x1fb", "a\x7fb"]) {
    assert.ok(!check(value), JSON.stringify(value));
  }
});
