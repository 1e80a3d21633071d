import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { CertificateInfo } from "../../certs/inspect.ts";
import type { SanMatch } from "../../model/tls.ts";
import { compileSanMatchers, dnsNameMatches } from "./san-matcher.ts";

const NOBODY: CertificateInfo = {
  subject: "",
  issuer: "",
  serial: "",
  uris: [],
  dnsNames: [],
  ipAddresses: [],
  emails: [],
  notBefore: 0,
  notAfter: 0,
  isCa: false,
  sha256: "",
};
const ORDERS = "spiffe://mesh/ns/shop/sa/orders";

function matches(matcher: SanMatch, names: Partial<CertificateInfo>): boolean {
  return compileSanMatchers([matcher])({ ...NOBODY, ...names });
}

test("each kind of match, on the name's own type only", () => {
  const uri = (match: SanMatch["match"]): SanMatch => ({ type: "uri", match });
  const cases: [SanMatch["match"], boolean][] = [
    [{ kind: "exact", value: ORDERS, ignoreCase: false }, true],
    [{ kind: "exact", value: `${ORDERS}-2`, ignoreCase: false }, false],
    [{ kind: "exact", value: ORDERS.toUpperCase(), ignoreCase: false }, false],
    [{ kind: "exact", value: ORDERS.toUpperCase(), ignoreCase: true }, true],
    [{ kind: "prefix", value: "spiffe://mesh/", ignoreCase: false }, true],
    [{ kind: "prefix", value: "spiffe://mesh2/", ignoreCase: false }, false],
    [{ kind: "suffix", value: "/sa/orders", ignoreCase: false }, true],
    [{ kind: "contains", value: "/ns/shop/", ignoreCase: false }, true],
    [{ kind: "regex", value: "spiffe://mesh/ns/.*/sa/orders" }, true],
    // The whole name must match.
    [{ kind: "regex", value: "spiffe://mesh/ns/shop" }, false],
  ];
  for (const [match, expected] of cases) {
    assert.equal(matches(uri(match), { uris: ["spiffe://other/x", ORDERS] }), expected, JSON.stringify(match));
    assert.equal(matches(uri(match), { dnsNames: [ORDERS], emails: [ORDERS] }), false);
    assert.equal(matches({ type: "any", match }, { emails: [ORDERS] }), expected);
  }
  assert.throws(() => compileSanMatchers([uri({ kind: "regex", value: "(" })]));
});

test("one matcher and one name are enough, none is not", () => {
  const exact = (value: string): SanMatch => ({ type: "uri", match: { kind: "exact", value, ignoreCase: false } });
  const test = compileSanMatchers([exact("a"), exact("b")]);
  assert.equal(test({ ...NOBODY, uris: ["x", "b"] }), true);
  assert.equal(test({ ...NOBODY, uris: ["x", "y"] }), false);
  assert.equal(test(NOBODY), false);
});

test("IP addresses in the form that people write", () => {
  const ip = (value: string): SanMatch => ({ type: "ip", match: { kind: "exact", value, ignoreCase: false } });
  assert.equal(matches(ip("fd00::1"), { ipAddresses: ["FD00:0:0:0:0:0:0:1"] }), true);
  assert.equal(matches(ip("10.0.0.1"), { ipAddresses: ["10.0.0.1"] }), true);
  assert.equal(matches(ip("10.0.0.1"), { dnsNames: ["10.0.0.1"] }), false);
});

test("a wildcard covers part of one label, the first", () => {
  const cases: [string, string, boolean][] = [
    ["a.example.test", "*.example.test", true],
    ["A.Example.test", "*.eXample.test", true],
    ["a.b.example.test", "*.example.test", false],
    ["example.test", "*.example.test", false],
    ["example.test", "*.test", true],
    ["test", "*", false],
    ["web-1.example.test", "web-*.example.test", true],
    ["web.example.test", "web*.example.test", true],
    ["1-web.example.test", "*-web.example.test", true],
    ["web.example.test", "w*b*.example.test", false],
    ["aXb.example.test", "a*b.example.test", true],
    ["ab.example.test", "abb*b.example.test", false],
    ["xn--abc.example.test", "xn--*.example.test", false],
    ["a.example.test", "a.*.test", false],
    ["", "*.example.test", false],
  ];
  for (const [host, pattern, expected] of cases)
    assert.equal(dnsNameMatches(host, pattern), expected, `${host} ${pattern}`);
});

test("a wildcard never covers a dot", () => {
  const label = fc.stringMatching(/^[a-z0-9.]{0,6}$/);
  fc.assert(
    fc.property(label, label, (first, second) => {
      const covered = dnsNameMatches(`${first}x${second}.example.test`, "*.example.test");
      assert.equal(covered, !`${first}${second}`.includes("."));
    }),
  );
});
