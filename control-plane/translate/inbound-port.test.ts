/** What the application beside a sidecar speaks, by what the services that lead to it declare. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildState } from "../mesh/build.ts";
import type { Registration } from "../mesh/workload.ts";
import { objectsOf, workload } from "../testing/workloads.ts";
import { inboundPorts } from "./inbound-port.ts";

function protocolOf(manifests: string, appPort = 8080): string {
  const registration: Registration = {
    workload: workload("stock", 1, { appPort }),
    servicePort: appPort,
    serving: true,
  };
  const inputs = { trustDomain: "cluster.local", objects: objectsOf(manifests), registrations: [registration] };
  const [port, ...others] = inboundPorts(buildState(inputs), registration.workload);
  assert.deepEqual(others, [], "a sidecar without interception stands before one port");
  assert.equal(port?.port, appPort);
  return `${port.http}${port.opaque ? " or bytes" : ""}`;
}

const service = (name: string, ports: string): string =>
  `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { selector: { app: stock }, ports: [${ports}] }\n`;

test("an application whose service nobody declared gets what its callers speak", () => {
  assert.equal(protocolOf(""), "any");
  assert.equal(protocolOf(service("stock", "{ port: 80 }")), "any or bytes");
});

test("a service's only port declares for all of its workloads, one of several for those behind it", () => {
  assert.equal(protocolOf(service("stock", "{ name: grpc, port: 80 }")), "grpc");
  const two = service(
    "stock",
    "{ name: http, port: 80, targetPort: 8080 }, { name: grpc, port: 81, targetPort: 9090 }",
  );
  assert.equal(protocolOf(two, 8080), "http1");
  assert.equal(protocolOf(two, 9090), "grpc");
  assert.equal(protocolOf(two, 7070), "any");
});

test("services that select one workload agree on a version of HTTP, or it is what callers speak", () => {
  const both = (a: string, b: string): string =>
    protocolOf(service("stock", `{ name: ${a}, port: 80 }`) + service("stock-v1", `{ name: ${b}, port: 80 }`));
  assert.equal(both("http", "http-v1"), "http1");
  assert.equal(both("grpc", "web"), "grpc or bytes");
  assert.equal(both("grpc", "tcp"), "grpc or bytes");
  assert.equal(both("redis", "tls"), "null or bytes");
  assert.equal(both("grpc", "http2"), "http2");
  assert.equal(both("http", "grpc"), "any");
});
