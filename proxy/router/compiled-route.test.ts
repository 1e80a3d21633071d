/** The expectations are what Envoy 1.40 sent upstream and downstream for the same configuration. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { FilterOverride } from "../../model/http.ts";
import type { HeaderMutation, HeaderMutations, Route, RouteTable } from "../../model/route.ts";
import {
  direct,
  type Fields,
  forward,
  headerMap,
  lines,
  match,
  redirect,
  request,
  route,
  routeTable,
  streamInfo,
  virtualHost,
  weighted,
} from "../../test/support/routes.ts";
import type { RequestHead } from "../http/message.ts";
import { CompiledRoute } from "./compiled-route.ts";

function add(
  name: string,
  value: string,
  action: HeaderMutation["action"] = "append_if_exists_or_add",
  keepEmptyValue = false,
): HeaderMutation {
  return { name, value, action, keepEmptyValue };
}

const requestAdds = (...requestHeadersToAdd: HeaderMutation[]): Partial<HeaderMutations> => ({ requestHeadersToAdd });

function compile(one: Route, table: Partial<RouteTable> = {}, withCluster = false): CompiledRoute {
  const virtual = virtualHost({ routes: [one], ...level("vh", table) });
  const cluster = withCluster ? weighted("wc", 1, level("wc", table)) : null;
  return new CompiledRoute({ table: routeTable(table), virtualHost: virtual, route: one, weighted: cluster });
}

/** Mutations that show at which level they are, if the table has them at all. */
function level(name: string, table: Partial<RouteTable>): Partial<HeaderMutations> {
  if (table.requestHeadersToAdd === undefined) return {};
  const mutations = [
    add("x-order", name),
    add("X-Ow", name, "overwrite_if_exists_or_add"),
    add("x-absent", name, "add_if_absent"),
    add("x-ex", name, "overwrite_if_exists"),
  ];
  return { requestHeadersToAdd: mutations, responseHeadersToAdd: mutations, requestHeadersToRemove: [`x-rm-${name}`] };
}

const LEVELLED: Partial<RouteTable> = { requestHeadersToAdd: [] };
const tableLevel = level("table", LEVELLED);
const routeLevel = level("route", LEVELLED);

const SENT: Fields = [
  ["x-ow", "o1"],
  ["x-ow", "o2"],
  ["x-ex", "in"],
  ["x-rm-wc", "1"],
  ["x-rm-route", "1"],
  ["x-rm-vh", "1"],
  ["x-rm-table", "1"],
];

function sentUpstream(compiled: CompiledRoute, asked: RequestHead): string[] {
  compiled.applyRequest(asked, streamInfo());
  return lines(asked.headers);
}

test("a route that mutates nothing changes nothing", () => {
  const asked = request("/p?q", [["x-a", "1"]]);
  assert.deepEqual(sentUpstream(compile(route()), asked), ["x-a: 1"]);
  assert.equal(asked.path, "/p?q");
  assert.equal(asked.authority, "x.com");
  const headers = headerMap([["x-b", "2"]]);
  compile(route()).applyResponse(headers, streamInfo(), asked);
  assert.deepEqual(lines(headers), ["x-b: 2"]);
});

test("levels mutate from the most specific to the table, which has the last word", () => {
  const compiled = compile(route(routeLevel), { ...LEVELLED, ...tableLevel }, true);
  assert.deepEqual(sentUpstream(compiled, request("/", SENT)), [
    "x-order: wc",
    "x-absent: wc",
    "x-order: route",
    "x-order: vh",
    "x-ow: table",
    "x-ex: table",
    "x-order: table",
  ]);
  const headers = headerMap([
    ["x-ow", "up"],
    ["x-ex", "up"],
    ["x-absent", "up"],
  ]);
  compiled.applyResponse(headers, streamInfo(), request("/"));
  assert.deepEqual(lines(headers), [
    "x-absent: up",
    "x-order: wc",
    "x-order: route",
    "x-order: vh",
    "x-ow: table",
    "x-ex: table",
    "x-order: table",
  ]);
});

test("most_specific_header_mutations_wins turns the order round, but for the weighted cluster", () => {
  const table = { ...LEVELLED, ...tableLevel, mostSpecificHeaderMutationsWins: true };
  assert.deepEqual(sentUpstream(compile(route(routeLevel), table, true), request("/", SENT)), [
    "x-order: wc",
    "x-absent: wc",
    "x-order: table",
    "x-order: vh",
    "x-ow: route",
    "x-ex: route",
    "x-order: route",
  ]);
});

