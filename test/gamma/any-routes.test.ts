/** Whatever routes a Service has: the rule that takes a call is the one that Gateway API's text names, read naively here. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Call, caller, routeOf, serviceOf } from "./routed-call.ts";

interface Criterion {
  readonly name: string;
  readonly value: string;
}

interface Match {
  readonly path: { readonly type: "Exact" | "PathPrefix" | "RegularExpression"; readonly value: string };
  readonly method: string | null;
  readonly headers: readonly Criterion[];
  readonly queryParams: readonly Criterion[];
}

const PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b"];
const METHODS = ["GET", "POST"];
const NAMES = ["x", "y", "z"];
const VALUES = ["1", "2"];

const criteria = fc.uniqueArray(fc.record({ name: fc.constantFrom(...NAMES), value: fc.constantFrom(...VALUES) }), {
  maxLength: 2,
  selector: ({ name }) => name,
});
const path: fc.Arbitrary<Match["path"]> = fc.oneof(
  fc.record({ type: fc.constantFrom("Exact", "PathPrefix"), value: fc.constantFrom(...PATHS) }),
  fc.record({ type: fc.constant("RegularExpression"), value: fc.constantFrom("/a/.*", "/[ab]", ".*c") }),
);
const match: fc.Arbitrary<Match> = fc.record({
  path,
  method: fc.constantFrom(null, null, ...METHODS),
  headers: criteria,
  queryParams: criteria,
});
/** Routes, older first, of rules, of matches. */
const routes = fc.array(fc.array(fc.array(match, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 3,
});

const call: fc.Arbitrary<Call> = fc.record({
  path: fc
    .tuple(fc.constantFrom(...PATHS, "/a/b/c/d", "/c"), criteria)
    .map(([at, query]) =>
      query.length === 0 ? at : `${at}?${query.map(({ name, value }) => `${name}=${value}`).join("&")}`,
    ),
  method: fc.constantFrom(...METHODS),
  headers: criteria.map((all) => all.map(({ name, value }) => [name, value] as const)),
});

function manifests(given: readonly (readonly (readonly Match[])[])[]): string {
  return given
    .map((rules, index) =>
      routeOf(
        rules.map((matches) => `{ matches: ${JSON.stringify(matches)}, backendRefs: [{ name: stock, port: 80 }] }`),
        { name: `r${index}` },
      ),
    )
    .join("");
}

/** Does what the text says, one sentence after the other. */
function expected(given: readonly (readonly (readonly Match[])[])[], asked: Call): string {
  const [at = "", query = ""] = asked.path.split("?");
  const has = (pairs: readonly (readonly [string, string])[], wanted: readonly Criterion[]): boolean =>
    wanted.every(({ name, value }) => pairs.some(([n, v]) => n === name && v === value));
  const matches = ({ path, method, headers, queryParams }: Match): boolean => {
    if (path.type === "Exact" && at !== path.value) return false;
    if (path.type === "RegularExpression" && !new RegExp(`^(?:${path.value})$`).test(at)) return false;
    if (path.type === "PathPrefix") {
      // Element by element, an empty one at the end left out.
      const elements = (text: string) => text.split("/").filter((element) => element !== "");
      const [whole, prefix] = [elements(at), elements(path.value)];
      if (!prefix.every((element, index) => whole[index] === element)) return false;
    }
    if (method !== null && method !== asked.method) return false;
    return has(asked.headers ?? [], headers) && has([...new URLSearchParams(query)], queryParams);
  };
  const found = given.flatMap((rules, route) =>
    rules.flatMap((all, rule) =>
      all.filter(matches).map((one) => ({
        name: `default/r${route}/${rule}`,
        rank: [
          ["Exact", "RegularExpression", "PathPrefix"].indexOf(one.path.type),
          -one.path.value.length,
          one.method === null ? 1 : 0,
          -one.headers.length,
          -one.queryParams.length,
          route,
          rule,
        ],
      })),
    ),
  );
  const before = (a: readonly number[], b: readonly number[]): number => {
    const index = a.findIndex((value, place) => value !== b[place]);
    return index < 0 ? 0 : (a[index] ?? 0) - (b[index] ?? 0);
  };
  return found.sort((a, b) => before(a.rank, b.rank))[0]?.name ?? "";
}

test("the rule that takes a call is the one that Gateway API names", () => {
  fc.assert(
    fc.property(routes, fc.array(call, { minLength: 1, maxLength: 8 }), (given, calls) => {
      const ask = caller(serviceOf("stock") + manifests(given));
      for (const asked of calls) assert.equal(ask(asked).route, expected(given, asked), JSON.stringify(asked));
    }),
    { numRuns: 200 },
  );
});
