/** The cluster of the control plane's benchmark: services in namespaces, pods behind them, some of which have sidecars. */
import type { JsonObject } from "../../control-plane/kubernetes/api.ts";
import { SIDECAR_STATUS } from "../../control-plane/kubernetes/objects/pod.ts";

export interface Size {
  readonly namespaces: number;
  readonly services: number;
  /** Behind each service, in one EndpointSlice. */
  readonly podsPerService: number;
  /** Simulated; they belong to the first pods of the first services. */
  readonly sidecars: number;
}

export const SIZE: Size = { namespaces: 50, services: 1000, podsPerService: 10, sidecars: 500 };

/** Calls of an API server by which something is made. */
export interface Put {
  readonly path: string;
  readonly object: JsonObject;
}

const ACCOUNT = "app";
/** Before the webhook's name in the cluster is known to it. */
export const WEBHOOK = "outrigger-bench";

export interface SidecarPlace {
  readonly namespace: string;
  readonly service: string;
  readonly serviceAccount: string;
  readonly address: string;
}

export function namespaceOf(service: number, { namespaces }: Size): string {
  return `ns-${service % namespaces}`;
}

export function serviceName(service: number): string {
  return `svc-${service}`;
}

/** Name of the cluster that sidecars have of a service. */
export function clusterOf(service: number, size: Size): string {
  return `outbound|80||${serviceName(service)}.${namespaceOf(service, size)}`;
}

export function podAddress(service: number, pod: number): string {
  return `10.${100 + pod}.${service >> 8}.${service & 255}`;
}

export function sidecarPlace(index: number, size: Size): SidecarPlace {
  const service = index % size.services;
  const pod = Math.floor(index / size.services);
  return {
    namespace: namespaceOf(service, size),
    service: serviceName(service),
    serviceAccount: ACCOUNT,
    address: podAddress(service, pod),
  };
}

/** Everything that there is at the beginning. `reach`: each namespace's sidecars are told of so many others; null: of all. */
export function* content(size: Size, reach: number | null): Generator<Put> {
  for (let i = 0; i < size.namespaces; i++) {
    const others = Array.from({ length: reach ?? 0 }, (_, n) => `ns-${(i + n + 1) % size.namespaces}`);
    yield {
      path: `/api/v1/namespaces/ns-${i}`,
      object: {
        metadata: {
          name: `ns-${i}`,
          labels: { "outrigger.dev/inject": "enabled" },
          ...(reach === null ? {} : { annotations: { "outrigger.dev/reach": others.join(",") } }),
        },
      },
    };
  }
  yield { path: "/api/v1/nodes/node-1", object: { metadata: { name: "node-1", labels: {} } } };
  yield {
    path: `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${WEBHOOK}`,
    object: { webhooks: [{ name: "pods", clientConfig: {} }] },
  };
  for (let service = 0; service < size.services; service++) {
    const namespace = namespaceOf(service, size);
    yield { path: `/api/v1/namespaces/${namespace}/services/${serviceName(service)}`, object: serviceObject(service) };
    for (let pod = 0; pod < size.podsPerService; pod++) {
      const name = podName(service, pod);
      yield { path: `/api/v1/namespaces/${namespace}/pods/${name}`, object: podObject(service, pod) };
    }
    yield slicePut(service, size, size.podsPerService);
  }
}

/** The EndpointSlice of a service with its first `ready` pods. */
export function slicePut(service: number, size: Size, ready: number): Put {
  const namespace = namespaceOf(service, size);
  const name = `${serviceName(service)}-1`;
  return {
    path: `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices/${name}`,
    object: {
      metadata: { name, labels: { "kubernetes.io/service-name": serviceName(service) } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: Array.from({ length: size.podsPerService }, (_, pod) => ({
        addresses: [podAddress(service, pod)],
        conditions: { ready: pod < ready, serving: pod < ready, terminating: false },
        nodeName: "node-1",
        targetRef: { kind: "Pod", namespace, name: podName(service, pod) },
      })),
    },
  };
}

function podName(service: number, pod: number): string {
  return `${serviceName(service)}-${pod}`;
}

function serviceObject(service: number): JsonObject {
  const address = `10.96.${service >> 8}.${service & 255}`;
  return {
    metadata: { name: serviceName(service), creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: {
      type: "ClusterIP",
      clusterIP: address,
      clusterIPs: [address],
      selector: { app: serviceName(service) },
      ports: [{ name: "http", port: 80, targetPort: 8080, protocol: "TCP" }],
    },
  };
}

function podObject(service: number, pod: number): JsonObject {
  const address = podAddress(service, pod);
  return {
    metadata: {
      name: podName(service, pod),
      labels: { app: serviceName(service) },
      annotations: { [SIDECAR_STATUS]: '{"injector":"1"}' },
    },
    spec: {
      nodeName: "node-1",
      serviceAccountName: ACCOUNT,
      containers: [{ name: "app", image: "app", ports: [{ containerPort: 8080, protocol: "TCP" }] }],
    },
    status: { phase: "Running", podIP: address, podIPs: [{ ip: address }] },
  };
}
