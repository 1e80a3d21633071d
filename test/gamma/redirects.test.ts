/** Where a caller is sent: the whole `Location`, for every mix of what a redirect may say (Gateway API, GAMMA). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Call, caller, routeOf, serviceOf } from "./routed-call.ts";

/** Status and location of the answer to a call, at a port of Service `stock`, under a rule with this redirect. */
function redirected(redirect: string, call: Call, port = 80, match = "/old"): string {
  const rule = `{ matches: [{ path: { value: ${match} } }], filters: [{ type: RequestRedirect, requestRedirect: { ${redirect} } }] }`;
  const { status, location } = caller(serviceOf("stock") + routeOf([rule]), { port })(call);
  return `${status} ${location}`;
}

/** `authority`: what a client writes into Host for the URL that it calls. */
const CASES: readonly (readonly [redirect: string, port: number, authority: string, expected: string])[] = [
  ["statusCode: 301", 80, "stock", "301 http://stock/old"],
  ["statusCode: 302", 80, "stock", "302 http://stock/old"],
  ["statusCode: 303", 80, "stock", "303 http://stock/old"],
  ["statusCode: 307", 80, "stock", "307 http://stock/old"],
  ["statusCode: 308", 80, "stock", "308 http://stock/old"],
  ["statusCode: 302", 8080, "stock:8080", "302 http://stock:8080/old"],
  // The scheme's own port is not written.
  ["scheme: https", 80, "stock", "302 https://stock/old"],
  ["scheme: https", 80, "stock:80", "302 https://stock/old"],
  ["scheme: http", 80, "stock", "302 http://stock/old"],
  ["scheme: https, hostname: example.org", 80, "stock", "302 https://example.org/old"],
  ["scheme: https, hostname: example.org", 8080, "stock:8080", "302 https://example.org/old"],
  ["scheme: http, hostname: example.org", 8080, "stock:8080", "302 http://example.org/old"],
  ["scheme: https, port: 443, hostname: example.org", 8080, "stock:8080", "302 https://example.org/old"],
  ["port: 80, hostname: example.org", 8080, "stock:8080", "302 http://example.org/old"],
  ["scheme: https, port: 443", 80, "stock", "302 https://stock/old"],
  ["port: 80", 80, "stock", "302 http://stock/old"],
  // But the caller's is never kept where another was meant.
  ["scheme: https", 8080, "stock:8080", "302 https://stock:443/old"],
  ["scheme: http", 8080, "stock:8080", "302 http://stock:80/old"],
  // Without a scheme it is the port that was called.
  ["hostname: example.org", 80, "stock", "302 http://example.org/old"],
  ["hostname: example.org", 8080, "stock:8080", "302 http://example.org:8080/old"],
  // One that is given holds.
  ["port: 8083", 80, "stock", "302 http://stock:8083/old"],
  ["port: 8083", 8080, "stock:8080", "302 http://stock:8083/old"],
  ["port: 8083, hostname: example.org", 80, "stock", "302 http://example.org:8083/old"],
  ["port: 8083, hostname: example.org, statusCode: 301", 80, "stock", "301 http://example.org:8083/old"],
  ["scheme: https, port: 8443", 80, "stock", "302 https://stock:8443/old"],
  ["scheme: https, port: 80, hostname: example.org", 80, "stock", "302 https://example.org:80/old"],
  ["port: 443, hostname: example.org", 80, "stock", "302 http://example.org:443/old"],
  ["scheme: https", 80, "[fd00::1]", "302 https://[fd00::1]/old"],
  ["port: 8083", 80, "[fd00::1]:80", "302 http://[fd00::1]:8083/old"],
];

describe("scheme, host and port", () => {
  for (const [redirect, port, authority, expected] of CASES) {
    test(`{ ${redirect} } at ${authority}: ${expected}`, () => {
      assert.equal(redirected(redirect, { path: "/old", authority }, port), expected);
    });
  }
});

function prefix(value: string): string {
  return `path: { type: ReplacePrefixMatch, replacePrefixMatch: ${value} }`;
}

/** Gateway API's own table for ReplacePrefixMatch, and what is beside it. */
const PATHS: readonly (readonly [path: string, match: string, redirect: string, expected: string])[] = [
  ["/foo/bar", "/foo", prefix("/xyz"), "/xyz/bar"],
  ["/foo/bar", "/foo", prefix("/xyz/"), "/xyz/bar"],
  ["/foo/bar", "/foo/", prefix("/xyz"), "/xyz/bar"],
  ["/foo/bar", "/foo/", prefix("/xyz/"), "/xyz/bar"],
  ["/foo", "/foo", prefix("/xyz"), "/xyz"],
  ["/foo/", "/foo", prefix("/xyz"), "/xyz/"],
  ["/foo/bar", "/foo", prefix("/"), "/bar"],
  ["/foo/", "/foo", prefix("/"), "/"],
  ["/foo", "/foo", prefix("/"), "/"],
  ["/foo/bar?a=1&b=%20", "/foo", prefix("/xyz"), "/xyz/bar?a=1&b=%20"],
  ["/foo?a=/foo", "/foo", prefix("/"), "/?a=/foo"],
  ["/a/b", "/", prefix("/xyz"), "/xyz/a/b"],
  ["/", "/", prefix("/xyz"), "/xyz/"],
  ["/foo/bar?x=1", "/foo", "path: { type: ReplaceFullPath, replaceFullPath: /all }", "/all?x=1"],
  ["/foo/a%2Fb", "/foo", prefix("/xyz"), "/xyz/a%2Fb"],
];

describe("paths of redirects", () => {
  for (const [path, match, redirect, expected] of PATHS) {
    test(`${path} under ${match}, ${redirect}: ${expected}`, () => {
      assert.equal(redirected(redirect, { path }, 80, match), `302 http://stock${expected}`);
    });
  }
});

describe("paths of rewrites", () => {
  for (const [path, match, rewrite, expected] of PATHS) {
    test(`${path} under ${match}, ${rewrite}: ${expected}`, () => {
      const filters = `[{ type: URLRewrite, urlRewrite: { ${rewrite} } }]`;
      const rule = `{ matches: [{ path: { value: ${match} } }], filters: ${filters}, backendRefs: [{ name: stock, port: 80 }] }`;
      const { path: sent, authority } = caller(serviceOf("stock") + routeOf([rule]))({ path });
      assert.deepEqual([sent, authority], [expected, "stock"]);
    });
  }
});

test("a rewritten host is the backend's, whatever the caller wrote, and leaves the path alone", () => {
  const rule =
    "{ filters: [{ type: URLRewrite, urlRewrite: { hostname: v1.example.org } }], backendRefs: [{ name: stock, port: 80 }] }";
  const call = caller(serviceOf("stock") + routeOf([rule]));
  for (const authority of ["stock", "stock:80", "127.0.0.1:80"]) {
    const { authority: sent, path } = call({ path: "/a?b", authority });
    assert.deepEqual([sent, path], ["v1.example.org", "/a?b"]);
  }
});