test("empty values are left out unless they are to be kept", () => {
  const compiled = compile(
    route(
      requestAdds(
        add("x-e", ""),
        add("x-ow", "%REQ(nope)%", "overwrite_if_exists_or_add"),
        add("x-owk", "", "overwrite_if_exists_or_add", true),
        add("x-owe", "%REQ(nope)%", "overwrite_if_exists"),
        add("x-aa", "%REQ(nope)%", "add_if_absent", true),
      ),
    ),
  );
  const asked = request("/", [
    ["x-ow", "1"],
    ["x-owk", "2"],
    ["x-owe", "3"],
  ]);
  assert.deepEqual(sentUpstream(compiled, asked), ["x-ow: 1", "x-owe: 3", "x-owk: ", "x-aa: "]);
});

test("values see the headers after the removals of their level and before its additions", () => {
  const compiled = compile(
    route({
      ...requestAdds(
        add("x-1", "%REQ(x-in)%"),
        add("x-2", "%REQ(x-1)%"),
        add("x-3", "%REQ(x-in)%", "add_if_absent"),
        add("x-3", "second", "add_if_absent"),
      ),
      requestHeadersToRemove: ["x-in"],
    }),
  );
  const asked = request("/", [
    ["X-In", "I"],
    ["x-1", "orig"],
  ]);
  assert.deepEqual(sentUpstream(compiled, asked), ["x-1: orig", "x-2: orig", "x-3: second"]);
});

test("where Envoy keeps one field, an appended value joins it", () => {
  const compiled = compile(
    route(requestAdds(add("User-Agent", "b"), add("x-norm", "c"), add("x-forwarded-for", "a"), add("cookie", "e"))),
  );
  const asked = request("/", [
    ["user-agent", "u"],
    ["x-norm", "n"],
    ["cookie", "q"],
  ]);
  assert.deepEqual(sentUpstream(compiled, asked), [
    "x-norm: n",
    "cookie: q",
    "user-agent: u,b",
    "x-norm: c",
    "x-forwarded-for: a",
    "cookie: e",
  ]);
});

