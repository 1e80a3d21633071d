import assert from "node:assert/strict";
import { test } from "node:test";
import { objectsOf } from "../testing/workloads.ts";
import { buildState } from "./build.ts";

function findingsOf(manifests: string): readonly string[] {
  const { findings } = buildState({ trustDomain: "cluster.local", objects: objectsOf(manifests), registrations: [] });
  return findings.map(({ key, message }) => `${key}: ${message}`);
}

function service(name: string, ...ports: readonly string[]): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { ports: [${ports.join(", ")}] }\n`;
}

function policy(kind: string, spec: string): string {
  return `---\napiVersion: outrigger.dev/v1alpha1\nkind: ${kind}\nmetadata: { name: p }\nspec: ${spec}\n`;
}

test("a port whose name says something else than its appProtocol is told, in what it costs", () => {
  const manifest = service(
    "a",
    "{ name: grpc-stock, port: 1, appProtocol: tcp }",
    "{ name: http, port: 2, appProtocol: https }",
    "{ name: redis, port: 3, appProtocol: http }",
    "{ name: http-web, port: 4, appProtocol: grpc }",
    "{ name: web, port: 5, appProtocol: mysql }",
  );
  const blind = "its calls are carried as bytes, without routes, retries or metrics of calls";
  assert.deepEqual(findingsOf(manifest), [
    `Service/default/a: port 1 is named "grpc-stock", but its appProtocol is tcp: ${blind}, and all calls of a connection go to one instance`,
    `Service/default/a: port 2 is named "http", but its appProtocol is https: ${blind}`,
    'Service/default/a: port 3 is named "redis", but its appProtocol is http: what comes is read as HTTP',
  ]);
});

const DB = service("db", "{ name: mysql, port: 3306 }", "{ name: tls, port: 443 }");
const MIXED = service("mixed", "{ name: mysql, port: 3306 }", "{ name: http, port: 80 }");

test("what a ResiliencePolicy says of calls has no meaning where there are only bytes", () => {
  const spec =
    "{ targetRefs: [{ kind: Service, name: db }, { kind: Service, name: mixed }], timeouts: { connect: 1s, request: 2s, idle: 1m }, retry: { on: [connect-failure, 5xx], budget: {} }, limits: { connections: 5, requests: 7 }, connection: {} }";
  assert.deepEqual(findingsOf(DB + MIXED + policy("ResiliencePolicy", spec)), [
    "ResiliencePolicy/default/p: timeouts.request, retry.on, retry.budget, limits.requests: no meaning for Service default/db, whose connections are carried as bytes: port 3306 (tcp), 443 (tls)",
  ]);
});

test("what it says of connections has", () => {
  const spec =
    "{ targetRefs: [{ kind: Service, name: db }], timeouts: { connect: 1s, idle: 1m }, retry: { attempts: 3 }, limits: { connections: 5, pending: 7 }, circuitBreaker: {}, outlierDetection: {} }";
  assert.deepEqual(findingsOf(DB + policy("ResiliencePolicy", spec)), []);
});

test("rules about methods and paths are told where a port has none, with what they then do", () => {
  const rules =
    "rules: [{ from: [{ namespaces: [a] }] }, { name: reads, to: [{ methods: [GET] }] }, { to: [{ paths: [/x] }] }]";
  const speaks = "rule reads, 2 speaks of methods or paths, and port";
  const one = `{ targetRefs: [{ kind: Service, name: mixed }], ${rules} }`;
  assert.deepEqual(findingsOf(DB + MIXED + policy("AccessPolicy", one)), [
    `AccessPolicy/default/p: ${speaks} 3306 of Service default/mixed carries bytes (tcp): there it allows nobody`,
  ]);
  assert.deepEqual(findingsOf(DB + MIXED + policy("AccessPolicy", `{ action: Deny, ${rules} }`)), [
    `AccessPolicy/default/p: ${speaks} 3306 of Service default/db carries bytes (tcp): there it denies whoever it is for`,
    `AccessPolicy/default/p: ${speaks} 443 of Service default/db carries bytes (tls): there it denies whoever it is for`,
    `AccessPolicy/default/p: ${speaks} 3306 of Service default/mixed carries bytes (tcp): there it denies whoever it is for`,
  ]);
});
