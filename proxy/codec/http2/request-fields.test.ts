/** Which lists of header fields make a request, and what the others are refused for (RFC 9113, section 8.3.1). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { literals, request } from "../../../test/support/http2-frames.ts";
import { RequestHead } from "../../http/message.ts";
import { fieldsOf } from "../http1/testing/fields-of.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { Malformed, type RequestFieldLimits, RequestFields } from "./request-fields.ts";

type Fields = readonly (readonly [string, string])[];

function read(list: Fields, limits: Partial<RequestFieldLimits> = {}) {
  const decoder = new HpackDecoder(4096);
  const all: RequestFieldLimits = { maxHeadBytes: 60_000, maxFields: 100, underscores: "allow", allowConnect: false };
  const fields = new RequestFields({ ...all, ...limits }, decoder);
  const head = new RequestHead();
  fields.begin(head.headers, head);
  const block = literals(list.map(([name, value]) => [name, value]));
  assert.ok(fields.read(block, 0, block.length));
  fields.finish();
  return { fields, head, verdict: fields.verdict };
}

const [METHOD, SCHEME, AUTHORITY, PATH] = request("/") as [Pair, Pair, Pair, Pair];
type Pair = readonly [string, string];
const CONNECT: Pair = [":method", "CONNECT"];
const WEBSOCKET: Pair = [":protocol", "websocket"];

describe("a request is made of", () => {
  test("its pseudo-headers in any order, and its fields", () => {
    const { head, verdict } = read([PATH, SCHEME, METHOD, AUTHORITY, ["x-a", "1"], ["x-a", "2"]]);
    assert.equal(verdict, Malformed.none);
    assert.deepEqual([head.method, head.scheme, head.authority, head.path], ["GET", "http", "x.test", "/"]);
    assert.deepEqual(fieldsOf(head.headers), [
      ["x-a", "1"],
      ["x-a", "2"],
    ]);
  });

  test("host where there is no :authority, or beside an equal one", () => {
    assert.equal(read([METHOD, SCHEME, PATH, ["host", "h.test"]]).head.authority, "h.test");
    const { head, verdict } = read([METHOD, SCHEME, PATH, AUTHORITY, ["host", "x.test"]]);
    assert.deepEqual([verdict, head.authority, head.headers.has("host")], [Malformed.none, "x.test", false]);
  });

  test("crumbs of a cookie in one field", () => {
    const { head } = read([METHOD, SCHEME, PATH, AUTHORITY, ["cookie", "a=1"], ["x-a", "1"], ["cookie", "b=2"]]);
    assert.equal(head.headers.get("cookie"), "a=1; b=2");
  });

  test("extended CONNECT, which is the upgrade that it would be in HTTP/1", () => {
    const { head, fields, verdict } = read([CONNECT, WEBSOCKET, SCHEME, PATH, AUTHORITY], { allowConnect: true });
    assert.deepEqual([verdict, fields.isUpgrade, head.method], [Malformed.none, true, "GET"]);
    assert.deepEqual([head.headers.get("upgrade"), head.headers.get("connection")], ["websocket", "upgrade"]);
  });
});

const BASE: Fields = [METHOD, SCHEME, AUTHORITY, PATH];
const withField = (name: string, value: string): Fields => [...BASE, [name, value]];
const instead = (name: string, value: string): Fields => BASE.map((one) => (one[0] === name ? [name, value] : one));
const without = (name: string): Fields => BASE.filter((one) => one[0] !== name);

describe("a request is refused", () => {
  const byField: Readonly<Record<string, Fields>> = {
    "two :method": [METHOD, ...BASE],
    "two :authority": [AUTHORITY, ...BASE],
    "a pseudo-header after a field": [METHOD, SCHEME, AUTHORITY, ["x-a", "1"], PATH],
    "a method that is no token": instead(":method", "G T"),
    "a scheme that is none": instead(":scheme", "1http"),
    "an empty :path": instead(":path", ""),
    "a :path with a blank": instead(":path", "/a b"),
    "a :path with CR LF": instead(":path", "/a\r\nx: y"),
    "an empty :authority": instead(":authority", ""),
    ":authority with user info": instead(":authority", "u@x.test"),
    ":status": withField(":status", "200"),
    "an unknown pseudo-header": withField(":x", "1"),
    ":protocol that was not allowed": [CONNECT, WEBSOCKET, SCHEME, PATH, AUTHORITY],
    connection: withField("connection", "close"),
    "transfer-encoding": withField("transfer-encoding", "chunked"),
    upgrade: withField("upgrade", "h2c"),
    "keep-alive": withField("keep-alive", "1"),
    "te other than trailers": withField("te", "gzip"),
    "two hosts": [...BASE, ["host", "x.test"], ["host", "x.test"]],
    "a length that is no number": withField("content-length", "+3"),
    "two lengths": [...BASE, ["content-length", "3"], ["content-length", "3"]],
    "a name in upper case": withField("X-A", "1"),
    "an empty name": withField("", "1"),
    "a value with LF": withField("x-a", "a\nb: c"),
    "a value with NUL": withField("x-a", "a\0"),
  };
  for (const [name, list] of Object.entries(byField)) {
    test(`for a field: ${name}`, () => assert.equal(read(list).verdict, Malformed.field));
  }

  const together: Readonly<Record<string, Fields>> = {
    "no :method": without(":method"),
    "no :scheme": without(":scheme"),
    "no :path": without(":path"),
    "no :authority and no host": without(":authority"),
    "another host than :authority": withField("host", "y.test"),
    "a :path in absolute form": instead(":path", "http://x.test/"),
    "* with GET": instead(":path", "*"),
    "CONNECT with a path": [CONNECT, AUTHORITY, PATH],
    "CONNECT with a scheme": [CONNECT, AUTHORITY, SCHEME],
  };
  for (const [name, list] of Object.entries(together)) {
    test(`as a whole: ${name}`, () => assert.equal(read(list).verdict, Malformed.message));
  }

  test("for :protocol without CONNECT", () => {
    assert.equal(read([METHOD, WEBSOCKET, SCHEME, PATH, AUTHORITY], { allowConnect: true }).verdict, Malformed.message);
  });

  test("for more bytes of names and values than the limit, and not for as many", () => {
    const size = withField("x-a", "12").reduce((sum, [name, value]) => sum + name.length + value.length, 0);
    assert.equal(read(withField("x-a", "12"), { maxHeadBytes: size }).verdict, Malformed.none);
    assert.equal(read(withField("x-a", "123"), { maxHeadBytes: size }).verdict, Malformed.tooLarge);
  });

  test("for more fields than the limit: pseudo-headers and crumbs of cookies count", () => {
    const crumbs: Fields = [...BASE, ["cookie", "a=1"], ["cookie", "b=2"]];
    assert.equal(read(crumbs, { maxFields: 6 }).verdict, Malformed.none);
    assert.equal(read(crumbs, { maxFields: 5 }).verdict, Malformed.tooManyFields);
  });

  test("for underscores, or loses the field, as configured", () => {
    const list = withField("x_a", "1");
    assert.equal(read(list).head.headers.get("x_a"), "1");
    const dropped = read(list, { underscores: "drop_header" });
    assert.deepEqual([dropped.verdict, dropped.head.headers.has("x_a")], [Malformed.none, false]);
    assert.equal(read(list, { underscores: "reject_request" }).verdict, Malformed.underscore);
  });
});