test("values can hold command operators; text beyond ASCII is sent as UTF-8", () => {
  const compiled = compile(
    route(
      requestAdds(
        add("x-1", "a%REQ(nope)%b"),
        add("x-2", "100%%"),
        add("x-3", "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        add("x-4", "é"),
      ),
    ),
  );
  assert.deepEqual(sentUpstream(compiled, request("/")), [
    "x-1: ab",
    "x-2: 100%",
    "x-3: 10.1.2.3",
    "x-4: \u00c3\u00a9",
  ]);
});

test("headers are mutated before the path is rewritten", () => {
  const compiled = compile(
    route({
      match: match({ kind: "prefix", value: "/up" }),
      action: forward({ prefixRewrite: "/q" }),
      ...requestAdds(add("x-path", "%REQ(:path)%"), add("x-op", "%REQ(x-envoy-original-path)%")),
    }),
  );
  const asked = request("/up?x", [["x-envoy-original-path", "/client"]]);
  assert.deepEqual(sentUpstream(compiled, asked), ["x-path: /up?x", "x-op: /client", "x-envoy-original-path: /up?x"]);
  assert.equal(asked.path, "/q?x");
});

const regexRewrite = { pattern: "/([a-z]+)/([0-9]+)", substitution: "/\\2/\\1-\\0" };

const PATHS: readonly (readonly [string, Route, string, string])[] = [
  ["a prefix", rewriting({ kind: "prefix", value: "/p/x/" }, { prefixRewrite: "/new/" }), "/p/x/y?z=1", "/new/y?z=1"],
  ["an exact path", rewriting({ kind: "exact", value: "/exact" }, { prefixRewrite: "/ne" }), "/exact?q", "/ne?q"],
  ["segments", rewriting({ kind: "path_separated_prefix", value: "/sep" }, { prefixRewrite: "/" }), "/sep/a", "//a"],
  [
    "a regex match's whole path",
    rewriting({ kind: "regex", value: "/rx/.*" }, { prefixRewrite: "/w" }),
    "/rx/a?b",
    "/w?b",
  ],
  [
    "by a regex, but not in the query",
    rewriting({ kind: "prefix", value: "/" }, { regexRewrite }),
    "/rg/abc/12/x/y/5?k=/a/1",
    "/rg/12/abc-/abc/12/x/5/y-/y/5?k=/a/1",
  ],
  ["by a regex that does not match", rewriting({ kind: "prefix", value: "/" }, { regexRewrite }), "/rg", "/rg"],
  [
    "a backslash and a dollar",
    rewriting({ kind: "prefix", value: "/" }, { regexRewrite: { pattern: "b", substitution: "\\\\x$1" } }),
    "/rbs/b",
    "/r\\x$1s/\\x$1",
  ],
  [
    "empty matches",
    rewriting({ kind: "prefix", value: "/" }, { regexRewrite: { pattern: "x*", substitution: "-" } }),
    "/rempty/xx/",
    "-/-r-e-m-p-t-y-/-/-",
  ],
];

function rewriting(path: Route["match"]["path"], action: Parameters<typeof forward>[0]): Route {
  return route({ match: match(path), action: forward(action) });
}

for (const [title, one, path, expected] of PATHS) {
  test(`rewriting ${title}`, () => {
    const asked = request(path);
    assert.deepEqual(sentUpstream(compile(one), asked), [`x-envoy-original-path: ${path}`]);
    assert.equal(asked.path, expected);
  });
}

test("the host is rewritten and the old one told, unless Envoy's headers are off", () => {
  const one = route({ action: forward({ hostRewrite: { kind: "literal", value: "new.host" } }) });
  const asked = request("/", [["x-envoy-original-host", "p"]], { authority: "X.com" });
  assert.deepEqual(sentUpstream(compile(one), asked), ["x-envoy-original-host: X.com"]);
  assert.equal(asked.authority, "new.host");
  const quiet = request("/");
  compile(
    rewriting({ kind: "prefix", value: "/" }, { prefixRewrite: "/n/", hostRewrite: { kind: "literal", value: "h" } }),
  ).applyRequest(quiet, streamInfo(), false);
  assert.deepEqual(lines(quiet.headers), []);
  assert.deepEqual([quiet.authority, quiet.path], ["h", "/n/"]);
});

test("the old host is appended to x-forwarded-host, but not twice", () => {
  const compiled = compile(
    route({ action: forward({ hostRewrite: { kind: "literal", value: "new.host" }, appendXForwardedHost: true }) }),
  );
  const forwardedHost = (fields: Fields): string | null => {
    const asked = request("/", fields, { authority: "X.com" });
    compiled.applyRequest(asked, streamInfo());
    return asked.headers.get("x-forwarded-host");
  };
  assert.equal(forwardedHost([]), "X.com");
  assert.equal(forwardedHost([["x-forwarded-host", "prev"]]), "prev,X.com");
  assert.equal(forwardedHost([["x-forwarded-host", "prev,X.com"]]), "prev,X.com");
});

test("the host can come from a header or from the path as it was", () => {
  const byHeader = compile(route({ action: forward({ hostRewrite: { kind: "header", header: "x-new-host" } }) }));
  for (const [value, expected] of [
    ["nh", "nh"],
    ["", "x.com"],
  ] as const) {
    const asked = request("/", [["x-new-host", value]]);
    byHeader.applyRequest(asked, streamInfo());
    assert.equal(asked.authority, expected);
  }
  const byPath = compile(
    rewriting(
      { kind: "prefix", value: "/order" },
      {
        prefixRewrite: "/new",
        hostRewrite: { kind: "path_regex", rewrite: { pattern: "/order/(.*)", substitution: "\\1.org" } },
      },
    ),
  );
  const asked = request("/order/abc?x");
  byPath.applyRequest(asked, streamInfo());
  assert.deepEqual([asked.authority, asked.path], ["abc.org", "/new/abc?x"]);
});

test("a weighted cluster's host rewrite comes before the route's", () => {
  const one = route({ action: forward({ hostRewrite: { kind: "literal", value: "route.host" } }) });
  const compiled = new CompiledRoute({
    table: routeTable(),
    virtualHost: virtualHost(),
    route: one,
    weighted: weighted("a", 1, { hostRewrite: "wc.host" }),
  });
  const asked = request("/");
  assert.deepEqual(sentUpstream(compiled, asked), ["x-envoy-original-host: wc.host"]);
  assert.equal(asked.authority, "route.host");
});

const REDIRECTS: readonly (readonly [Parameters<typeof redirect>[0], string, string, string])[] = [
  [{ host: "h.com" }, "X.com:8080", "/d1/x?y=1", "http://h.com/d1/x?y=1"],
  [{ path: { kind: "set", value: "/np" } }, "X.com", "/d2?a", "http://X.com/np?a"],
  [{ path: { kind: "set", value: "/np?z=1" } }, "X.com", "/d3?a=1", "http://X.com/np?z=1"],
  [{ scheme: { kind: "https" } }, "X.com", "/d4/p?q", "https://X.com/d4/p?q"],
  [{ scheme: { kind: "https" } }, "X.com:80", "/d4", "https://X.com/d4"],
  [{ scheme: { kind: "https" } }, "X.com:443", "/d4", "https://X.com:443/d4"],
  [{ scheme: { kind: "https" } }, "X.com:8080", "/d4", "https://X.com:8080/d4"],
  [{ scheme: { kind: "https" } }, "[::1]:80", "/d4", "https://[::1]/d4"],
  [{ scheme: { kind: "set", value: "ftp" } }, "X.com:80", "/d5", "ftp://X.com/d5"],
  [{ scheme: { kind: "set", value: "http" } }, "X.com:80", "/dj", "http://X.com:80/dj"],
  [{ port: 8443 }, "[::1]:80", "/d6", "http://[::1]:8443/d6"],
  [{ scheme: { kind: "https" }, host: "h.com", port: 443 }, "X.com:8080", "/d7", "https://h.com:443/d7"],
  [{ stripQuery: true }, "X.com", "/da?x=1", "http://X.com/da"],
  [{ stripQuery: true, path: { kind: "set", value: "/n?q=1" } }, "X.com", "/db?zz", "http://X.com/n?q=1"],
  [{ path: { kind: "set", value: "/n#frag" } }, "X.com", "/dk?x=1", "http://X.com/n#frag?x=1"],
  [{ host: "h.com:99" }, "X.com", "/dl", "http://h.com:99/dl"],
];

for (const [action, authority, path, location] of REDIRECTS) {
  test(`redirect of ${authority}${path} to ${location}`, () => {
    assert.equal(
      compile(route({ action: redirect(action) })).redirectLocation(request(path, [], { authority })),
      location,
    );
  });
}

test("a redirect that rewrites the path changes the request's too", () => {
  const byPrefix = compile(
    route({
      match: match({ kind: "prefix", value: "/d8/x" }),
      action: redirect({ path: { kind: "prefix", value: "/new" } }),
    }),
  );
  const asked = request("/d8/x/y?z");
  assert.equal(byPrefix.redirectLocation(asked), "http://x.com/new/y?z");
  assert.equal(asked.path, "/new/y?z");
  assert.equal(asked.headers.get("x-envoy-original-path"), "/d8/x/y?z");
  const byRegex = compile(
    route({ action: redirect({ path: { kind: "regex", rewrite: { pattern: "[0-9]+", substitution: "N\\0" } } }) }),
  );
  assert.equal(byRegex.redirectLocation(request("/d9/12/a/3?x=55")), "http://x.com/dN9/N12/a/N3?x=55");
});

test("a direct response has the request's own URI to give", () => {
  assert.equal(compile(route({ action: direct("", 201) })).redirectLocation(request("/dr1?q")), "http://x.com/dr1?q");
});

test("timeouts and policies fall back level by level", () => {
  const retryPolicy = {
    on: [],
    numRetries: 3,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    backoff: { baseMs: 25, maxMs: 250 },
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
    rateLimitedBackoff: null,
  };
  const mirror = (cluster: string) => ({ cluster, fraction: null, traceSampled: null, disableShadowHostSuffix: false });
  const one = route();
  const plain = new CompiledRoute({
    table: routeTable({ requestMirrors: [mirror("table")] }),
    virtualHost: virtualHost({ retryPolicy }),
    route: one,
    weighted: null,
  });
  assert.equal(plain.timeoutMs, 15_000);
  assert.equal(plain.idleTimeoutMs, null);
  assert.equal(plain.retryPolicy?.numRetries, 3);
  assert.deepEqual(
    plain.mirrors.map(({ cluster }) => cluster),
    ["table"],
  );
  const own = compile(
    route({
      action: forward({
        timeoutMs: 0,
        idleTimeoutMs: 5,
        retryPolicy: { ...retryPolicy, numRetries: 1 },
        requestMirrors: [mirror("route")],
      }),
    }),
  );
  assert.equal(own.timeoutMs, 0);
  assert.equal(own.idleTimeoutMs, 5);
  assert.equal(own.retryPolicy?.numRetries, 1);
  assert.deepEqual(
    own.mirrors.map(({ cluster }) => cluster),
    ["route"],
  );
});

test("the most specific level overrides a filter", () => {
  const disabled: FilterOverride = { kind: "disabled" };
  const off: FilterOverride = { kind: "rbac", policy: null };
  const compiled = new CompiledRoute({
    table: routeTable({ filterOverrides: { rbac: off, fault: off, other: off } }),
    virtualHost: virtualHost({ filterOverrides: { rbac: off, fault: disabled } }),
    route: route({ filterOverrides: { rbac: disabled } }),
    weighted: weighted("a", 1),
  });
  assert.deepEqual(compiled.filterOverride("rbac"), disabled);
  assert.deepEqual(compiled.filterOverride("fault"), disabled);
  assert.deepEqual(compiled.filterOverride("other"), off);
  assert.equal(compiled.filterOverride("toString"), null);
});
