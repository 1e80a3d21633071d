/** Which rule of an HTTPRoute takes a call: criteria alone and together, precedence, who the caller is and at which port. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Call, caller, routeOf, serviceOf } from "./routed-call.ts";

const SERVICES = ["stock", "v1", "v2", "v3"].map((name) => serviceOf(name)).join("");

/** A rule with these matches that leads to a backend. */
function to(backend: string, ...matches: readonly string[]): string {
  const given = matches.length === 0 ? "" : `matches: [${matches.join(", ")}], `;
  return `{ ${given}backendRefs: [{ name: ${backend}, port: 80 }] }`;
}

/** By call, the backend, or the status of an answer without one. */
function outcomes(rules: readonly string[], cases: readonly (readonly [Call, string | number])[]): void {
  const call = caller(SERVICES + routeOf(rules));
  for (const [given, expected] of cases) {
    const { backend, status } = call(given);
    assert.equal(status === 0 ? backend : status, expected, JSON.stringify(given));
  }
}

test("paths: a prefix is of whole elements, an exact path of every byte, a pattern of the whole path", () => {
  outcomes(
    [
      to("v1", "{ path: { type: Exact, value: /exact } }"),
      to("v2", "{ path: { type: PathPrefix, value: /prefix } }"),
      to("v3", "{ path: { type: RegularExpression, value: '/re/[0-9]+' } }"),
    ],
    [
      [{ path: "/exact" }, "v1"],
      [{ path: "/exact?a=b" }, "v1"],
      [{ path: "/exact/" }, 404],
      [{ path: "/Exact" }, 404],
      [{ path: "/prefix" }, "v2"],
      [{ path: "/prefix/" }, "v2"],
      [{ path: "/prefix/a/b" }, "v2"],
      [{ path: "/prefixed" }, 404],
      [{ path: "/a/prefix" }, 404],
      [{ path: "/re/42" }, "v3"],
      [{ path: "/re/42/more" }, 404],
      [{ path: "/" }, 404],
    ],
  );
});

test("methods, headers and query parameters: all of a match, any of a rule's matches", () => {
  outcomes(
    [
      to("v1", "{ method: POST }", "{ headers: [{ name: X-Version, value: one }, { name: color, value: red }] }"),
      to(
        "v2",
        "{ queryParams: [{ name: animal, value: whale }, { name: sea, type: RegularExpression, value: 'a.*' }] }",
      ),
      to(
        "v3",
        "{ method: DELETE, path: { value: /a }, headers: [{ name: v, value: '3' }], queryParams: [{ name: q, value: '' }] }",
      ),
    ],
    [
      [{ path: "/", method: "POST" }, "v1"],
      [{ path: "/", method: "PUT" }, 404],
      [
        {
          path: "/",
          headers: [
            ["x-version", "one"],
            ["COLOR", "red"],
          ],
        },
        "v1",
      ],
      [{ path: "/", headers: [["x-version", "one"]] }, 404],
      [
        {
          path: "/",
          headers: [
            ["x-version", "One"],
            ["color", "red"],
          ],
        },
        404,
      ],
      [{ path: "/?sea=atlantic&animal=whale" }, "v2"],
      [{ path: "/?animal=whale" }, 404],
      [{ path: "/?animal=whaledolphin&sea=a" }, 404],
      [{ path: "/a/b?q=", method: "DELETE", headers: [["v", "3"]] }, "v3"],
      [{ path: "/a/b?q=1", method: "DELETE", headers: [["v", "3"]] }, 404],
    ],
  );
});

test("of several that match: path before method before headers before query parameters, then the first rule", () => {
  outcomes(
    [
      to("v1", "{ queryParams: [{ name: a, value: '1' }, { name: b, value: '1' }] }"),
      to("v2", "{ headers: [{ name: h, value: '1' }] }"),
      to("v3", "{ method: GET }"),
      to("stock", "{ path: { value: /p } }"),
      to("v1", "{ path: { value: /p/q } }"),
      to("v2", "{ path: { type: Exact, value: /p } }"),
      to("v3", "{ path: { value: /p } }"),
    ],
    [
      [{ path: "/x?a=1&b=1", method: "PUT" }, "v1"],
      [{ path: "/x?a=1&b=1", method: "PUT", headers: [["h", "1"]] }, "v2"],
      [{ path: "/x?a=1&b=1", headers: [["h", "1"]] }, "v3"],
      [{ path: "/p/x?a=1&b=1", headers: [["h", "1"]] }, "stock"],
      [{ path: "/p/q/r" }, "v1"],
      [{ path: "/p" }, "v2"],
    ],
  );
});

