/** Pods at a steady rate through the webhook, over TLS as the API server calls it. */
import https from "node:https";
import { setTimeout as wait } from "node:timers/promises";
import { now } from "./messages.ts";

export interface InjectionFigures {
  /** From the request to the whole answer, ms, each. */
  readonly ms: readonly number[];
  readonly failures: number;
}

/** Asks for `count` pods, `perSecond`; connections are kept open, as by an API server. */
export async function inject(port: number, roots: string, count: number, perSecond: number): Promise<InjectionFigures> {
  const agent = new https.Agent({ keepAlive: true, ca: roots, checkServerIdentity: () => undefined });
  const ms: number[] = [];
  let failures = 0;
  const calls: Promise<void>[] = [];
  const begin = now();
  for (let i = 0; i < count; i++) {
    await wait(Math.max(0, begin + (i * 1000) / perSecond - now()));
    const started = now();
    calls.push(
      review(agent, port, i).then(
        (allowed) => {
          ms.push(now() - started);
          if (!allowed) failures++;
        },
        () => {
          failures++;
        },
      ),
    );
  }
  await Promise.all(calls);
  agent.destroy();
  return { ms, failures };
}

/** Whether the pod is allowed, and gets a sidecar. */
function review(agent: https.Agent, port: number, index: number): Promise<boolean> {
  const namespace = `ns-${index % 50}`;
  const body = JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: `pod-${index}`,
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      namespace,
      operation: "CREATE",
      object: podFor(index, namespace),
      dryRun: false,
    },
  });
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const options = { host: "127.0.0.1", port, path: "/inject", method: "POST", agent, headers };
    const request = https.request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { response: answer } = JSON.parse(Buffer.concat(chunks).toString()) as {
          readonly response: { readonly allowed: boolean; readonly patch?: string };
        };
        resolve(answer.allowed && answer.patch !== undefined);
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

/** As a Deployment's pods are: two containers with probes, limits, environment and volumes. */
function podFor(index: number, namespace: string): object {
  const container = (name: string, port: number): object => ({
    name,
    image: `registry.example/${name}:1.2.3`,
    ports: [{ name: "http", containerPort: port, protocol: "TCP" }],
    env: Array.from({ length: 20 }, (_, i) => ({ name: `SETTING_${i}`, value: `value of setting ${i}` })),
    resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
    livenessProbe: { httpGet: { path: "/live", port: "http", scheme: "HTTP" }, periodSeconds: 10 },
    readinessProbe: { tcpSocket: { port }, periodSeconds: 5 },
    volumeMounts: [{ name: "config", mountPath: "/etc/config", readOnly: true }],
  });
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { generateName: "svc-", namespace, labels: { app: `svc-${index}`, "pod-template-hash": "5d4f" } },
    spec: {
      serviceAccountName: "app",
      containers: [container("app", 8080), container("worker", 8081)],
      volumes: [{ name: "config", configMap: { name: "config" } }],
    },
  };
}
