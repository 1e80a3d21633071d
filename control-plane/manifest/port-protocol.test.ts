import assert from "node:assert/strict";
import { test } from "node:test";
import {
  APP_PROTOCOLS,
  appProtocolProblem,
  httpOf,
  mayBeOpaque,
  namedProtocol,
  type PortProtocol,
  portProtocol,
} from "./port-protocol.ts";

test("the name of a port announces its protocol, alone or before a dash", () => {
  const names: Readonly<Record<string, PortProtocol>> = {
    http: "http1",
    "http-web": "http1",
    http2: "http2",
    "http2-api": "http2",
    grpc: "grpc",
    "grpc-orders": "grpc",
    "grpc-web": "any",
    "grpc-web-ui": "any",
    tcp: "tcp",
    "tcp-legacy": "tcp",
    "redis-cache": "tcp",
    mysql: "tcp",
    tls: "tls",
    "https-api": "tls",
    httpx: "detected",
    tcpdump: "detected",
    "": "detected",
  };
  for (const [name, protocol] of Object.entries(names)) assert.equal(portProtocol(name, null), protocol, name);
});

test("appProtocol is asked before the name", () => {
  assert.equal(portProtocol("http", "grpc"), "grpc");
  assert.equal(portProtocol("grpc", "http"), "http1");
  assert.equal(portProtocol("tcp", "kubernetes.io/h2c"), "http2");
  assert.equal(portProtocol("http", "kubernetes.io/wss"), "tls");
  assert.equal(portProtocol("", "mysql"), "tcp");
});

test("what is carried is no problem, and names of the language's own are no protocols", () => {
  for (const value of Object.keys(APP_PROTOCOLS)) assert.equal(appProtocolProblem(value), null);
  for (const value of ["HTTP", "constructor", "toString", "udp"]) assert.notEqual(appProtocolProblem(value), null);
  assert.equal(portProtocol("constructor", null), "detected");
  assert.equal(namedProtocol("toString"), null);
});

test("what is detected may be any version of HTTP, or bytes", () => {
  assert.deepEqual([httpOf("detected"), mayBeOpaque("detected")], ["any", true]);
  assert.deepEqual([httpOf("grpc"), mayBeOpaque("grpc")], ["grpc", false]);
  assert.deepEqual([httpOf("tls"), mayBeOpaque("tls")], [null, true]);
});
