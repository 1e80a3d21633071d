import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RouteMatchManifest } from "../manifest/http-route.ts";
import { comparePrecedence, routeMatch } from "./route-match.ts";

const path = fc.record({
  type: fc.constantFrom("Exact", "PathPrefix", "RegularExpression"),
  value: fc.constantFrom("/", "/a", "/a/b", "/a/b/c"),
});
const value = fc.record({
  type: fc.constantFrom("Exact", "RegularExpression"),
  name: fc.constantFrom("x", "X", "y"),
  value: fc.constant("1"),
});
const match: fc.Arbitrary<RouteMatchManifest> = fc.record({
  path,
  headers: fc.array(value, { maxLength: 3 }),
  queryParams: fc.array(value, { maxLength: 3 }),
  method: fc.constantFrom(null, "GET"),
});

test("precedence is an order: nothing is before itself, and before is not after", () => {
  fc.assert(
    fc.property(match, match, match, (a, b, c) => {
      assert.equal(comparePrecedence(a, a), 0);
      assert.equal(Math.sign(comparePrecedence(a, b)), -Math.sign(comparePrecedence(b, a)) + 0);
      if (comparePrecedence(a, b) < 0 && comparePrecedence(b, c) < 0) assert.ok(comparePrecedence(a, c) < 0);
    }),
  );
});

test("Gateway API's criteria, each before the next", () => {
  const base: RouteMatchManifest = {
    path: { type: "PathPrefix", value: "/" },
    headers: [],
    queryParams: [],
    method: null,
  };
  const header = { type: "Exact", name: "x", value: "1" } as const;
  const ordered: readonly RouteMatchManifest[] = [
    { ...base, path: { type: "Exact", value: "/a" } },
    { ...base, path: { type: "PathPrefix", value: "/a/b" } },
    { ...base, path: { type: "PathPrefix", value: "/a" }, method: "GET" },
    { ...base, path: { type: "PathPrefix", value: "/a" }, headers: [header, header] },
    { ...base, path: { type: "PathPrefix", value: "/a" }, headers: [header], queryParams: [header, header] },
    { ...base, path: { type: "PathPrefix", value: "/a" }, headers: [header], queryParams: [header] },
    { ...base, path: { type: "PathPrefix", value: "/a" }, headers: [header] },
    { ...base, path: { type: "PathPrefix", value: "/a" } },
    base,
  ];
  assert.deepEqual([...ordered].reverse().sort(comparePrecedence), ordered);
});

test("a prefix matches whole path elements, however it ends; of headers with one name the first counts", () => {
  const of = (value: string) =>
    routeMatch({ path: { type: "PathPrefix", value }, headers: [], queryParams: [], method: null }, null).path;
  assert.deepEqual(of("/"), { kind: "prefix", value: "/" });
  assert.deepEqual(of("/a/"), { kind: "path_separated_prefix", value: "/a" });
  assert.deepEqual(of("/a"), of("/a/"));
  const twice = routeMatch(
    {
      path: { type: "Exact", value: "/" },
      headers: [
        { type: "Exact", name: "X", value: "1" },
        { type: "Exact", name: "x", value: "2" },
      ],
      queryParams: [],
      method: null,
    },
    null,
  );
  assert.deepEqual(
    twice.headers.map(({ name, match: { kind } }) => [name, kind]),
    [["x", "string"]],
  );
});
