/** The expectations are what Envoy 1.40 answered to the same tables and requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { INSTANCE_CALLS } from "../../model/interception.ts";
import type { Route, RouteMatch, RouteTable, VirtualHost } from "../../model/route.ts";
import {
  direct,
  type Fields,
  forward,
  match,
  peer,
  request,
  route,
  routeTable,
  streamInfo,
  tls,
  virtualHost,
  weighted,
} from "../../test/support/routes.ts";
import { compileRouteTable } from "./compile-routes.ts";

const never = (): number => assert.fail("no random number is needed");
const DRAWS = 2 ** 48;

/** The virtual host that takes an authority, "" for none. */
function hostOf(table: RouteTable, authority: string): string {
  return compileRouteTable(table).find(request("/x", [], { authority }), streamInfo(), never)?.virtualHostName ?? "";
}

const HOSTS: readonly VirtualHost[] = [
  ["exact", "foo.com"],
  ["exactport", "foo.com:8080"],
  ["suffix", "*.com"],
  ["longer suffix", "*.foo.com"],
  ["dashed suffix", "*-bar.foo.com"],
  ["prefix", "foo.*"],
  ["longer prefix", "foo.b.*"],
  ["any", "*"],
  ["v6", "[::1]"],
].map(([name = "", domain = ""]) => virtualHost({ name, domains: [domain] }));

test("calls to an instance at its own address have routes of their own where the table has some", () => {
  const all = virtualHost({ name: "all", domains: ["*"] });
  const instances = virtualHost({ name: "instances", domains: [INSTANCE_CALLS] });
  const hostFor = (hosts: readonly VirtualHost[], info: Parameters<typeof streamInfo>[0], authority = "a"): string => {
    const table = compileRouteTable(routeTable({ virtualHosts: [...hosts] }));
    return table.find(request("/x", [], { authority }), streamInfo(info), never)?.virtualHostName ?? "";
  };
  assert.equal(hostFor([all, instances], { pinned: "outbound|80||a.b" }), "instances");
  assert.equal(hostFor([all, instances], {}), "all");
  assert.equal(hostFor([all], { pinned: "outbound|80||a.b" }), "all");
  // Nobody gets there by a name.
  assert.equal(hostFor([all, instances], {}, INSTANCE_CALLS), "all");
});

test("the most specific domain takes a request, its port included", () => {
  const cases: Readonly<Record<string, string>> = {
    "foo.com": "exact",
    "FOO.com": "exact",
    "foo.com:80": "prefix",
    "foo.com:8080": "exactport",
    "foo.com:": "prefix",
    "a.com": "suffix",
    "a.com:80": "any",
    ".com": "any",
    com: "any",
    "a.foo.com": "longer suffix",
    "x-bar.foo.com": "dashed suffix",
    "-bar.foo.com": "longer suffix",
    ".foo.com": "suffix",
    "foo.": "any",
    "foo.x": "prefix",
    "foo.b.x": "longer prefix",
    "foo.b.com": "suffix",
    "foo.b.": "prefix",
    "[::1]": "v6",
    "[::1]:80": "any",
    "": "any",
  };
  const table = routeTable({ virtualHosts: HOSTS });
  for (const [authority, expected] of Object.entries(cases))
    assert.equal(hostOf(table, authority), expected, authority);
});

test("ignore_port_in_host_matching leaves the port out", () => {
  const virtualHosts = HOSTS.filter(({ name }) => name !== "exactport");
  const table = routeTable({ virtualHosts, ignorePortInHostMatching: true });
  for (const authority of ["foo.com", "foo.com:80", "foo.com:", "foo.com:abc"]) {
    assert.equal(hostOf(table, authority), "exact", authority);
  }
  assert.equal(hostOf(table, "[::1]:80"), "v6");
  assert.equal(hostOf(table, "foo.com:80:90"), "prefix");
});

test("without a host that matches there is no route", () => {
  const table = routeTable({ virtualHosts: [virtualHost({ domains: ["foo.com"] })] });
  assert.equal(hostOf(table, "bar.com"), "");
});

test("a request whose x-forwarded-proto was empty has no route", () => {
  const asked = request("/");
  asked.scheme = "";
  assert.equal(compileRouteTable(routeTable()).find(asked, streamInfo(), never), null);
});

test("require_tls sends plaintext requests to the same place over TLS", () => {
  const table = compileRouteTable(routeTable({ virtualHosts: [virtualHost({ requireTls: "all" })] }));
  const plain = request("/p?q", [], { authority: "TLS.com:8080" });
  const found = table.find(plain, streamInfo(), never);
  assert.equal(found?.route.action.kind, "redirect");
  assert.equal(found?.redirectLocation(plain), "https://TLS.com:8080/p?q");
  const secure = request("/p");
  secure.scheme = "https";
  assert.equal(table.find(secure, streamInfo(), never)?.route.action.kind, "forward");
});

