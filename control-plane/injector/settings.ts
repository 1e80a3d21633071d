/** What holds for every pod that this injector changes, unless the pod's annotations say otherwise. */
import { LOG_LEVELS, type LogLevel } from "../../core/log.ts";

/** How connections come to the sidecar: by rules of the kernel, or (`none`) only where the program makes them. */
export type InterceptionMode = "redirect" | "tproxy" | "none";

export const INTERCEPTION_MODES: readonly InterceptionMode[] = ["redirect", "tproxy", "none"];
export { LOG_LEVELS, type LogLevel };

/** Kubernetes quantities (`100m`, `128Mi`); null: not set. */
export interface Resources {
  readonly cpuRequest: string | null;
  readonly cpuLimit: string | null;
  readonly memoryRequest: string | null;
  readonly memoryLimit: string | null;
}

export interface InjectorSettings {
  /** Its entry point is the `outrigger` command. */
  readonly image: string;
  /** Of the init container, which alone needs iptables; null: the sidecar's. */
  readonly initImage: string | null;
  readonly imagePullPolicy: "Always" | "IfNotPresent" | "Never";
  /** `host:port` of the control plane's TLS port. */
  readonly controlPlane: string;
  readonly trustDomain: string;
  /** Audience of the sidecars' service-account tokens: what the CA's TokenReview asks for. */
  readonly tokenAudience: string;
  /** Of a projected token, s; Kubernetes allows no less than 600. */
  readonly tokenLifetimeS: number;
  /** The ConfigMap of each namespace, and its key, that hold the mesh's roots in PEM. */
  readonly rootsConfigMap: string;
  readonly rootsKey: string;
  readonly interception: InterceptionMode;
  readonly resources: Resources;
  /** Threads of a sidecar without a CPU limit; with one it has as many as the limit allows. */
  readonly concurrency: number;
  readonly logLevel: LogLevel;
  readonly drainTimeS: number;
  /** Namespaces whose pods are never changed: the cluster's own, and the mesh's. */
  readonly ignoredNamespaces: readonly string[];
}

export const DEFAULT_SETTINGS: InjectorSettings = {
  image: "outrigger",
  initImage: null,
  imagePullPolicy: "IfNotPresent",
  controlPlane: "outrigger-control-plane.outrigger-system.svc:15012",
  trustDomain: "cluster.local",
  tokenAudience: "outrigger-ca",
  tokenLifetimeS: 3600,
  rootsConfigMap: "outrigger-ca-roots",
  rootsKey: "root-cert.pem",
  interception: "redirect",
  // A CPU limit would only make the tail of calls longer; memory that grows is a fault.
  resources: { cpuRequest: "50m", cpuLimit: null, memoryRequest: "96Mi", memoryLimit: "512Mi" },
  concurrency: 1,
  logLevel: "warning",
  drainTimeS: 10,
  ignoredNamespaces: ["kube-system", "kube-public", "kube-node-lease", "outrigger-system"],
};
