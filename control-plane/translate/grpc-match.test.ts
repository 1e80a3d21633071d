import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { re2 } from "../../core/re2.ts";
import type { RouteMatch } from "../../model/route.ts";
import type { GrpcMatchManifest } from "../manifest/grpc-route.ts";
import { compareGrpcPrecedence, grpcRouteMatch } from "./grpc-match.ts";

type Method = NonNullable<GrpcMatchManifest["method"]>;

const header = { type: "Exact", name: "x", value: "1" } as const;

function of(type: Method["type"], service: string, method: string, headers: GrpcMatchManifest["headers"] = []) {
  return { method: { type, service, method }, headers } satisfies GrpcMatchManifest;
}

const ANY: GrpcMatchManifest = { method: null, headers: [] };

/** Whether a path of `model/route.ts` takes a request path. */
function takes(path: RouteMatch["path"], requested: string): boolean {
  if (path.kind === "exact") return requested === path.value;
  if (path.kind === "prefix") return requested.startsWith(path.value);
  assert.equal(path.kind, "regex");
  return re2().compile(path.value).matches(requested);
}

test("a call is matched by the parts of its path that are named, and only as a whole", () => {
  const names = fc.constantFrom("a", "b", "a.b", "ab");
  const named = fc.record({
    type: fc.constantFrom("Exact", "RegularExpression"),
    service: fc.oneof(fc.constant(""), names),
    method: fc.oneof(fc.constant(""), fc.constantFrom("Get", "GetAll")),
  });
  fc.assert(
    fc.property(
      named.filter(({ service, method }) => service !== "" || method !== ""),
      names,
      fc.constantFrom("Get", "GetAll", "get"),
      ({ type, service, method }, calledService, calledMethod) => {
        const { path, grpcOnly } = grpcRouteMatch(of(type, service, method));
        assert.ok(grpcOnly);
        const same = (wanted: string, given: string): boolean =>
          wanted === "" || (type === "Exact" ? wanted === given : new RegExp(`^(?:${wanted})$`).test(given));
        const expected = same(service, calledService) && same(method, calledMethod);
        assert.equal(takes(path, `/${calledService}/${calledMethod}`), expected);
      },
    ),
  );
});

test("alternatives of an expression stay within their part of the path", () => {
  const { path } = grpcRouteMatch(of("RegularExpression", "a|b", "Get|Put"));
  assert.deepEqual(
    ["/a/Get", "/b/Put", "/a", "/Put", "/a/Get/Put", "/ab/Get"].map((call) => takes(path, call)),
    [true, true, false, false, false, false],
  );
});

test("without a method every gRPC call matches, and nothing else", () => {
  const match = grpcRouteMatch({ method: null, headers: [header, { ...header, name: "X", value: "2" }] });
  assert.deepEqual(match.path, { kind: "prefix", value: "/" });
  assert.ok(match.grpcOnly);
  assert.equal(match.headers.length, 1);
});

test("Gateway API's criteria, each before the next", () => {
  const ordered: readonly GrpcMatchManifest[] = [
    of("Exact", "shop.v1.Stock", "Get"),
    of("Exact", "shop.Stock", "Reserve"),
    of("Exact", "shop.Stock", "Get", [header]),
    of("Exact", "shop.Stock", "Get"),
    of("Exact", "shop.Stock", "", [header]),
    of("RegularExpression", "shop\\..*Stock|shop\\.Other", "Get"),
    of("RegularExpression", "shop\\..*", "Get|Put"),
    of("RegularExpression", "shop\\..*", ""),
    of("Exact", "", "Get"),
    of("RegularExpression", "", "Get|Put"),
    { ...ANY, headers: [header] },
    ANY,
  ];
  assert.deepEqual([...ordered].reverse().sort(compareGrpcPrecedence), ordered);
});

test("precedence is an order: nothing is before itself, and before is not after", () => {
  const part = fc.constantFrom("", "a", "ab", "a.b");
  const match: fc.Arbitrary<GrpcMatchManifest> = fc.record({
    method: fc.option(fc.record({ type: fc.constantFrom("Exact", "RegularExpression"), service: part, method: part })),
    headers: fc.array(fc.constant(header), { maxLength: 2 }),
  });
  fc.assert(
    fc.property(match, match, match, (a, b, c) => {
      assert.equal(compareGrpcPrecedence(a, a), 0);
      assert.equal(Math.sign(compareGrpcPrecedence(a, b)), -Math.sign(compareGrpcPrecedence(b, a)) + 0);
      if (compareGrpcPrecedence(a, b) < 0 && compareGrpcPrecedence(b, c) < 0) {
        assert.ok(compareGrpcPrecedence(a, c) < 0);
      }
    }),
  );
});
