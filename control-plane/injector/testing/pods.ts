/** Pods as a cluster has them, for the injector's tests. */
import type { JsonObject } from "../../json.ts";
import { DEFAULT_SETTINGS, type InjectorSettings } from "../settings.ts";

export const SETTINGS: InjectorSettings = { ...DEFAULT_SETTINGS, image: "registry.example/outrigger:0.1.0" };

export function namespace(name: string, labels: Readonly<Record<string, string>> = {}): JsonObject {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { "outrigger.dev/inject": "enabled", ...labels } },
  };
}

export interface PodParts {
  readonly metadata?: JsonObject;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly spec?: JsonObject;
  /** Of the only container. */
  readonly container?: JsonObject;
}

/** A pod with one container, `app`, that serves port 8080. */
export function pod({ metadata = {}, annotations, spec = {}, container = {} }: PodParts = {}): JsonObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "shop", ...(annotations && { annotations }), ...metadata },
    spec: {
      containers: [{ name: "app", image: "web:1", ports: [{ name: "http", containerPort: 8080 }], ...container }],
      ...spec,
    },
  };
}

/** As a Deployment's ReplicaSet makes it, with what the API server fills in. */
export const deploymentPod: JsonObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    generateName: "web-7d4b9c6f5d-",
    namespace: "shop",
    labels: { app: "web", tier: "frontend", "pod-template-hash": "7d4b9c6f5d" },
    annotations: { "prometheus.io/scrape": "true" },
    ownerReferences: [
      { apiVersion: "apps/v1", kind: "ReplicaSet", name: "web-7d4b9c6f5d", uid: "f1", controller: true },
    ],
  },
  spec: {
    serviceAccountName: "web",
    containers: [
      {
        name: "app",
        image: "web:1",
        ports: [
          { name: "http", containerPort: 8080, protocol: "TCP" },
          { name: "grpc", containerPort: 9000, protocol: "TCP" },
        ],
        livenessProbe: { httpGet: { path: "/live?deep=0", port: "http", scheme: "HTTP" }, periodSeconds: 10 },
        readinessProbe: { grpc: { port: 9000, service: "shop.v1.Web" }, timeoutSeconds: 2 },
        startupProbe: { exec: { command: ["/bin/started"] } },
        lifecycle: { preStop: { httpGet: { path: "/stop", port: 8080 } } },
        volumeMounts: [
          { name: "kube-api-access-x7x", readOnly: true, mountPath: "/var/run/secrets/kubernetes.io/serviceaccount" },
        ],
        resources: { limits: { cpu: "1", memory: "256Mi" } },
      },
    ],
    volumes: [{ name: "kube-api-access-x7x", projected: { sources: [], defaultMode: 420 } }],
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    aFieldOfTheFuture: { kept: [1, { deeply: true }] },
  },
};

/** As a CronJob's Job makes it. */
export const jobPod: JsonObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    generateName: "report-29380020-",
    namespace: "shop",
    labels: { "job-name": "report-29380020", "batch.kubernetes.io/job-name": "report-29380020" },
    annotations: {
      "sidecar.outrigger.dev/logLevel": "info",
      "sidecar.outrigger.dev/proxyCPULimit": "2",
      "traffic.sidecar.istio.io/excludeOutboundPorts": "5432, 6379",
      "sidecar.istio.io/proxyMemory": "128Mi",
    },
    ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name: "report-29380020", uid: "f2", controller: true }],
  },
  spec: {
    restartPolicy: "Never",
    containers: [{ name: "report", image: "report:3", command: ["/bin/report"] }],
  },
};

/** With an init container that must see the plain network, one that calls a service, and a native sidecar. */
export const initPod: JsonObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "orders-0",
    namespace: "shop",
    labels: { "app.kubernetes.io/name": "orders", "statefulset.kubernetes.io/pod-name": "orders-0" },
    annotations: { "sidecar.outrigger.dev/startAfter": "fetch-secrets" },
  },
  spec: {
    securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 2000 },
    initContainers: [
      { name: "fetch-secrets", image: "vault:1" },
      { name: "migrate", image: "orders:5", args: ["migrate"] },
      {
        name: "log-shipper",
        image: "shipper:2",
        restartPolicy: "Always",
        ports: [{ name: "admin", containerPort: 2020 }],
        livenessProbe: { tcpSocket: { port: "admin" } },
      },
    ],
    containers: [
      {
        name: "orders",
        image: "orders:5",
        ports: [{ containerPort: 8443 }],
        readinessProbe: { httpGet: { path: "/ready", port: 8443, scheme: "HTTPS" } },
      },
    ],
  },
};

/** As Pod Security "restricted" asks for it, in loopback mode. */
export const restrictedPod: JsonObject = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: {
    name: "client",
    namespace: "locked",
    annotations: { "sidecar.outrigger.dev/interception": "none", "sidecar.outrigger.dev/noProxy": ".example.com" },
  },
  spec: {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    containers: [
      {
        name: "client",
        image: "client:1",
        ports: [{ containerPort: 8080 }],
        livenessProbe: { tcpSocket: { port: 8080 } },
        securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
      },
      { name: "own-proxy", image: "client:1", env: [{ name: "HTTP_PROXY", value: "http://corp:3128" }] },
    ],
  },
};

export const hostNetworkPod: JsonObject = pod({
  spec: { hostNetwork: true, containers: [{ name: "agent", image: "agent:1" }] },
});
