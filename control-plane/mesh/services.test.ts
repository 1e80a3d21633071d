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

/** Endpoints of port 80, one a line: addresses, then the workload. */
function instances(manifests: string, ...registrations: readonly ReturnType<typeof registered>[]): readonly string[] {
  const objects = objectsOf(manifests);
  const state = buildState({ trustDomain: "cluster.local", objects, registrations });
  return (state.services.get("default/a")?.endpoints.get(80) ?? []).map(({ host, additionalHosts, port, workload }) =>
    [host, ...additionalHosts, `:${port}`, workload].join(" ").trim(),
  );
}

const slice = (name: string, type: "IPv4" | "IPv6", endpoints: string, account = ""): string => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: ${name}, labels: { kubernetes.io/service-name: a${account === "" ? "" : `, outrigger.dev/service-account: ${account}`} } }
addressType: ${type}
endpoints: [${endpoints}]
ports: [{ name: http, port: 8080 }]
`;
const pod = (address: string, name: string): string =>
  `{ addresses: ["${address}"], targetRef: { kind: Pod, namespace: default, name: ${name}, uid: "7" } }`;
const named = (address: string, hostname: string): string => `{ addresses: ["${address}"], hostname: ${hostname} }`;

test("a workload with several addresses is one instance, where rules lead its peers", () => {
  const dual = intercepted("a", 1, { address: "10.0.0.1", addresses: ["fd77::1"] });
  assert.deepEqual(instances(SERVICE, registered(dual)), ["10.0.0.1 fd77::1 :8080 a-1"]);
});

test("a pod that stands in slices of both families is one instance, in whatever order they are read", () => {
  const slices = [
    slice("x6", "IPv6", [pod("fd77::1", "p1"), pod("fd77::3", "p3")].join()),
    slice("x4", "IPv4", [pod("10.0.0.1", "p1"), pod("10.0.0.2", "p2")].join()),
  ];
  const expected = ["10.0.0.1 fd77::1 :8080", "10.0.0.2 :8080", "fd77::3 :8080"];
  assert.deepEqual(instances(SERVICE + slices.join("")), expected);
  assert.deepEqual(instances(SERVICE + slices.toReversed().join("")), expected);
});

test("host names tell who is who where nothing refers to a pod, and who has neither is alone", () => {
  const four = [named("10.0.0.1", "p1"), named("10.0.0.2", "p2"), '{ addresses: ["10.0.0.3"] }'].join();
  const six = [named("fd77::1", "p1"), pod("fd77::2", "p2"), '{ addresses: ["fd77::3"] }'].join();
  assert.deepEqual(instances(SERVICE + slice("x4", "IPv4", four) + slice("x6", "IPv6", six)), [
    "10.0.0.1 fd77::1 :8080 p1",
    "10.0.0.2 :8080 p2",
    "10.0.0.3 :8080",
    "fd77::2 :8080",
    "fd77::3 :8080",
  ]);
});

test("what is called in another way, or twice in one family, is another endpoint", () => {
  const both = slice("x4", "IPv4", pod("10.0.0.1", "p")) + slice("x6", "IPv6", pod("fd77::1", "p"), "a");
  assert.deepEqual(instances(SERVICE + both), ["10.0.0.1 :8080", "fd77::1 :8080"]);
  const twice = slice("x4", "IPv4", [pod("10.0.0.1", "p"), pod("10.0.0.2", "p")].join());
  assert.deepEqual(instances(SERVICE + twice + slice("x6", "IPv6", pod("fd77::1", "p"))), [
    "10.0.0.1 fd77::1 :8080",
    "10.0.0.2 :8080",
  ]);
});

test("slices do not tell again of a workload that has registered, whichever of its addresses they name", () => {
  const dual = registered(intercepted("a", 1, { address: "10.0.0.1", addresses: ["fd77::1"] }));
  const four = slice("x4", "IPv4", [pod("10.0.0.1", "p1"), pod("10.0.0.2", "p2")].join());
  const six = slice("x6", "IPv6", pod("fd77::1", "p1"));
  const expected = ["10.0.0.1 fd77::1 :8080 a-1", "10.0.0.2 :8080"];
  assert.deepEqual(instances(SERVICE + four + six, dual), expected);
  assert.deepEqual(instances(SERVICE + six + slice("y4", "IPv4", pod("10.0.0.2", "p2")), dual), expected);
});
