import assert from "node:assert/strict";
import { test } from "node:test";
import { intercepted, objectsOf, workload } from "../testing/workloads.ts";
import { buildState } from "./build.ts";
import { Mesh } from "./mesh.ts";
import type { MeshState } from "./state.ts";
import type { Workload } from "./workload.ts";

const registered = (of: Workload) => ({ workload: of, servicePort: of.appPort, serving: true });

function protocolOf(state: MeshState): string | undefined {
  return state.services.get("default/a")?.definition.ports[0]?.protocol;
}

test("what nobody declared is HTTP where the first workload has loopback addresses, else whatever comes", () => {
  const mesh = new Mesh("cluster.local");
  mesh.setRegistration("a-1", registered(workload("a", 1)));
  assert.equal(protocolOf(mesh.state), "any");
  mesh.setRegistration("a-2", registered(intercepted("a", 2)));
  assert.equal(protocolOf(mesh.state), "any");
  mesh.setRegistration("a-1", undefined);
  assert.equal(protocolOf(mesh.state), "detected");
  mesh.setRegistration("a-1", registered(workload("a", 1)));
  assert.equal(protocolOf(mesh.state), "detected");
});

const SERVICE = `
apiVersion: v1
kind: Service
metadata: { name: a }
spec:
  ports:
    - { name: http, port: 80, targetPort: 8080 }
    - { name: tcp, port: 81 }
    - { name: named, port: 82, targetPort: web }
`;

test("with interception a workload serves every port that has a number, without it the one that is its own", () => {
  const endpoints = (of: Workload): readonly string[] => {
    const objects = objectsOf(SERVICE);
    const state = buildState({ trustDomain: "cluster.local", objects, registrations: [registered(of)] });
    return [...(state.services.get("default/a")?.endpoints ?? [])].map(
      ([port, list]) => `${port}: ${list.map((endpoint) => `${endpoint.host}:${endpoint.port}`)}`,
    );
  };
  const own = intercepted("a", 1, { address: "10.0.0.1" });
  assert.deepEqual(endpoints(own), ["80: 10.0.0.1:8080", "81: 10.0.0.1:81", "82: "]);
  const run = { ...own, interception: { inbound: "none", networkNamespace: "/n", ipv6: true } } as const;
  assert.deepEqual(endpoints(run), ["80: 10.0.0.1:15006", "81: ", "82: "]);
  assert.deepEqual(endpoints(workload("a", 1, { address: "127.9.0.1", appPort: 81 })), [
    "80: ",
    "81: 127.9.0.1:15006",
    "82: ",
  ]);
});

test("one of several ports that has a name as its target is told: no workload serves it", () => {
  const { findings } = buildState({ trustDomain: "cluster.local", objects: objectsOf(SERVICE), registrations: [] });
  assert.deepEqual(
    findings.map(({ key, message }) => `${key}: ${message}`),
    [
      'Service/default/a: port 82 has a name as its targetPort ("web"): workloads that register have numbers alone, and none of them serves it',
    ],
  );
});
