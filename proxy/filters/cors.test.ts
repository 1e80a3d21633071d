/** The CORS filter; the expectations are what Envoy 1.40 answered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../core/header-map.ts";
import type { CorsPolicy } from "../../model/cors.ts";
import { FakeContext } from "../../test/support/filters.ts";
import { type Fields, request } from "../../test/support/routes.ts";
import { compileCors } from "./cors.ts";

const NOTHING: CorsPolicy = {
  allowOrigins: [],
  allowMethods: "",
  allowHeaders: "",
  exposeHeaders: "",
  maxAge: "",
  allowCredentials: null,
  allowPrivateNetworkAccess: null,
  forwardNotMatchingPreflights: null,
  enabled: null,
};
const exact = (value: string): CorsPolicy["allowOrigins"] => [{ kind: "exact", value, ignoreCase: false }];
const POLICY: CorsPolicy = { ...NOTHING, allowOrigins: exact("https://a"), allowMethods: "GET", exposeHeaders: "x-e" };

/** What a request meets: whether it goes on, and the headers that a response has in the end. */
function meet(method: string, fields: Fields, ...policies: CorsPolicy[]): [goesOn: boolean, headers: string] {
  const context = new FakeContext(request("/", fields, { method }));
  const goesOn = compileCors(policies, () => 0.5)?.onRequest(context) ?? true;
  const headers = new HeaderMap();
  for (const { write } of context.answers) write(headers);
  for (const change of context.changes) change(headers);
  return [goesOn, headers.toHttp1().replaceAll("access-control-", "").trim().replaceAll("\r\n", "; ")];
}

const ORIGIN: Fields = [["origin", "https://a"]];
const PREFLIGHT: Fields = [...ORIGIN, ["access-control-request-method", "PUT"]];

test("without policies there is no stage", () =>
  assert.equal(
    compileCors([], () => 0),
    null,
  ));

test("a call of an allowed origin goes on, and the page may read what is exposed", () => {
  assert.deepEqual(meet("GET", ORIGIN, POLICY), [true, "allow-origin: https://a; expose-headers: x-e"]);
  assert.deepEqual(meet("GET", PREFLIGHT, POLICY), [true, "allow-origin: https://a; expose-headers: x-e"]);
  assert.deepEqual(meet("GET", [["origin", "https://b"]], POLICY), [true, ""]);
  assert.deepEqual(meet("GET", [], POLICY), [true, ""]);
});

test("a preflight of an allowed origin is answered, one of another only where it must not be forwarded", () => {
  const answer = "allow-methods: GET; allow-origin: https://a; expose-headers: x-e";
  assert.deepEqual(meet("OPTIONS", PREFLIGHT, POLICY), [false, answer]);
  const stranger: Fields = [
    ["origin", "https://b"],
    ["access-control-request-method", "PUT"],
  ];
  assert.deepEqual(meet("OPTIONS", stranger, POLICY), [true, ""]);
  const kept = { ...POLICY, forwardNotMatchingPreflights: false };
  assert.deepEqual(meet("OPTIONS", stranger, kept), [false, "allow-methods: GET"]);
  assert.deepEqual(meet("OPTIONS", ORIGIN, POLICY), [true, "allow-origin: https://a; expose-headers: x-e"]);
});

test("* stands for what was asked for", () => {
  const any = { ...NOTHING, allowOrigins: exact("*"), allowMethods: "*", allowHeaders: "*" };
  const asked: Fields = [...PREFLIGHT, ["access-control-request-headers", "x-q"]];
  assert.deepEqual(meet("OPTIONS", asked, any), [
    false,
    "allow-methods: PUT; allow-headers: x-q; allow-origin: https://a",
  ]);
});

test("what a level leaves open comes from the next one; whether the filter is on, from the first", () => {
  const route = { ...NOTHING, maxAge: "5", allowCredentials: false };
  const host = { ...POLICY, allowCredentials: true, maxAge: "60", enabled: { numerator: 0, denominator: 100 } };
  const [, headers] = meet("OPTIONS", PREFLIGHT, route, host);
  assert.equal(headers, "allow-methods: GET; max-age: 5; allow-origin: https://a; expose-headers: x-e");
  assert.deepEqual(meet("OPTIONS", PREFLIGHT, host), [true, ""]);
});

test("access to private networks is granted only to whom asks for it", () => {
  const policy = { ...POLICY, allowPrivateNetworkAccess: true };
  const asked: Fields = [...PREFLIGHT, ["access-control-request-private-network", "true"]];
  assert.match(meet("OPTIONS", asked, policy)[1], /allow-private-network: true/);
  assert.doesNotMatch(meet("OPTIONS", PREFLIGHT, policy)[1], /private/);
  assert.doesNotMatch(meet("OPTIONS", asked, POLICY)[1], /private/);
});
