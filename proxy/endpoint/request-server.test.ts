/** Names of servers as Envoy 1.40 takes them from requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HeaderMap } from "../../core/header-map.ts";
import { requestServerName, tlsServerName } from "./request-server.ts";

const rule = { sni: true, verifySan: true, header: "" };

test("the host without its port, in brackets or not", () => {
  for (const [authority, name] of [
    ["a.test", "a.test"],
    ["a.test:8443", "a.test"],
    ["A.test", "A.test"],
    ["127.0.0.1:80", "127.0.0.1"],
    ["[::1]:80", "::1"],
    ["[::1", "[::1"],
    ["::1", "::1"],
    ["", ""],
  ] as const) {
    assert.equal(requestServerName(rule, authority, new HeaderMap()), name, authority);
  }
});

test("a configured header comes before the host, if the request has it", () => {
  const headers = HeaderMap.of({ "x-server": "b.test:9", "x-empty": "" });
  const name = (header: string): string => requestServerName({ ...rule, header }, "a.test", headers);
  assert.deepEqual(["x-server", "x-empty", "x-missing", ":authority"].map(name), [
    "b.test",
    "a.test",
    "a.test",
    "a.test",
  ]);
});

test("an address is verified but never asked for; what is not configured is left to the context", () => {
  assert.deepEqual(tlsServerName(rule, "a.test"), { sni: "a.test", san: "a.test" });
  assert.deepEqual(tlsServerName(rule, "::1"), { sni: null, san: "::1" });
  assert.deepEqual(tlsServerName({ ...rule, sni: false }, "a.test"), { sni: null, san: "a.test" });
  assert.deepEqual(tlsServerName({ ...rule, verifySan: false }, "a.test"), { sni: "a.test", san: null });
});
