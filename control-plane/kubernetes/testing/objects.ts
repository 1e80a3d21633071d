/** Objects as an API server gives them, for tests. */
import type { JsonObject } from "../api.ts";
import { SIDECAR_STATUS } from "../objects/pod.ts";

type Parts = { readonly [field: string]: JsonObject[string] };

export function service(name: string, parts: Parts = {}): JsonObject {
  return {
    metadata: { namespace: "shop", name, creationTimestamp: "2026-01-01T00:00:00Z", uid: `service-${name}` },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.96.0.1",
      clusterIPs: ["10.96.0.1"],
      selector: { app: name },
      ports: [{ name: "http", port: 80, targetPort: "web", protocol: "TCP" }],
      // What a later release of Kubernetes might add.
      futureField: { a: 1 },
      ...parts,
    },
    status: { loadBalancer: {} },
  };
}

export interface SliceEntry {
  readonly pod: string;
  readonly address: string;
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

export function slice(name: string, of: string, entries: readonly SliceEntry[], parts: Parts = {}): JsonObject {
  return {
    metadata: {
      namespace: "shop",
      name,
      labels: { "kubernetes.io/service-name": of },
      annotations: { "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z" },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    endpoints: entries.map(({ pod, address, ready = true, serving = ready, terminating = false }) => ({
      addresses: [address],
      conditions: { ready, serving, terminating },
      nodeName: "node-1",
      targetRef: { kind: "Pod", namespace: "shop", name: pod, uid: `pod-${pod}` },
    })),
    ...parts,
  };
}

export function pod(name: string, address: string, mesh: boolean, parts: Parts = {}): JsonObject {
  return {
    metadata: {
      namespace: "shop",
      name,
      labels: { app: name.split("-")[0] ?? name },
      annotations: mesh ? { [SIDECAR_STATUS]: '{"injector":"1"}' } : {},
    },
    spec: {
      nodeName: "node-1",
      serviceAccountName: `${name.split("-")[0]}-sa`,
      containers: [{ name: "app", ports: [{ name: "web", containerPort: 8080, protocol: "TCP" }] }],
    },
    status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] },
    ...parts,
  };
}

export function node(name: string, zone: string): JsonObject {
  return { metadata: { name, labels: { "topology.kubernetes.io/zone": zone } } };
}

export function httpRoute(name: string, parent: JsonObject, backend: JsonObject, parts: Parts = {}): JsonObject {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "HTTPRoute",
    metadata: { namespace: "shop", name, generation: 1, creationTimestamp: "2026-01-02T00:00:00Z" },
    spec: { parentRefs: [parent], rules: [{ backendRefs: [backend] }] },
    ...parts,
  };
}

/** As an API server completes it. */
export function serviceRef(name: string, port = 80): JsonObject {
  return { group: "", kind: "Service", name, port };
}

export function resiliencePolicy(name: string, target: string, spec: Parts, parts: Parts = {}): JsonObject {
  return {
    apiVersion: "outrigger.dev/v1alpha1",
    kind: "ResiliencePolicy",
    metadata: { namespace: "shop", name, generation: 1, creationTimestamp: "2026-01-02T00:00:00Z" },
    spec: { targetRefs: [{ group: "", kind: "Service", name: target }], ...spec },
    ...parts,
  };
}
