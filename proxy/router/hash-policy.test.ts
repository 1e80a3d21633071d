import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { HashPolicy } from "../../model/route.ts";
import { type Fields, request, streamInfo } from "../../test/support/routes.ts";
import { xxHash64 } from "../cluster/load-balancer/xxhash64.ts";
import { compileHash, cookieValue } from "./hash-policy.ts";

function hash(policies: readonly HashPolicy[], path: string, fields: Fields = []): bigint | null {
  return compileHash(policies)?.(request(path, fields), streamInfo()) ?? null;
}

const header: HashPolicy = { kind: "header", name: "x-user", terminal: false };
const query: HashPolicy = { kind: "query", name: "q", terminal: false };
const source: HashPolicy = { kind: "source_ip", terminal: false };
const cookie: HashPolicy = { kind: "cookie", name: "sid", ttlMs: null, path: "", terminal: false };

test("each policy hashes what it names", () => {
  assert.equal(hash([header], "/", [["X-User", "u1"]]), xxHash64("u1"));
  assert.equal(hash([query], "/?a=1&q=v"), xxHash64("v"));
  assert.equal(hash([source], "/"), xxHash64("10.1.2.3"));
  assert.equal(hash([cookie], "/", [["cookie", 'a=1; sid="s1"']]), xxHash64("s1"));
  assert.equal(hash([{ kind: "header", name: ":path", terminal: false }], "/p"), xxHash64("/p"));
});

test("the caller's address is the trusted one, without its port", () => {
  const info = streamInfo();
  const run = compileHash([source]);
  info.downstreamAddress = "[2001:db8::1]:0";
  assert.equal(run?.(request("/"), info), xxHash64("2001:db8::1"));
  info.downstreamAddress = "1.2.3.4:0";
  assert.equal(run?.(request("/"), info), xxHash64("1.2.3.4"));
});

test("a caller without the cookie is given one that lives as long as the policy says", () => {
  const given = (ttlMs: number, path: string, fields: Fields = []): readonly string[] | null => {
    const info = streamInfo();
    const found = compileHash([{ ...cookie, ttlMs, path } as HashPolicy])?.(request("/", fields), info);
    const value = /^sid="([0-9a-f]+)"/.exec(info.setCookies?.[0] ?? "")?.[1];
    assert.equal(found, xxHash64(value ?? "mine"));
    return info.setCookies?.map((text) => text.replace(/"[0-9a-f]+"/, '""')) ?? null;
  };
  assert.deepEqual(given(60_000, "/app"), ['sid=""; Max-Age=60; Path=/app; HttpOnly']);
  assert.deepEqual(given(0, ""), ['sid=""; HttpOnly']);
  assert.deepEqual(given(60_000, "/", [["cookie", "sid=mine"]]), null);
});

test("nothing to hash by is no hash", () => {
  assert.equal(compileHash([]), null);
  assert.equal(hash([header, query, cookie], "/"), null);
});

test("several policies combine, and equal values do not cancel each other out", () => {
  const fields: Fields = [["x-user", "same"]];
  const one = xxHash64("same");
  const both = hash([header, query], "/?q=same", fields);
  assert.equal(both, BigInt.asUintN(64, (one << 1n) | (one >> 63n)) ^ one);
  assert.notEqual(both, 0n);
});

test("a terminal policy that found something ends the search", () => {
  const terminal: HashPolicy = { ...header, terminal: true };
  assert.equal(hash([terminal, query], "/?q=v", [["x-user", "u"]]), xxHash64("u"));
  assert.equal(hash([terminal, query], "/?q=v"), xxHash64("v"));
});

test("cookies are found by name, whatever surrounds them", () => {
  assert.equal(cookieValue("a=1; b=2", "b"), "2");
  assert.equal(cookieValue("a=1,b=2", "b"), "2");
  assert.equal(cookieValue("b=x=y", "b"), "x=y");
  assert.equal(cookieValue("bb=1; xb=2", "b"), null);
  assert.equal(cookieValue(null, "b"), null);
  fc.assert(
    fc.property(fc.string(), fc.string(), (text, name) => {
      cookieValue(text, name);
    }),
  );
});
