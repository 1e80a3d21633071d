/** Applications of the tests: Kubernetes objects around `apps/app.ts`, and calls from one of them to another. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { exec, type KubeObject, list } from "./cluster.ts";

export const CONTAINER = "app";
const NODE = "/usr/local/bin/node";
const PROGRAM = readFileSync(path.join(import.meta.dirname, "..", "apps", "app.ts"), "utf8");

/** What Pod Security `restricted` asks for. Not user 1337: that is the sidecar's, whose connections are let pass. */
export const SECURITY = {
  runAsNonRoot: true,
  runAsUser: 1000,
  runAsGroup: 1000,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

export interface Pod extends KubeObject {
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
    readonly hostNetwork?: boolean;
  };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly restartPolicy?: string;
}

export interface ContainerStatus {
  readonly name: string;
  readonly restartCount: number;
  readonly state: {
    readonly running?: { readonly startedAt: string };
    readonly terminated?: { readonly exitCode: number; readonly startedAt: string; readonly finishedAt: string };
  };
}

export interface Application {
  readonly namespace: string;
  readonly name: string;
  readonly replicas?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Fields of the pod's spec beside its containers. */
  readonly spec?: object;
  /** Further fields of the container. */
  readonly container?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** Of the Service's port. */
  readonly appProtocol?: string;
}

/** The image that all pods of the tests run: the one that is tested. */
export function image(): string {
  const name = process.env["OUTRIGGER_IMAGE"];
  if (name === undefined) throw new Error("OUTRIGGER_IMAGE is not set");
  return name;
}

/** The container that runs the program; its pod needs `programVolume`. */
export function programContainer(name: string, env: Readonly<Record<string, string>> = {}): object {
  return {
    name: CONTAINER,
    image: image(),
    imagePullPolicy: "IfNotPresent",
    command: [NODE, "/program/app.ts"],
    env: Object.entries({ NAME: name, ...env }).map(([key, value]) => ({ name: key, value })),
    ports: [{ name: "http", containerPort: 8080 }],
    readinessProbe: { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 1 },
    resources: { requests: { cpu: "10m", memory: "32Mi" } },
    securityContext: SECURITY,
    volumeMounts: [{ name: "program", mountPath: "/program" }],
  };
}

export const programVolume = { name: "program", configMap: { name: "program" } };

/** The program itself, for a namespace. */
export function programConfigMap(namespace: string): object {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "program", namespace },
    data: { "app.ts": PROGRAM },
  };
}

/** A Deployment, its service account and its Service (port 80, HTTP). */
export function application(app: Application): readonly object[] {
  const {
    namespace,
    name,
    replicas = 1,
    labels = {},
    annotations = {},
    spec = {},
    container = {},
    env = {},
    appProtocol = "http",
  } = app;
  const metadata = { name, namespace };
  return [
    programConfigMap(namespace),
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata,
      spec: { selector: { app: name }, ports: [{ name: "http", port: 80, targetPort: "http", appProtocol }] },
    },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas,
        selector: { matchLabels: { app: name } },
        strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
        template: {
          metadata: { labels: { app: name, ...labels }, annotations },
          spec: {
            serviceAccountName: name,
            automountServiceAccountToken: false,
            terminationGracePeriodSeconds: 30,
            containers: [{ ...programContainer(name, env), ...container }],
            volumes: [programVolume],
            ...spec,
          },
        },
      },
    },
  ];
}

/** The running pods of an application that are not being deleted. */
export async function podsOf(namespace: string, name: string): Promise<readonly Pod[]> {
  const pods = await list<Pod>(namespace, "pods", `app=${name}`);
  return pods.filter(({ status, metadata }) => status.phase === "Running" && metadata.deletionTimestamp === undefined);
}

export async function onePod(namespace: string, name: string): Promise<string> {
  const [pod] = await podsOf(namespace, name);
  if (pod === undefined) throw new Error(`no running pod of ${namespace}/${name}`);
  return pod.metadata.name;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What `fetch` of `url` gives in the program's container; status 0 where there was no answer. */
export async function fetchIn(
  namespace: string,
  pod: string,
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const script = `fetch(process.argv[1], { headers: JSON.parse(process.argv[2]), signal: AbortSignal.timeout(30000) }).then(
    async (r) => ({ status: r.status, headers: Object.fromEntries(r.headers), body: await r.text() }),
    (e) => ({ status: 0, headers: {}, body: String(e.cause ?? e) }),
  ).then((r) => console.log(JSON.stringify(r)))`;
  const run = await exec(namespace, pod, CONTAINER, [NODE, "-e", script, "--", url, JSON.stringify(headers)]);
  if (run.status !== 0) throw new Error(`exec in ${pod}: ${run.stderr}`);
  return JSON.parse(run.stdout) as Reply;
}

/** What the program echoed: how a request looked when it arrived. */
export interface Echo {
  readonly name: string;
  readonly pod: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

export function echoOf({ status, body }: Reply): Echo {
  if (status !== 200) throw new Error(`status ${status}: ${body}`);
  return JSON.parse(body) as Echo;
}
