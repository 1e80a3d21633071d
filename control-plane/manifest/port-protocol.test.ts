import assert from "node:assert/strict";
import { test } from "node:test";
import { APP_PROTOCOLS, appProtocolProblem, otherProtocol, portProtocol } from "./port-protocol.ts";

test("the name of a port announces its protocol, alone or before a dash", () => {
  const names = [
    "http",
    "http-web",
    "http2",
    "http2-api",
    "grpc",
    "grpc-orders",
    "grpc-web",
    "grpc-web-ui",
    "httpx",
    "",
  ];
  assert.deepEqual(
    names.map((name) => portProtocol(name, null)),
    ["http1", "http1", "http2", "http2", "grpc", "grpc", "any", "any", "any", "any"],
  );
});

test("appProtocol is asked before the name", () => {
  assert.equal(portProtocol("http", "grpc"), "grpc");
  assert.equal(portProtocol("grpc", "http"), "http1");
  assert.equal(portProtocol("tcp", "kubernetes.io/h2c"), "http2");
  assert.equal(otherProtocol("tcp", "kubernetes.io/h2c"), null);
});

test("what is carried is no problem, and names of the language's own are no protocols", () => {
  for (const value of Object.keys(APP_PROTOCOLS)) assert.equal(appProtocolProblem(value), null);
  for (const value of ["https", "tcp", "HTTP", "constructor", "toString"])
    assert.notEqual(appProtocolProblem(value), null);
  assert.equal(portProtocol("constructor", null), "any");
});

test("names that announce something else are told", () => {
  assert.equal(otherProtocol("redis-cache", null), "redis");
  assert.equal(otherProtocol("tls", null), "tls");
  assert.equal(otherProtocol("tcpdump", null), null);
  assert.equal(otherProtocol("http", null), null);
});