describe("routes of several namespaces and ports", () => {
  const routes = [
    routeOf([to("v1")], { name: "producer" }),
    routeOf(["{ backendRefs: [{ name: own, port: 80 }] }"], {
      name: "consumer",
      namespace: "shop",
      parent: "name: stock, namespace: default, port: 80",
    }),
    routeOf(["{ backendRefs: [{ name: stock, namespace: default, port: 80 }] }"], {
      name: "back",
      namespace: "tools",
      parent: "name: stock, namespace: default",
    }),
  ].join("");
  const manifests = SERVICES + serviceOf("own", "shop") + routes;
  const backend = (from: string, port = 80, toInstance = false): string =>
    caller(manifests, { from, port })({ path: "/", toInstance }).backend;

  test("a consumer's route is for calls from its own namespace alone", () => {
    assert.equal(backend("shop"), "own.shop");
    assert.equal(backend("default"), "v1");
    assert.equal(backend("elsewhere"), "v1");
  });

  test("it may lead back to the Service itself, past the producer's routes", () => {
    assert.equal(backend("tools"), "stock");
    assert.equal(backend("tools", 8080), "stock");
  });

  test("at a port that it is not for the producer's hold", () => assert.equal(backend("shop", 8080), "v1"));

  test("calls to an instance's own address have no routes", () => {
    for (const from of ["shop", "default", "tools"]) assert.equal(backend(from, 80, true), "stock");
  });
});

test("a route is for the Service that it names, not for its backends called by their own names", () => {
  const manifests = SERVICES + routeOf([to("v1")]) + routeOf([to("v3")], { name: "next", parent: "name: v1" });
  // Routes do not chain: the first one's backend is the Service's instances.
  assert.equal(caller(manifests)({ path: "/" }).backend, "v1");
  assert.equal(caller(manifests, { service: "default/v1" })({ path: "/" }).backend, "v3");
  assert.equal(caller(manifests, { service: "default/v3" })({ path: "/" }).backend, "v3");
});

test("the Service is known by its address: whatever the caller writes as host, its routes hold", () => {
  const call = caller(SERVICES + routeOf([to("v1")]));
  for (const authority of ["stock", "v2", "10.96.0.7", "stock.default.svc.cluster.local:80", "example.org"]) {
    assert.equal(call({ path: "/", authority }).backend, "v1", authority);
  }
});

describe("weights", () => {
  /** Shares of calls, in percent, when the random numbers are spread evenly. */
  function shares(refs: string, draws = 1000): Readonly<Record<string, number>> {
    const call = caller(SERVICES + routeOf([`{ backendRefs: [${refs}] }`]));
    const counts = new Map<string, number>();
    for (let index = 0; index < draws; index++) {
      const { backend, status } = call({ path: "/" }, () => (index + 0.5) / draws);
      const outcome = status === 0 ? backend : String(status);
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
    return Object.fromEntries([...counts].map(([name, count]) => [name, Math.round((count / draws) * 100)]));
  }

  test("backends get their share, those with none get nothing", () => {
    assert.deepEqual(
      shares(
        "{ name: v1, port: 80, weight: 70 }, { name: v2, port: 80, weight: 30 }, { name: v3, port: 80, weight: 0 }",
      ),
      { v1: 70, v2: 30 },
    );
    assert.deepEqual(shares("{ name: v1, port: 80 }, { name: v2, port: 80 }"), { v1: 50, v2: 50 });
    assert.deepEqual(shares("{ name: v1, port: 80, weight: 0 }"), { 500: 100 });
  });

  test("one that does not exist answers 500 for its share, one of weight 0 for none", () => {
    assert.deepEqual(shares("{ name: v1, port: 80, weight: 3 }, { name: gone, port: 80, weight: 1 }"), {
      500: 25,
      v1: 75,
    });
    assert.deepEqual(shares("{ name: v1, port: 80 }, { name: gone, port: 80, weight: 0 }"), { v1: 100 });
  });
});