/** The body of the direct response that a path gets, "" for no route. */
function answer(routes: readonly Route[], path: string, fields: Fields = [], random: () => number = never): string {
  const table = compileRouteTable(routeTable({ virtualHosts: [virtualHost({ routes })] }));
  const action = table.find(request(path, fields), streamInfo(), random)?.route.action;
  return action?.kind === "direct_response" ? action.body : "";
}

const to = (body: string, routeMatch: RouteMatch): Route => route({ match: routeMatch, action: direct(body) });

test("paths match without their query, each kind in its way", () => {
  const routes = [
    to("exact", match({ kind: "exact", value: "/E" })),
    to("any case", match({ kind: "exact", value: "/ic" }, { caseSensitive: false })),
    to("prefix in any case", match({ kind: "prefix", value: "/pic" }, { caseSensitive: false })),
    to("segments", match({ kind: "path_separated_prefix", value: "/sep" })),
    to("segments in any case", match({ kind: "path_separated_prefix", value: "/SIC" }, { caseSensitive: false })),
    to("regex", match({ kind: "regex", value: "/re/[a-z]+" })),
    to("regex keeps its case", match({ kind: "regex", value: "/RIC/[a-z]+" }, { caseSensitive: false })),
    to("grpc", match({ kind: "prefix", value: "/grpc" }, { grpcOnly: true })),
  ];
  const cases: Readonly<Record<string, string>> = {
    "/E": "exact",
    "/E?x": "exact",
    "/E/": "",
    "/e": "",
    "/IC": "any case",
    "/ic?z": "any case",
    "/PIC/x": "prefix in any case",
    "/sep": "segments",
    "/sep/": "segments",
    "/sep/a": "segments",
    "/sepa": "",
    "/sep?x": "segments",
    "/sic/a": "segments in any case",
    "/SICX": "",
    "/re/abc": "regex",
    "/re/abc?x=1": "regex",
    "/re/abc/": "",
    "/RIC/abc": "regex keeps its case",
    "/ric/ABC": "",
    "/grpc": "",
  };
  for (const [path, expected] of Object.entries(cases)) assert.equal(answer(routes, path), expected, path);
  for (const [type, expected] of [
    ["application/grpc", "grpc"],
    ["application/grpc+proto", "grpc"],
    ["application/grpc-web", ""],
  ] as const) {
    assert.equal(answer(routes, "/grpc", [["content-type", type]]), expected, type);
  }
});

test("headers, query parameters and the fraction must all hold", () => {
  const routes = [
    to(
      "picky",
      match(
        { kind: "prefix", value: "/" },
        {
          fraction: { numerator: 50, denominator: 100 },
          headers: [
            { name: "x-a", match: { kind: "present", present: true }, invert: false, treatMissingAsEmpty: false },
            { name: "x-b", match: { kind: "present", present: true }, invert: false, treatMissingAsEmpty: false },
          ],
          queryParameters: [{ name: "q", match: { kind: "present", present: true } }],
        },
      ),
    ),
    to("rest", match({ kind: "prefix", value: "/" })),
  ];
  const both: Fields = [
    ["x-a", ""],
    ["x-b", ""],
  ];
  const low = (): number => 49 / DRAWS;
  const high = (): number => 50 / DRAWS;
  assert.equal(answer(routes, "/?q", both, low), "picky");
  assert.equal(answer(routes, "/?q", both, high), "rest");
  assert.equal(answer(routes, "/", both, low), "rest");
  assert.equal(answer(routes, "/?q", [["x-a", ""]], low), "rest");
  assert.equal(answer(routes, "/?q", [["x-b", ""]], low), "rest");
});

test("many exact paths are found as if each route were tried in order", () => {
  const path = fc.constantFrom("/a", "/b", "/c", "/d", "/a/b", "/");
  const routeMatch = fc.oneof(
    path.map((value) => match({ kind: "exact", value })),
    path.map((value) => match({ kind: "prefix", value })),
    path.map((value) => match({ kind: "exact", value }, { caseSensitive: false })),
    path.map((value) =>
      match({ kind: "exact", value }, { queryParameters: [{ name: "q", match: { kind: "present", present: true } }] }),
    ),
  );
  fc.assert(
    fc.property(fc.array(routeMatch, { maxLength: 20 }), path, fc.boolean(), (matches, asked, query) => {
      const routes = matches.map((one, place) => to(String(place), one));
      const whole = query ? `${asked}?q` : asked;
      const first = routes.findIndex((one) => answer([one], whole) !== "");
      assert.equal(answer(routes, whole), first < 0 ? "" : String(first));
    }),
  );
});

const split = (headerName = ""): Route =>
  route({
    action: forward({
      cluster: { kind: "weighted", headerName, clusters: [weighted("a", 1), weighted("none", 0), weighted("b", 3)] },
    }),
  });

function chosen(routes: readonly Route[], random: () => number, fields: Fields = []): string {
  const table = compileRouteTable(routeTable({ virtualHosts: [virtualHost({ routes })] }));
  return table.find(request("/", fields), streamInfo(), random)?.cluster ?? "";
}

