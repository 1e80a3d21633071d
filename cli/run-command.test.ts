import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidArgumentError } from "commander";
import { publishedPort } from "./run-command.ts";
import { probe } from "./sidecar-command.ts";

test("a published port is the machine's, on loopback unless an address says otherwise, and the program's", () => {
  for (const [text, host, port, inside] of [
    ["8080", "127.0.0.1", 8080, 8080],
    ["8080:80", "127.0.0.1", 8080, 80],
    ["0.0.0.0:8080", "0.0.0.0", 8080, 8080],
    ["10.0.0.1:8080:80", "10.0.0.1", 8080, 80],
    ["[::1]:8080:80", "::1", 8080, 80],
  ] as const) {
    assert.deepEqual(publishedPort(text, []), [{ host, port, inside }], text);
  }
  assert.equal(publishedPort("2", publishedPort("1", [])).length, 2);
});

test("what is no port is refused", () => {
  for (const text of ["", "x", "0", "70000", "1:2:3", "1.2.3:4", "::1:80", "[x]:80", "80:", ":80"]) {
    assert.throws(() => publishedPort(text, []), InvalidArgumentError, text);
  }
});

test("a probe is a port and a path", () => {
  assert.deepEqual(probe("8080/healthz", []), [{ port: 8080, path: "/healthz" }]);
  assert.deepEqual(probe("80/", []), [{ port: 80, path: "/" }]);
  for (const text of ["8080", "/healthz", "x/healthz", "80/a?b", "80/a b", "0/a"])
    assert.throws(() => probe(text, []), InvalidArgumentError, text);
});
