/** Which rule of a GRPCRoute takes a call: services and methods by name and by pattern, headers, precedence, weights. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { caller, routeOf } from "./routed-call.ts";

const SERVICES = ["stock", "v1", "v2", "v3"]
  .map(
    (name) =>
      `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { ports: [{ name: grpc, port: 80 }] }\n`,
  )
  .join("");

function to(backend: string, match = ""): string {
  const given = match === "" ? "" : `matches: [${match}], `;
  return `{ ${given}backendRefs: [{ name: ${backend}, port: 80 }] }`;
}

/** The backend of a gRPC call, or the status of an answer without one. */
function calls(...rules: readonly string[]) {
  const call = caller(SERVICES + routeOf(rules, { kind: "GRPCRoute" }));
  return (path: string, ...headers: readonly (readonly [string, string])[]): string | number => {
    const { backend, status } = call({
      path,
      method: "POST",
      headers: [["content-type", "application/grpc"], ["te", "trailers"], ...headers],
    });
    return status === 0 ? backend : status;
  };
}

test("names are matched exactly, a service or a method alone, too", () => {
  const of = calls(
    to("v1", "{ method: { service: shop.v1.Stock, method: Reserve } }"),
    to("v2", "{ method: { service: shop.v1.Stock } }"),
    to("v3", "{ method: { method: Reserve } }"),
  );
  assert.equal(of("/shop.v1.Stock/Reserve"), "v1");
  assert.equal(of("/shop.v1.Stock/Release"), "v2");
  assert.equal(of("/shop.v1.Other/Reserve"), "v3");
  assert.equal(of("/shop.v1.Stock/reserve"), "v2");
  assert.equal(of("/shop.v1.StockX/Release"), 404);
});

test("patterns are of the whole name", () => {
  const of = calls(
    to("v1", "{ method: { type: RegularExpression, service: 'shop\\.v[0-9]+\\.Stock', method: 'Re.*' } }"),
    to("v2", "{ method: { type: RegularExpression, service: 'shop.*' } }"),
  );
  assert.equal(of("/shop.v12.Stock/Release"), "v1");
  assert.equal(of("/shop.v12.Stock/Pre"), "v2");
  assert.equal(of("/shop.vX.Stock/Release"), "v2");
  assert.equal(of("/other.shop/Release"), 404);
});

test("headers narrow a method, and the rule with more goes first", () => {
  const of = calls(
    to("v1", "{ method: { service: a.B } }"),
    to("v2", "{ method: { service: a.B }, headers: [{ name: version, value: two }] }"),
    to("v3", "{ headers: [{ name: version, type: RegularExpression, value: 't.*' }] }"),
  );
  assert.equal(of("/a.B/C"), "v1");
  assert.equal(of("/a.B/C", ["version", "two"]), "v2");
  assert.equal(of("/x.Y/Z", ["version", "three"]), "v3");
  assert.equal(of("/x.Y/Z", ["version", "one"]), 404);
});

test("a rule takes gRPC calls alone", () => {
  const call = caller(SERVICES + routeOf([to("v1")], { kind: "GRPCRoute" }));
  assert.equal(call({ path: "/a.B/C", method: "POST" }).status, 404);
});

test("of weighted backends one that does not exist answers UNAVAILABLE for its share", () => {
  const refs =
    "[{ name: v1, port: 80, weight: 3 }, { name: gone, port: 80, weight: 1 }, { name: v3, port: 80, weight: 0 }]";
  const call = caller(SERVICES + routeOf([`{ backendRefs: ${refs} }`], { kind: "GRPCRoute" }));
  const counts: Record<string, number> = {};
  for (let index = 0; index < 1000; index++) {
    const { backend, status } = call(
      { path: "/a.B/C", method: "POST", headers: [["content-type", "application/grpc"]] },
      () => (index + 0.5) / 1000,
    );
    const outcome = status === 0 ? backend : String(status);
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
  assert.deepEqual(Object.keys(counts), ["503", "v1"]);
  assert.ok(Math.abs((counts["503"] ?? 0) - 250) < 20, JSON.stringify(counts));
});