test("weights split the random numbers exactly", () => {
  const counts = new Map<string, number>();
  for (let value = 0; value < 4000; value++) {
    const cluster = chosen([split()], () => value / DRAWS);
    counts.set(cluster, (counts.get(cluster) ?? 0) + 1);
  }
  assert.deepEqual(Object.fromEntries(counts), { a: 1000, b: 3000 });
});

test("a header can take the random number's place", () => {
  const drawB = (): number => 1 / DRAWS;
  const drawA = (): number => 0;
  const ask = (value: string, random: () => number): string => chosen([split("X-W")], random, [["x-w", value]]);
  assert.equal(ask("0", never), "a");
  assert.equal(ask("4", never), "a");
  assert.equal(ask("3", never), "b");
  assert.equal(ask("18446744073709551615", never), "b");
  for (const invalid of ["x", "-1", "", "18446744073709551616"]) {
    assert.equal(ask(invalid, drawA), "a", invalid);
    assert.equal(ask(invalid, drawB), "b", invalid);
  }
  assert.equal(
    chosen([split("x-w")], drawB, [
      ["x-w", "0"],
      ["x-w", "0"],
    ]),
    "b",
  );
});

test("one random number serves a request's fractions and weights", () => {
  let drawn = 0;
  const half = match({ kind: "prefix", value: "/" }, { fraction: { numerator: 1, denominator: 100 } });
  const routes = [to("rare", half), { ...split(), match: { ...half, fraction: { numerator: 99, denominator: 100 } } }];
  chosen(routes, () => {
    drawn++;
    return 55 / DRAWS;
  });
  assert.equal(drawn, 1);
});

test("the cluster can be named by a header, of which the first value counts", () => {
  const byHeader = route({ action: forward({ cluster: { kind: "header", header: "X-Cluster" } }) });
  const table = compileRouteTable(routeTable({ virtualHosts: [virtualHost({ routes: [byHeader] })] }));
  const find = (fields: Fields): string => {
    const asked = request("/", fields);
    return table.find(asked, streamInfo(), never)?.clusterFor(asked) ?? "no route";
  };
  assert.equal(find([["x-cluster", "a"]]), "a");
  assert.equal(
    find([
      ["x-cluster", "a"],
      ["x-cluster", "b"],
    ]),
    "a",
  );
  assert.equal(find([]), "");
});

test("headers that only internal requests may carry are taken off", () => {
  const asked = request("/", [["X-Secret", "1"]]);
  compileRouteTable(routeTable({ internalOnlyHeaders: ["x-secret"] })).find(asked, streamInfo(), never);
  assert.equal(asked.headers.has("x-secret"), false);
  const internal = request("/", [
    ["x-secret", "1"],
    ["x-envoy-internal", "true"],
  ]);
  compileRouteTable(routeTable({ internalOnlyHeaders: ["x-secret"] })).find(internal, streamInfo(), never);
  assert.equal(internal.headers.get("x-secret"), "1");
});

test("external_only asks callers within the mesh for no TLS", () => {
  const table = compileRouteTable(
    routeTable({ virtualHosts: [virtualHost({ requireTls: "external_only", routes: [route({ name: "plain" })] })] }),
  );
  const find = (fields: Fields): string => table.find(request("/", fields), streamInfo(), never)?.route.name ?? "none";
  assert.equal(find([["x-envoy-internal", "true"]]), "plain");
  assert.equal(find([]), "", "the redirect");
});

test("tls_context: what the caller's certificate must be, where a plaintext caller has none", () => {
  const callers = {
    plaintext: null,
    anonymous: tls({ peer: null }),
    unverified: tls({ peer: peer({ verified: false }) }),
    verified: tls({ peer: peer({ verified: true }) }),
  };
  const found = (presented: boolean | null, validated: boolean | null): string[] => {
    const table = compileRouteTable(
      routeTable({
        virtualHosts: [
          virtualHost({
            routes: [route({ match: match({ kind: "prefix", value: "/" }, { tls: { presented, validated } }) })],
          }),
        ],
      }),
    );
    return Object.entries(callers).flatMap(([name, caller]) =>
      table.find(request("/", []), streamInfo({ tls: caller }), never) ? [name] : [],
    );
  };
  assert.deepEqual(found(true, null), ["unverified", "verified"]);
  assert.deepEqual(found(false, null), ["plaintext", "anonymous"]);
  assert.deepEqual(found(null, true), ["verified"]);
  assert.deepEqual(found(null, false), ["plaintext", "anonymous", "unverified"]);
  assert.deepEqual(found(true, false), ["unverified"]);
});

test("nothing that a peer can send makes a lookup throw", () => {
  const table = compileRouteTable(
    routeTable({
      virtualHosts: HOSTS.map((host) => ({
        ...host,
        routes: [to("regex", match({ kind: "regex", value: "/(é|.)*/x" })), ...host.routes],
      })),
    }),
  );
  const latin1 = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  fc.assert(
    fc.property(latin1, latin1, (path, authority) => {
      table.find(request(path, [], { authority }), streamInfo(), never);
    }),
  );
});
